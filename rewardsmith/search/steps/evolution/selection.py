"""The generational strategy: the best candidates of each lineage are refined, crossed and re-weighed."""

from __future__ import annotations

from collections.abc import Sequence

from rewardsmith.contract.records import Assignment, Candidate, Generation
from rewardsmith.contract.text import counted
from rewardsmith.search.steps.evolution import islands, weight_search
from rewardsmith.search.steps.evolution.diversity import Distance, distance, diverse
from rewardsmith.search.steps.evolution.islands import Lineage
from rewardsmith.search.steps.evolution.ranking import DEFAULTS, ranked
from rewardsmith.spec.config import Config
from rewardsmith.spec.settings import EvolutionSettings


def plan(config: Config, history: Sequence[Candidate], plans: Sequence[Generation], distance: Distance) -> Generation:
    """Plan a generation; see `evolution.plan`."""
    settings, generation = config.evolution, len(plans)
    lineages = [islands.lineage(history, generation, number, settings) for number in range(settings.islands)]
    slots = range(config.search.population)
    assigned = tuple(
        _assignment(config, lineages[slot % settings.islands], generation, slot, distance) for slot in slots
    )
    return Generation(assigned, tuple(_restart(line, settings) for line in lineages if 0 < line.began == generation))


def parents(
    history: Sequence[Candidate],
    generation: int,
    settings: EvolutionSettings = DEFAULTS,
    distance: Distance = distance,
) -> tuple[Candidate, ...]:
    """Choose whom a generation is made from.

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
    best = ranked([candidate for candidate in history if candidate.generation < generation], settings.caution)
    if settings.selection == "greedy-last":
        latest = max((candidate.generation for candidate in best), default=-1)
        return tuple(candidate for candidate in best if candidate.generation == latest)[:1]
    last = [candidate for candidate in best if candidate.generation == generation - 1]
    ordered = _distinct([*best[:1], *last[:1], *best])
    sure = len(_distinct([*best[:1], *last[:1]]))
    return tuple(ranked(diverse(ordered, settings.parents, settings.novelty, distance, sure), settings.caution))


def members(history: Sequence[Candidate], count: int, settings: EvolutionSettings = DEFAULTS) -> tuple[Candidate, ...]:
    """Choose the members of an ensemble: the best programs, and of those that differ in figures alone the best first.

    Variants of one program agree with each other, so they take part only where others are lacking.

    Returns:
        At most `count` candidates of different programs, best first.
    """
    apart: list[Candidate] = []
    alike: list[Candidate] = []
    for candidate in _distinct(ranked(history, settings.caution)):
        is_new = all(distance(candidate, other) > 0.0 for other in apart)
        (apart if is_new else alike).append(candidate)
    return tuple(ranked([*apart, *alike][:count], settings.caution))


def _assignment(config: Config, line: Lineage, generation: int, slot: int, distance: Distance) -> Assignment:
    """Decide what a slot does: the last ones change weights, those before them cross, the others refine."""
    settings, population = config.evolution, config.search.population
    told = tuple(candidate.id for candidate in line.candidates) if settings.islands > 1 else None
    chosen = parents(line.candidates, generation, settings, distance)
    if not chosen:
        return Assignment("new", (), told)
    weighing = population - settings.weight_slots
    crossing = weighing - settings.crossover
    if slot >= weighing and weight_search.adjustable(chosen[0]):
        return Assignment("weights", (chosen[0].id,), told)
    mate = _mate(chosen[0], line, settings, slot - crossing, distance) if crossing <= slot < weighing else None
    if mate:
        return Assignment("cross", (chosen[0].id, mate.id), told)
    return Assignment("refine", tuple(candidate.id for candidate in chosen), told)


def _mate(
    first: Candidate, line: Lineage, settings: EvolutionSettings, turn: int, distance: Distance
) -> Candidate | None:
    """Return whom the first parent is crossed with, each turn another while there are others; None without any."""
    rest = [one for one in ranked(line.candidates, settings.caution) if one.proposal.source != first.proposal.source]
    mates = diverse([first, *_distinct(rest)], turn + 2, settings.novelty, distance)[1:]
    return mates[turn % len(mates)] if mates else None


def _distinct(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return the first candidate of each program."""
    kept: dict[str, Candidate] = {}
    for candidate in candidates:
        kept.setdefault(candidate.proposal.source, candidate)
    return list(kept.values())


def _restart(line: Lineage, settings: EvolutionSettings) -> str:
    who = f"island {line.number}" if settings.islands > 1 else "the search"
    return f"{who} begins anew: {counted(settings.restart_after, 'generation')} without improvement"
