"""The generational strategy: the best candidates of each lineage are refined and crossed."""

from __future__ import annotations

from collections.abc import Sequence

from rewardsmith.contract.records import Candidate, GenerationPlan, SlotAssignment
from rewardsmith.contract.text import pluralize
from rewardsmith.search.steps.evolution import islands
from rewardsmith.search.steps.evolution.diversity import Distance, choose_diverse, text_distance
from rewardsmith.search.steps.evolution.islands import Lineage
from rewardsmith.search.steps.evolution.ranking import DEFAULTS, keep_distinct_programs, rank_candidates
from rewardsmith.spec.config import Config
from rewardsmith.spec.settings import EvolutionSettings


def plan_generation(
    config: Config, history: Sequence[Candidate], plans: Sequence[GenerationPlan], distance: Distance
) -> GenerationPlan:
    """Plan a generation; see `evolution.plan_generation`."""
    settings, generation = config.evolution, len(plans)
    lineages = [islands.lineage_of_island(history, generation, number, settings) for number in range(settings.islands)]
    slots = tuple(
        _assign_slot(config, lineages[slot % settings.islands], generation, slot, distance)
        for slot in range(config.search.population)
    )
    restarted = [lineage for lineage in lineages if 0 < lineage.began == generation]
    return GenerationPlan(slots, tuple(_describe_restart(lineage, settings) for lineage in restarted))


def choose_parents(
    history: Sequence[Candidate],
    generation: int,
    settings: EvolutionSettings = DEFAULTS,
    distance: Distance = text_distance,
) -> tuple[Candidate, ...]:
    """Choose the parents of a generation.

    With the selection "incumbent": the incumbent, the best of the generation before it, the next best. The best of
    the last generation takes part also where others beat it, so that the search does not circle around one program;
    where that generation failed as a whole, earlier ones fill its place. With "greedy-last": the best of the last
    generation that has any.

    Args:
        history: every candidate so far, in any order.
        generation: the one to be made; its parents come from those before it.
        settings: how many, and how.
        distance: what is novel.

    Returns:
        Candidates of different programs, best first; none while nothing has a fitness.
    """
    earlier = [candidate for candidate in history if candidate.generation < generation]
    ranked = rank_candidates(earlier, settings.caution)
    if settings.selection == "greedy-last":
        latest = max((candidate.generation for candidate in ranked), default=-1)
        return tuple(candidate for candidate in ranked if candidate.generation == latest)[:1]

    # The incumbent and the best of the last generation are taken whatever their distance.
    last_generation = [candidate for candidate in ranked if candidate.generation == generation - 1]
    certain = keep_distinct_programs([*ranked[:1], *last_generation[:1]])
    ordered = keep_distinct_programs([*certain, *ranked])
    chosen = choose_diverse(ordered, settings.parents, settings.novelty, distance, len(certain))
    return tuple(rank_candidates(chosen, settings.caution))


def choose_ensemble_members(
    history: Sequence[Candidate], count: int, settings: EvolutionSettings = DEFAULTS
) -> tuple[Candidate, ...]:
    """Choose the members of an ensemble: the best programs, and of those that differ in numbers alone the best first.

    Variants of one program agree with each other, so they take part only where others are lacking.

    Returns:
        At most `count` candidates of different programs, best first.
    """
    unlike: list[Candidate] = []
    variants: list[Candidate] = []
    for candidate in keep_distinct_programs(rank_candidates(history, settings.caution)):
        is_new = all(text_distance(candidate, other) > 0.0 for other in unlike)
        (unlike if is_new else variants).append(candidate)
    return tuple(rank_candidates([*unlike, *variants][:count], settings.caution))


def _assign_slot(config: Config, lineage: Lineage, generation: int, slot: int, distance: Distance) -> SlotAssignment:
    """Decide what a slot does: the last ones cross, the others refine."""
    settings = config.evolution
    visible = tuple(candidate.id for candidate in lineage.candidates) if settings.islands > 1 else None
    parents = choose_parents(lineage.candidates, generation, settings, distance)
    if not parents:
        return SlotAssignment("new", (), visible)

    first_crossing = config.search.population - settings.crossover
    if slot >= first_crossing:
        mate = _choose_mate(parents[0], lineage, settings, slot - first_crossing, distance)
        if mate:
            return SlotAssignment("cross", (parents[0].id, mate.id), visible)
    return SlotAssignment("refine", tuple(candidate.id for candidate in parents), visible)


def _choose_mate(
    parent: Candidate, lineage: Lineage, settings: EvolutionSettings, turn: int, distance: Distance
) -> Candidate | None:
    """Return the other parent of a crossover, each turn another while there are others; None without any."""
    ranked = rank_candidates(lineage.candidates, settings.caution)
    others = [candidate for candidate in ranked if candidate.proposal.source != parent.proposal.source]
    mates = choose_diverse([parent, *keep_distinct_programs(others)], turn + 2, settings.novelty, distance)[1:]
    return mates[turn % len(mates)] if mates else None


def _describe_restart(lineage: Lineage, settings: EvolutionSettings) -> str:
    name = f"island {lineage.number}" if settings.islands > 1 else "the search"
    return f"{name} restarts: {pluralize(settings.restart_after, 'generation')} without improvement"
