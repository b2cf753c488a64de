"""What the outcomes of a sweep's cells say together: by task, by recipe, and recipe against recipe.

A cell's score is its normalised fitness, (reported - random) / (own reward - random): 0 for random actions, 1 for the
environment's own reward under the same budget. A cell without one (no baseline, a failed seed, an own reward that
learns nothing) counts in no figure over tasks, only in its task's fitness; how many count is told.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from rewardsmith.api.sweep import statistics
from rewardsmith.api.sweep.statistics import Estimate, Scores
from rewardsmith.api.sweep.store import Outcome
from rewardsmith.contract.records import Interval, ReportedFigure
from rewardsmith.search.steps import evaluator

THRESHOLDS = tuple(round(0.05 * step, 2) for step in range(41))
"""Normalised scores at which performance profiles are drawn: 0 to 2."""


@dataclass(frozen=True)
class TaskFigure:
    """One recipe on one task."""

    task: str
    env_id: str
    recipe: str
    cells: int
    """With an outcome."""
    failed: int
    fitness: Interval | None
    """Over the cells, or over the training seeds where there is one cell; None where none has a reported figure."""
    random: float | None
    own_reward: float | None
    scores: tuple[float, ...]
    """Normalised fitness, one per cell that has one."""
    alarms: int
    """Cells whose best program raised an alarm."""
    figures: tuple[ReportedFigure, ...] = ()
    """What the task's card wants measured beside the fitness, over the cells as the fitness is."""

    @property
    def solved(self) -> bool | None:
        """Whether its mean fitness is at least the own reward's; None where that was not measured."""
        known = self.fitness is not None and self.own_reward is not None
        return self.fitness.mean >= self.own_reward if known else None  # type: ignore[union-attr,operator]


@dataclass(frozen=True)
class RecipeFigure:
    """One recipe over all tasks."""

    recipe: str
    cells: int
    failed: int
    tasks: int
    """With a normalised score."""
    interquartile_mean: Estimate | None
    """Of the normalised scores; None where there are none, as below."""
    mean: Estimate | None
    """Of the normalised scores, the mean over tasks; Eureka's normalised improvement is this less 1."""
    compared: int
    """Tasks with a figure of the own reward."""
    solved: int
    """Of those, the ones on which it is at least as good."""
    profile: tuple[float, ...]
    """The share of cells above each of `THRESHOLDS`; empty where there are no scores."""
    env_steps: int
    wall_s: float
    cost_usd: float | None
    """None where a price is unknown."""
    calls: int

    @property
    def wall_s_per_solved(self) -> float | None:
        """Wall time of all its cells over the tasks solved; None where none is."""
        return self.wall_s / self.solved if self.solved else None

    @property
    def cost_usd_per_solved(self) -> float | None:
        """Cost of all its cells over the tasks solved; None where none is, or a price is unknown."""
        return self.cost_usd / self.solved if self.solved and self.cost_usd is not None else None


@dataclass(frozen=True)
class Versus:
    """How probable it is that a run of one recipe does better than one of another, on a task drawn at random."""

    first: str
    second: str
    tasks: int
    """That both have scores on."""
    probability: Estimate


@dataclass(frozen=True)
class Summary:
    """A whole sweep."""

    tasks: tuple[TaskFigure, ...]
    recipes: tuple[RecipeFigure, ...]
    """The one with the highest interquartile mean first."""
    versus: tuple[Versus, ...]
    thresholds: tuple[float, ...] = THRESHOLDS


def summarise(outcomes: Iterable[Outcome]) -> Summary:
    """Return what outcomes say together."""
    groups: defaultdict[tuple[str, str], list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        groups[outcome.task, outcome.recipe].append(outcome)
    tasks = tuple(_of_task(members) for members in groups.values())
    names = dict.fromkeys(recipe for _, recipe in groups)
    mine = {name: [one for one in tasks if one.recipe == name] for name in names}
    recipes = [
        _of_recipe(name, mine[name], [o for key in groups if key[1] == name for o in groups[key]]) for name in names
    ]
    scores = {name: _scores(mine[name]) for name in names}
    versus = []
    for first, second in combinations(names, 2):
        found = statistics.probability_of_improvement(scores[first], scores[second])
        if found is not None:
            versus.append(Versus(first, second, len(scores[first].keys() & scores[second].keys()), found))
    recipes.sort(key=lambda one: -one.interquartile_mean.value if one.interquartile_mean else float("inf"))
    return Summary(tasks, tuple(recipes), tuple(versus))


def _of_task(members: Sequence[Outcome]) -> TaskFigure:
    first = members[0]
    own = [one.own_reward.mean for one in members if one.own_reward is not None]
    random = [one.random for one in members if one.random is not None]
    return TaskFigure(
        first.task,
        first.env_id,
        first.recipe,
        len(members),
        sum(one.status == "failed" for one in members),
        _over_cells([one.reported for one in members]),
        sum(random) / len(random) if random else None,
        sum(own) / len(own) if own else None,
        tuple(one.normalised for one in members if one.normalised is not None),
        sum(one.alarms > 0 for one in members),
        tuple(_further(members)),
    )


def _further(members: Sequence[Outcome]) -> Iterator[ReportedFigure]:
    """Yield the further figures over cells; one whose expression was changed since is another figure."""
    groups: defaultdict[tuple[str, str], list[ReportedFigure]] = defaultdict(list)
    for outcome in members:
        for one in outcome.figures:
            groups[one.name, one.expression].append(one)
    for (name, expression), found in groups.items():
        random = [one.random for one in found if one.random is not None]
        yield ReportedFigure(
            name,
            expression,
            found[-1].meaning,
            _over_cells([one.reported for one in found], expression),
            _over_cells([one.own_reward for one in found], expression),
            sum(random) / len(random) if random else None,
            _over_cells([one.ensemble for one in found], expression),
            _over_cells([one.chosen for one in found], expression),
        )


def _over_cells(figures: Iterable[Interval | None], expression: str | None = None) -> Interval | None:
    """Return a figure over cells; where one alone has it, over its training seeds."""
    known = [one for one in figures if one is not None]
    return known[0] if len(known) == 1 else evaluator.interval([one.mean for one in known], expression)


def _of_recipe(name: str, tasks: Sequence[TaskFigure], members: Sequence[Outcome]) -> RecipeFigure:
    scores = _scores(tasks)
    costs = [one.spent.cost_usd for one in members]
    known = [cost for cost in costs if cost is not None]
    return RecipeFigure(
        name,
        len(members),
        sum(one.status == "failed" for one in members),
        len(scores),
        statistics.interquartile_mean(scores) if scores else None,
        statistics.mean(scores) if scores else None,
        sum(one.solved is not None for one in tasks),
        sum(one.solved is True for one in tasks),
        statistics.performance_profile(scores, THRESHOLDS) if scores else (),
        sum(one.env_steps for one in members),
        sum(one.wall_s for one in members),
        sum(known) if len(known) == len(costs) else None,
        sum(one.spent.calls for one in members),
    )


def _scores(tasks: Iterable[TaskFigure]) -> Scores:
    return {one.task: one.scores for one in tasks if one.scores}
