"""Islands: lineages that know nothing of each other between migrations, and begin anew where they stand still.

With one island, as by default, the whole search is one lineage. Slot s belongs to island s modulo their number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rewardsmith.contract.records import Candidate
from rewardsmith.search.steps.evolution.ranking import incumbent
from rewardsmith.spec.settings import EvolutionSettings


@dataclass(frozen=True)
class Lineage:
    """What an island knows when a generation is planned."""

    number: int
    began: int
    """The generation that it began with: 0, or that of its last restart."""
    candidates: tuple[Candidate, ...]
    """Its own since it began, and the migrants it took in; oldest first."""


def lineage(history: Sequence[Candidate], generation: int, number: int, settings: EvolutionSettings) -> Lineage:
    """Return what an island knows.

    Args:
        history: every candidate so far.
        generation: the one to be planned.
        number: the island's.
        settings: how many islands there are, when they exchange and when they begin anew.
    """
    own = _own(history, number, settings)
    began = _began(own, generation, settings)
    lived = [candidate for candidate in own if began <= candidate.generation < generation]
    taken_in = _migrants(history, generation, number, began, settings)
    known = {candidate.id: candidate for candidate in (*lived, *taken_in)}
    order = sorted(known.values(), key=lambda candidate: (candidate.generation, candidate.slot))
    return Lineage(number, began, tuple(order))


def _own(history: Sequence[Candidate], number: int, settings: EvolutionSettings) -> list[Candidate]:
    return [candidate for candidate in history if candidate.slot % settings.islands == number]


def _began(own: Sequence[Candidate], generation: int, settings: EvolutionSettings) -> int:
    """Return the generation that an island began with: it does so again after standing still for too long."""
    began = 0
    for done in range(generation if settings.restart_after else 0):
        best = incumbent([candidate for candidate in own if began <= candidate.generation <= done], settings)
        improved = best.generation if best else began - 1
        if done - improved >= settings.restart_after:
            began = done + 1
    return began


def _migrants(
    history: Sequence[Candidate], generation: int, number: int, began: int, settings: EvolutionSettings
) -> list[Candidate]:
    """Return the best of the island before this one in the ring, as it was at each migration since this one began."""
    if settings.islands == 1:
        return []
    neighbours = _own(history, (number - 1) % settings.islands, settings)
    moments = (moment for moment in range(settings.migration, generation + 1, settings.migration) if moment > began)
    best = (incumbent([one for one in neighbours if one.generation < moment], settings) for moment in moments)
    return [migrant for migrant in best if migrant]
