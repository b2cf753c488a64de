"""Islands: lineages that share nothing between migrations, and restart where they do not improve.

With one island, as by default, the whole search is one lineage. Slot s belongs to island s modulo their number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rewardsmith.contract.records import Candidate
from rewardsmith.search.steps.evolution.ranking import find_incumbent
from rewardsmith.spec.settings import EvolutionSettings


@dataclass(frozen=True)
class Lineage:
    """The candidates that an island works with when a generation is planned."""

    number: int
    began: int
    """The generation that it began with: 0, or that of its last restart."""
    candidates: tuple[Candidate, ...]
    """Its own ones since it began, and the migrants that it took in; oldest first."""


def lineage_of_island(
    history: Sequence[Candidate], generation: int, number: int, settings: EvolutionSettings
) -> Lineage:
    """Return the candidates that an island works with.

    Args:
        history: every candidate so far.
        generation: the one to be planned.
        number: the island's.
        settings: how many islands there are, when they exchange and when they restart.
    """
    own = _candidates_of_island(history, number, settings)
    began = _last_restart(own, generation, settings)
    since_restart = [candidate for candidate in own if began <= candidate.generation < generation]
    migrants = _find_migrants(history, generation, number, began, settings)
    by_id = {candidate.id: candidate for candidate in (*since_restart, *migrants)}
    ordered = sorted(by_id.values(), key=lambda candidate: (candidate.generation, candidate.slot))
    return Lineage(number, began, tuple(ordered))


def _candidates_of_island(history: Sequence[Candidate], number: int, settings: EvolutionSettings) -> list[Candidate]:
    return [candidate for candidate in history if candidate.slot % settings.islands == number]


def _last_restart(own: Sequence[Candidate], generation: int, settings: EvolutionSettings) -> int:
    """Return the generation that an island last began with: it restarts after too many without improvement."""
    began = 0
    if not settings.restart_after:
        return began
    for done in range(generation):
        best = find_incumbent([candidate for candidate in own if began <= candidate.generation <= done], settings)
        improved = best.generation if best else began - 1
        if done - improved >= settings.restart_after:
            began = done + 1
    return began


def _find_migrants(
    history: Sequence[Candidate], generation: int, number: int, began: int, settings: EvolutionSettings
) -> list[Candidate]:
    """Return the best of the island before this one in the ring, as it was at each migration since this one began."""
    if settings.islands == 1:
        return []
    neighbours = _candidates_of_island(history, (number - 1) % settings.islands, settings)
    migrants = []
    for migration in range(settings.migration, generation + 1, settings.migration):
        if migration > began:
            best = find_incumbent([one for one in neighbours if one.generation < migration], settings)
            if best:
                migrants.append(best)
    return migrants
