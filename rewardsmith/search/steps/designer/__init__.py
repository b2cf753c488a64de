"""The designer: writes reward programs for a generation's slots, and repairs those that the critic refuses.

llm_designer    asks a language model
  prompt_builder    the messages that ask for a program; signal_table, class_view and shaping_reference fill them
  answer_parser     takes the program out of an answer: answer_blocks reads its code, join_blocks makes a program of it
  sparse_dense      the form in which a model writes two functions instead of a whole program
symbolic        composes and mutates terms; needs no model and understands no language
  term_templates    terms that can be written about a signal
  term_expressions  programs as lists of weighted expressions
enforce_terms   applies the user's pins and bans to another designer's programs
user_program    hands in the user's program first
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from rewardsmith.contract.records import Brief, Finding, Proposal


class Designer(Protocol):
    """An author of reward programs; its methods are called from several threads at once."""

    def propose(self, brief: Brief, slot: int) -> Proposal:
        """Return a program for one slot of a generation."""
        ...

    def repair(self, brief: Brief, proposal: Proposal, findings: Sequence[Finding], round: int) -> Proposal:
        """Return a program without the findings, by the same author; `round` counts repairs from 1."""
        ...
