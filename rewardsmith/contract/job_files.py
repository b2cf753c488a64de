"""Names in a job's folder that orchestrator and worker share."""

from __future__ import annotations

RESULT_FILE = "result.json"
"""The job's result; written last, so that its presence says that the others are complete. A run's outcome has the name
too."""
