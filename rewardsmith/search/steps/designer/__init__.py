"""The designer: writes reward programs for a generation's slots, and mends those that the critic refuses.

llm         asks a language model; `code` takes the program out of its answer
symbolic    composes and mutates terms; needs no model and understands no language
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from rewardsmith.contract.records import Brief, Finding, Proposal


class Designer(Protocol):
    """Anything that writes reward programs; its methods are called from several threads at once."""

    def propose(self, brief: Brief, slot: int) -> Proposal:
        """Return a program for one slot of a generation."""
        ...

    def repair(self, brief: Brief, proposal: Proposal, findings: Sequence[Finding], round: int) -> Proposal:
        """Return a program without the findings, by the same author; `round` counts repairs from 1."""
        ...
