"""Evolution: every candidate so far becomes a plan for the next generation, and the incumbent.

ranking     the order of candidates, and the incumbent
selection   the generational strategy: parents, crossover, the members of an ensemble
islands     lineages apart from each other, migration between them, restarts
diversity   the distance between two programs
mcts        the tree strategy: Monte Carlo tree search over refinements
archive     the archive of behaviours: the best policy of each cell of a grid over the task's descriptors
map_elites  the strategy of the archive
ensemble    the best programs joined into one text

A strategy is a function of the settings, the task's descriptors, the candidates and the plans so far, and of nothing
else: what it decides is kept in the journal, and a resumed search would decide the same. Only candidates with a fitness
take part: a failure has none, so it never outranks an honest negative figure.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from rewardsmith.contract.errors import ProgramError
from rewardsmith.contract.records import BehaviourDescriptor, Candidate, GenerationPlan
from rewardsmith.search.steps.evolution import map_elites, mcts, selection
from rewardsmith.search.steps.evolution.archive import BehaviourArchive
from rewardsmith.search.steps.evolution.diversity import Distance, behaviour_distance
from rewardsmith.search.steps.evolution.ranking import find_incumbent, keep_distinct_programs, rank_candidates
from rewardsmith.search.steps.evolution.selection import choose_ensemble_members, choose_parents
from rewardsmith.spec.config import Config
from rewardsmith.spec.settings import EvolutionSettings

__all__ = [
    "BehaviourArchive",
    "EvolutionSettings",
    "Strategy",
    "choose_ensemble_members",
    "choose_parents",
    "find_incumbent",
    "keep_distinct_programs",
    "plan_generation",
    "rank_candidates",
]

Strategy = Callable[[Config, Sequence[Candidate], Sequence[GenerationPlan], Distance], GenerationPlan]
"""Plans the next generation from the candidates that can be parents, the plans of the generations before, and how
unlike two candidates are. The strategy "map-elites" asks for descriptors in place of plans and distance."""

STRATEGIES: dict[str, Strategy] = {"generations": selection.plan_generation, "mcts": mcts.plan_generation}


def plan_generation(
    config: Config,
    history: Sequence[Candidate],
    plans: Sequence[GenerationPlan],
    signals: Collection[str],
    unlike: Callable[[str, str], float | None] = lambda first, second: None,
    descriptors: Sequence[BehaviourDescriptor] = (),
) -> GenerationPlan:
    """Plan the next generation: what each of its slots does, and from which parents.

    Args:
        config: names the strategy.
        history: every candidate so far, oldest first.
        plans: of the generations before, from the first on.
        signals: names that programs can read. A candidate whose program reads another signal, or is not valid in this
            version, stays in the history and does not become a parent.
        unlike: how differently two programs' texts pay, in [0, 1]; None where that cannot be told. It is asked only
            where `evolution.novelty` counts.
        descriptors: of the task; the strategy "map-elites" needs one or two.
    """
    usable = [candidate for candidate in history if candidate.status != "ok" or _is_readable(candidate, signals)]
    if config.search.strategy == "map-elites":
        return map_elites.plan_generation(config, usable, len(plans), descriptors)
    return STRATEGIES[config.search.strategy](config, usable, plans, behaviour_distance(unlike))


def _is_readable(candidate: Candidate, signals: Collection[str]) -> bool:
    try:
        return set(candidate.program.signals) <= set(signals)
    except ProgramError:
        return False
