"""Storage of a run: its directory, and the journal that is the only source of truth.

layout       paths and ids, spelled only there
journal_keys keys of the journal, spelled only there
run          one run directory: configuration, task, candidates' files, result
journal      append-only, fsynced events; `once` makes a step of the loop durable
provenance   the format of the directory, and the versions behind its numbers
sessions     what may not change between two sessions of a run, and what is noted when it does
clock        how long a run has been worked on, over all its sessions
format1      the format of earlier versions, read and converted
foreign_entries   what a run does not have: links out of it, pipes, devices
"""

from rewardsmith.search.storage.clock import Clock
from rewardsmith.search.storage.journal import Event, Journal
from rewardsmith.search.storage.layout import RunLayout
from rewardsmith.search.storage.provenance import Provenance
from rewardsmith.search.storage.run import Run

__all__ = ["Clock", "Event", "Journal", "Provenance", "Run", "RunLayout"]
