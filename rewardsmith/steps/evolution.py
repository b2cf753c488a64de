"""Evolution: every candidate so far becomes the parents of the next generation, and the incumbent.

Only candidates with a fitness take part: a failure has none, so it never outranks an honest negative figure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rewardsmith.records import Candidate, Count


@dataclass(frozen=True)
class EvolutionSettings:
    """How parents are chosen."""

    parents: Count = 3
    """At most so many; the incumbent is always one of them."""


DEFAULTS = EvolutionSettings()


def parents(
    history: Sequence[Candidate], generation: int, settings: EvolutionSettings = DEFAULTS
) -> tuple[Candidate, ...]:
    """Choose whom a generation is made from: the incumbent, the best of the generation before it, the next best.

    The best of the last generation takes part also where others beat it, so that the search does not circle around
    one program; where that generation failed as a whole, earlier ones fill its place.

    Args:
        history: every candidate so far, in any order.
        generation: the one to be made; its parents come from those before it.
        settings: how many.

    Returns:
        Candidates of different programs, best first; none while nothing has a fitness.
    """
    ranked = _ranked([candidate for candidate in history if candidate.generation < generation])
    last = [candidate for candidate in ranked if candidate.generation == generation - 1]
    chosen: dict[str, Candidate] = {}
    for candidate in (*ranked[:1], *last[:1], *ranked):
        if len(chosen) < settings.parents:
            chosen.setdefault(candidate.proposal.source, candidate)
    return tuple(_ranked(list(chosen.values())))


def incumbent(history: Sequence[Candidate]) -> Candidate | None:
    """Return the best candidate so far: of two with one fitness the earlier; None while nothing has a fitness."""
    return next(iter(_ranked(history)), None)


def _ranked(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return those that have a fitness, best first."""
    scored = [
        (-candidate.fitness, candidate.generation, candidate.slot, candidate)
        for candidate in candidates
        if candidate.status == "ok" and candidate.fitness is not None and math.isfinite(candidate.fitness)
    ]
    return [candidate for *_, candidate in sorted(scored, key=lambda entry: entry[:3])]
