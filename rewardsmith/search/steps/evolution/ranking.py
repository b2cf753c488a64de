"""Ranking of candidates by the lower confidence bound over training seeds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from rewardsmith.contract.records import Candidate
from rewardsmith.spec.settings import EvolutionSettings

DEFAULTS = EvolutionSettings()


def ranking_score(candidate: Candidate, caution: float = DEFAULTS.caution) -> float | None:
    """Return what a candidate is ranked by: its mean fitness less `caution` standard errors over training seeds.

    The bound keeps one lucky training from winning. Student's quantiles would punish two seeds thirteenfold, so the
    number of standard errors is the same whatever their count.

    Returns:
        None for a candidate that is not ok or has no finite fitness. What comparisons say of it (`standing`), where
        they rank, comes in place of its fitness.
    """
    if candidate.status != "ok" or candidate.fitness is None or not math.isfinite(candidate.fitness):
        return None
    if candidate.standing is not None:
        return candidate.standing
    values = candidate.seed_fitness
    n = len(values)
    if n < 2:
        return candidate.fitness
    mean = sum(values) / n
    variance = sum((value - mean) ** 2 for value in values) / (n - 1)
    return candidate.fitness - caution * math.sqrt(variance / n)


def rank_candidates(candidates: Sequence[Candidate], caution: float = DEFAULTS.caution) -> list[Candidate]:
    """Return those that have a score, best first; of two that comparisons leave equal the fitter, then the earlier."""
    scores = {candidate.id: ranking_score(candidate, caution) for candidate in candidates}

    def order(candidate: Candidate) -> tuple[float, float, int, int]:
        return -(scores[candidate.id] or 0.0), -(candidate.fitness or 0.0), candidate.generation, candidate.slot

    return sorted((candidate for candidate in candidates if scores[candidate.id] is not None), key=order)


def keep_distinct_programs(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Return the first candidate of each program, in the order given."""
    first: dict[str, Candidate] = {}
    for candidate in candidates:
        first.setdefault(candidate.proposal.source, candidate)
    return list(first.values())


def find_incumbent(history: Sequence[Candidate], settings: EvolutionSettings = DEFAULTS) -> Candidate | None:
    """Return the best candidate so far, as `rank_candidates` has it; None while nothing has a score."""
    return next(iter(rank_candidates(history, settings.caution)), None)
