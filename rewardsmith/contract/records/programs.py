"""Reward programs on their way: proposals, findings, verdicts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rewardsmith.contract.records.types import Severity

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


@dataclass(frozen=True)
class Finding:
    """One thing that a check found in a program."""

    code: str
    """Stable kebab-case name, e.g. "unknown-signal"."""
    message: str
    """What is wrong and what to do, in one line."""
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
class DryRun:
    """What a program did on transitions recorded under random actions."""

    transitions: int
    us_per_transition: float
    """Cost of scoring in the reward process, in microseconds of wall time."""
    terms: tuple[TermStats, ...]


@dataclass(frozen=True)
class Gate:
    """A gate before training that held a program back."""

    name: Literal["duplicate", "order"]
    env_steps: int
    """Environment steps of the trainings that were not run."""
    twin: str | None = None
    """Id of the candidate that pays the same."""
    distance: float | None = None
    """How differently the two pay, in [0, 1]."""


@dataclass(frozen=True)
class Verdict:
    """The critic's judgement of a program."""

    accepted: bool
    findings: tuple[Finding, ...] = ()
    dry_run: DryRun | None = None
    gate: Gate | None = None
    """Which gate refused it, if one did."""

    @property
    def trainable(self) -> bool:
        """Whether it can be trained as it is, objections or not."""
        return all(finding.severity != "error" for finding in self.findings)
