"""Estimates of what candidates reach when they are retrained, as every table and page shows them beside the fitness."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from rewardsmith.contract.records import Candidate, Finalist
from rewardsmith.search.finalists import read_finalists
from rewardsmith.search.shrinkage import WorthEstimate, estimate_candidates, find_ties
from rewardsmith.search.storage import Run

BEST_MARK, TIE_MARK = "★", "≈"
TIE_HINT = f"{TIE_MARK} cannot be told apart from the best program by the trainings of this search"
HEADING = "expected"
HINT = "expected: the fitness to expect when a program is retrained, estimated from all trainings of the search"


@dataclass(frozen=True)
class CandidateEstimates:
    """The estimates of a search's candidates, and those that are tied with its best one."""

    by_candidate: dict[str, WorthEstimate] = field(default_factory=dict)
    best: str | None = None
    ties: tuple[str, ...] = ()

    def find_mean(self, id: str) -> float | None:
        """Return the fitness to expect of a candidate; None where that is not known."""
        estimate = self.by_candidate.get(id)
        return estimate.mean if estimate else None

    def choose_mark(self, id: str) -> str:
        """Return the mark beside a candidate's id: of the best one, of one tied with it, or none."""
        return BEST_MARK if id == self.best else TIE_MARK if id in self.ties else ""

    def dump(self) -> dict[str, Any]:
        """Return plain values, for programs."""
        return {id: asdict(estimate) | {"tied": id in self.ties} for id, estimate in self.by_candidate.items()}


def build_estimates(
    candidates: Sequence[Candidate], finalists: Sequence[Finalist] = (), best: str | None = None
) -> CandidateEstimates:
    """Return the estimates of a search's candidates.

    Fewer than two candidates with a fitness say nothing about each other, so they have no estimates. Nothing is tied
    where comparisons rank the candidates.

    Args:
        candidates: all of the search.
        finalists: their fresh trainings.
        best: id of the program that the search names; None if it has not named one yet.
    """
    estimates = estimate_candidates(candidates, finalists)
    if len(estimates) < 2:
        return CandidateEstimates({}, best)
    by_comparisons = any(candidate.standing is not None for candidate in candidates)
    ties = () if best is None or by_comparisons else find_ties(best, estimates)
    return CandidateEstimates(estimates, best, ties)


def load_estimates(run: Run, best: str | None = None) -> CandidateEstimates:
    """Return the estimates of a run as far as it is.

    Raises:
        RunError: if its journal is damaged.
    """
    return build_estimates(run.read_candidates(), read_finalists(run), best)
