"""What a run leaves behind: its directory, and the journal that is the only source of truth.

journal   append-only, fsynced events; `once` makes a step of the loop durable
clock     how long a run has been worked on, over all its sessions
links     symbolic links that lead out of a run
run       the directory: configuration, task, provenance, candidates' files
"""

from rewardsmith.search.storage.clock import Clock
from rewardsmith.search.storage.journal import Event, Journal, canonical
from rewardsmith.search.storage.run import Run

__all__ = ["Clock", "Event", "Journal", "Run", "canonical"]
