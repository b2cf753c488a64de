"""The strategy of the archive: parents come from its cells, and each slot aims at an empty cell next to its parent's.

MAP-Elites (Mouret & Clune, 2015) draws parents uniformly over the filled cells, whatever their fitness, so that every
behaviour found so far is built on. The cells of one generation are drawn without repetition as long as there are
others, and two slots aim at different cells. The draws depend on the search's seed, the generation and the archive.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from rewardsmith.contract.records import BehaviourAim, BehaviourDescriptor, Candidate, GenerationPlan, SlotAssignment
from rewardsmith.search.steps.evolution.archive import BehaviourArchive, Cell
from rewardsmith.spec.config import Config


def plan_generation(
    config: Config, history: Sequence[Candidate], generation: int, descriptors: Sequence[BehaviourDescriptor]
) -> GenerationPlan:
    """Plan a generation; while no cell is filled its slots begin from nothing.

    Args:
        config: with the number of slots and the seed.
        history: the candidates that can be parents, oldest first.
        generation: the one to be planned.
        descriptors: of the task.
    """
    archive = BehaviourArchive.build(descriptors, history)
    population = config.search.population
    if not archive.elites:
        return GenerationPlan((SlotAssignment("new"),) * population)

    rng = random.Random(f"{config.search.seed} {generation}")
    aimed: set[Cell] = set()
    slots = []
    for cell in _draw_cells(sorted(archive.elites), population, rng):
        elite = archive.elites[cell]
        free = [near for near in archive.list_empty_neighbours(cell) if near not in aimed]
        target = rng.choice(free) if free else None
        aimed |= {target} if target else set()
        reached = {one.name: value for one, value in zip(descriptors, elite.behaviour, strict=True)}
        aim = BehaviourAim(reached, archive.find_bounds(target) if target else {})
        slots.append(SlotAssignment("refine", (elite.candidate,), aim=aim))
    return GenerationPlan(tuple(slots), (f"the archive has {archive.describe_coverage()}",))


def _draw_cells(filled: Sequence[Cell], count: int, rng: random.Random) -> list[Cell]:
    """Draw cells uniformly, each once before one is drawn again."""
    drawn: list[Cell] = []
    while len(drawn) < count:
        drawn += rng.sample(filled, len(filled))
    return drawn[:count]
