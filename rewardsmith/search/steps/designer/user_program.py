"""The designer that hands in the user's program first, and leaves the other slots to another designer."""

from __future__ import annotations

from collections.abc import Sequence

from rewardsmith.contract.records import Brief, Finding, Proposal
from rewardsmith.search.steps.designer import Designer

USER = "user"


class UserProgramFirst:
    """Hands in a given program in the first slot of generation 0; that program is the user's and is not repaired."""

    def __init__(self, designer: Designer, source: str) -> None:
        """Take the designer of all other slots, and the user's program."""
        self._designer = designer
        self._source = source

    def propose(self, brief: Brief, slot: int) -> Proposal:
        """Return the user's program, or what the other designer proposes; see `Designer`."""
        if brief.generation == 0 and slot == 0:
            return Proposal(self._source, USER, rationale="The user's program.")
        return self._designer.propose(brief, slot)

    def repair(self, brief: Brief, proposal: Proposal, findings: Sequence[Finding], round: int) -> Proposal:
        """Return the program repaired by its author; see `Designer`."""
        if proposal.author == USER:
            return proposal
        return self._designer.repair(brief, proposal, findings, round)
