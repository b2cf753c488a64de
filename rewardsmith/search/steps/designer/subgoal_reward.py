"""The designer of the preset `calm`: one program, which pays for each subgoal that an episode reaches."""

from __future__ import annotations

from collections.abc import Sequence

from rewardsmith.contract.records import Brief, Finding, Proposal

AUTHOR = "subgoals"
PROGRAM = '''"""Pay for each subgoal that the episode reaches, in their order."""


def reward(before, after):
    # The potential-based difference (Ng, Harada & Russell, 1999) of the number of subgoals reached, with gamma = 1: its
    # sum over an episode is the number at the end.
    return {{"subgoals": after.{signal} - before.{signal}}}
'''


class SubgoalDesigner:
    """Writes the difference of the number of subgoals reached, after CALM (arXiv:2409.12798)."""

    def __init__(self, signal: str) -> None:
        """Take the name of the learned signal that counts."""
        self._signal = signal

    def propose(self, brief: Brief, slot: int) -> Proposal:
        """Return the one program; see `Designer`."""
        return Proposal(
            PROGRAM.format(signal=self._signal), AUTHOR, rationale=f"The difference of {self._signal} in a step."
        )

    def repair(self, brief: Brief, proposal: Proposal, findings: Sequence[Finding], round: int) -> Proposal:
        """Return the program as it is: there is nothing to repair; see `Designer`."""
        return proposal
