"""What a run leaves behind: its directory, and the journal that is the only source of truth.

journal   append-only, fsynced events; `once` makes a step of the loop durable
run       the directory: configuration, task, provenance, candidates' files
"""

from rewardsmith.archive.journal import Event, Journal, canonical
from rewardsmith.archive.run import Run

__all__ = ["Event", "Journal", "Run", "canonical"]
