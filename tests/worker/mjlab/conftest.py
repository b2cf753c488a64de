"""Tests of mjlab's tasks, on the CPU; `make test-mjlab` runs them in their virtual environment."""

from __future__ import annotations

import os

os.environ.setdefault("MJLAB_WARP_QUIET", "1")
