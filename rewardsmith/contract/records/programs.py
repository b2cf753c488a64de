"""Records of a reward program before its training: proposals, findings, verdicts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rewardsmith.contract.records.types import Severity

if TYPE_CHECKING:
    from rewardsmith.contract.reward_program import RewardProgram

TIMED_FINDINGS = ("slow",)
"""Codes of findings that the machine's load decides: no prompt mentions them, and equal runs may differ in them."""


@dataclass(frozen=True)
class Proposal:
    """A reward program as its author handed it in."""

    source: str
    """The program's text."""
    author: str
    """Who wrote it: "llm:<model>", "symbolic", "user", "weights:<parent>"."""
    parents: tuple[str, ...] = ()
    """Ids of the candidates it was made from."""
    rationale: str = ""
    """The author's words about it, without the code."""
    transcript: str | None = None
    """Ledger key of the call that produced it."""
    idea: str = ""
    """The idea in one line, as its author named it; empty where it named none."""

    @property
    def program(self) -> RewardProgram:
        """The parsed program.

        Raises:
            ProgramError: if the text is no program.
        """
        from rewardsmith.contract.reward_program import parse_program

        return parse_program(self.source)


@dataclass(frozen=True)
class Finding:
    """One thing that a check found in a program."""

    code: str
    """Stable kebab-case name, e.g. "unknown-signal"."""
    message: str
    """The fault and the remedy, in one line."""
    severity: Severity = "error"
    line: int | None = None
    """Line in the program, from 1."""


@dataclass(frozen=True)
class TermStats:
    """A term's values over a batch of transitions, before its weight."""

    name: str
    weight: float
    mean: float
    std: float
    min: float
    max: float
    share: float
    """Its part of the total's magnitude: mean |w * term| over the sum of that over all terms, in [0, 1]."""


@dataclass(frozen=True)
class ScoredSample:
    """A few recorded transitions with the scores of a trial scoring, so that a training can score them again."""

    rows: tuple[int, ...]
    """Indices in the recording; of a program with memory, the first steps of one episode."""
    terms: dict[str, tuple[float, ...]]
    """Term name to its values at these rows."""


@dataclass(frozen=True)
class TrialScoring:
    """The results of a program's trial on transitions recorded under random actions."""

    transitions: int
    us_per_transition: float
    """Cost of scoring in the reward process, in microseconds of wall time."""
    terms: tuple[TermStats, ...]
    sample: ScoredSample | None = None
    """None in records of older versions, and where a signal of the recording is not finite."""


@dataclass(frozen=True)
class Verdict:
    """The critic's judgement of a program."""

    accepted: bool
    findings: tuple[Finding, ...] = ()
    trial_scoring: TrialScoring | None = None

    @property
    def trainable(self) -> bool:
        """Whether it can be trained as it is, objections or not."""
        return all(finding.severity != "error" for finding in self.findings)
