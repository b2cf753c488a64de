"""Evolution: every candidate so far becomes a plan for the next generation, and the incumbent.

ranking     who is best
selection   who becomes a parent; the generational strategy; the members of an ensemble
islands     lineages apart from each other, migration between them, restarts
novelty     how unlike two programs are
tree        the other strategy: a search tree over refinements
weights     programs with other weights, without a model's call

A strategy is a function of the settings, the candidates and the plans so far, and of nothing else: what it decides is
kept in the journal, and a resumed search would decide the same. Only candidates with a fitness take part: a failure
has none, so it never outranks an honest negative figure.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from rewardsmith.contract import reward_program
from rewardsmith.contract.errors import ProgramError
from rewardsmith.contract.records import Candidate, Generation
from rewardsmith.search.steps.evolution import mcts, selection
from rewardsmith.search.steps.evolution.diversity import Distance, of_behaviour
from rewardsmith.search.steps.evolution.ranking import incumbent, ranked
from rewardsmith.search.steps.evolution.selection import members, parents
from rewardsmith.search.steps.evolution.weight_search import Reweighing
from rewardsmith.spec.config import Config
from rewardsmith.spec.settings import EvolutionSettings

__all__ = ["EvolutionSettings", "Reweighing", "Strategy", "incumbent", "members", "parents", "plan", "ranked"]

Strategy = Callable[[Config, Sequence[Candidate], Sequence[Generation], Distance], Generation]
"""Plans the next generation from the candidates that can be parents, the plans of the generations before, and how
unlike two candidates are."""

STRATEGIES: dict[str, Strategy] = {"generations": selection.plan, "mcts": mcts.plan}


def plan(
    config: Config,
    history: Sequence[Candidate],
    plans: Sequence[Generation],
    signals: Collection[str],
    unlike: Callable[[str, str], float | None] = lambda first, second: None,
) -> Generation:
    """Plan the next generation: what each of its slots does, and from whom.

    Args:
        config: names the strategy.
        history: every candidate so far, oldest first.
        plans: of the generations before, from the first on.
        signals: names that programs can read. A candidate whose program reads another, or is none any more to this
            version, stays in the history and becomes no parent.
        unlike: how differently two programs' texts pay, in [0, 1]; None where that cannot be told. It is asked only
            where `evolution.novelty` counts.
    """
    stale = {candidate.id for candidate in history if candidate.status == "ok" and not _is_sound(candidate, signals)}
    sound = [candidate for candidate in history if candidate.id not in stale]
    return STRATEGIES[config.search.strategy](config, sound, plans, of_behaviour(unlike))


def _is_sound(candidate: Candidate, signals: Collection[str]) -> bool:
    try:
        return set(reward_program.parse(candidate.proposal.source).signals) <= set(signals)
    except ProgramError:
        return False
