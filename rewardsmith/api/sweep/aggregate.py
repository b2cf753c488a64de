"""Summary of a sweep's outcomes: by task, by preset, and preset against preset.

A cell's score is its normalised fitness, (reported - random) / (environment reward - random): 0 for random actions, 1
for the environment reward under the same budget. A cell without one (no baseline, a failed seed, a baseline that learns
nothing) counts in no figure over tasks, only in its task's fitness.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from rewardsmith.api.sweep import statistics
from rewardsmith.api.sweep.statistics import Estimate, Scores
from rewardsmith.api.sweep.store import CellOutcome
from rewardsmith.contract.known_values import average_known
from rewardsmith.contract.records import Interval, ReportedMetric
from rewardsmith.llm.ledger import sum_usage
from rewardsmith.search.intervals import confidence_interval

THRESHOLDS = tuple(round(0.05 * step, 2) for step in range(41))
"""Normalised scores at which performance profiles are drawn: 0 to 2."""


@dataclass(frozen=True)
class TaskSummary:
    """Results of one preset on one task."""

    task: str
    env_id: str
    preset: str
    cells: int
    """Cells with an outcome."""
    failed: int
    fitness: Interval | None
    """Fitness over the cells, or over the training seeds if there is one cell; None without a reported figure."""
    random: float | None
    environment_reward: float | None
    scores: tuple[float, ...]
    """Normalised fitness, one per cell that has one."""
    alarms: int
    """Cells whose best program raised an alarm."""
    metrics: tuple[ReportedMetric, ...] = ()
    """Metrics of the task's card, over the cells as the fitness is."""

    @property
    def solved(self) -> bool | None:
        """Whether its mean fitness is at least that of the environment reward; None where that was not measured."""
        if self.fitness is None or self.environment_reward is None:
            return None
        return self.fitness.mean >= self.environment_reward


@dataclass(frozen=True)
class PresetSummary:
    """Results of one preset over all tasks."""

    preset: str
    cells: int
    failed: int
    tasks: int
    """Tasks with a normalised score."""
    interquartile_mean: Estimate | None
    """Interquartile mean of the normalised scores; None if there are none, as below."""
    mean: Estimate | None
    """Mean over tasks of the normalised scores; Eureka's normalised improvement is this less 1."""
    compared: int
    """Tasks with a baseline on the environment reward."""
    solved: int
    """Of these tasks, those on which it is at least as good as the baseline."""
    profile: tuple[float, ...]
    """Share of cells above each of `THRESHOLDS`; empty where there are no scores."""
    env_steps: int
    wall_s: float
    cost_usd: float | None
    """Cost of the language models; None if a price is unknown."""
    calls: int

    @property
    def wall_s_per_solved(self) -> float | None:
        """Wall time of all its cells over the tasks solved; None if none is."""
        return self.wall_s / self.solved if self.solved else None

    @property
    def cost_usd_per_solved(self) -> float | None:
        """Cost of all its cells over the tasks solved; None if none is, or a price is unknown."""
        return self.cost_usd / self.solved if self.solved and self.cost_usd is not None else None


@dataclass(frozen=True)
class PresetComparison:
    """Probability that a run of one preset does better than one of another, on a task drawn at random."""

    first: str
    second: str
    tasks: int
    """Tasks on which both have scores."""
    probability: Estimate


@dataclass(frozen=True)
class SweepSummary:
    """Summary of a whole sweep."""

    tasks: tuple[TaskSummary, ...]
    presets: tuple[PresetSummary, ...]
    """Sorted by interquartile mean, the highest first."""
    comparisons: tuple[PresetComparison, ...]
    thresholds: tuple[float, ...] = THRESHOLDS


def summarize_outcomes(outcomes: Iterable[CellOutcome]) -> SweepSummary:
    """Summarize outcomes by task, by preset, and preset against preset."""
    # Cells of one task and preset differ in their seeds.
    groups: defaultdict[tuple[str, str], list[CellOutcome]] = defaultdict(list)
    for outcome in outcomes:
        groups[outcome.task, outcome.preset].append(outcome)
    tasks = tuple(_summarize_task(cells) for cells in groups.values())

    # Each preset over all of its tasks.
    names = tuple(dict.fromkeys(preset for _, preset in groups))
    presets, scores = [], {}
    for name in names:
        own_tasks = [summary for summary in tasks if summary.preset == name]
        own_cells = [outcome for (_, preset), cells in groups.items() if preset == name for outcome in cells]
        scores[name] = _collect_scores(own_tasks)
        presets.append(_summarize_preset(name, own_tasks, own_cells))

    # Each pair of presets, on the tasks that both have.
    comparisons = []
    for first, second in combinations(names, 2):
        probability = statistics.probability_of_improvement(scores[first], scores[second])
        if probability is not None:
            shared_tasks = len(scores[first].keys() & scores[second].keys())
            comparisons.append(PresetComparison(first, second, shared_tasks, probability))

    presets.sort(key=lambda preset: -preset.interquartile_mean.value if preset.interquartile_mean else float("inf"))
    return SweepSummary(tasks, tuple(presets), tuple(comparisons))


def _summarize_task(cells: Sequence[CellOutcome]) -> TaskSummary:
    first = cells[0]
    baselines = [cell.environment_reward for cell in cells if cell.environment_reward is not None]
    return TaskSummary(
        task=first.task,
        env_id=first.env_id,
        preset=first.preset,
        cells=len(cells),
        failed=sum(cell.status == "failed" for cell in cells),
        fitness=_average_cells([cell.reported for cell in cells]),
        random=average_known(cell.random for cell in cells),
        environment_reward=average_known(baseline.mean for baseline in baselines),
        scores=tuple(cell.normalised for cell in cells if cell.normalised is not None),
        alarms=sum(cell.alarms > 0 for cell in cells),
        metrics=tuple(_summarize_metrics(cells)),
    )


def _summarize_metrics(cells: Sequence[CellOutcome]) -> Iterator[ReportedMetric]:
    """Yield the metrics over cells; one whose expression was changed since is another metric."""
    groups: defaultdict[tuple[str, str], list[ReportedMetric]] = defaultdict(list)
    for cell in cells:
        for metric in cell.metrics:
            groups[metric.name, metric.expression].append(metric)
    for (name, expression), metrics in groups.items():
        yield ReportedMetric(
            name,
            expression,
            metrics[-1].meaning,
            _average_cells([metric.reported for metric in metrics], expression),
            _average_cells([metric.environment_reward for metric in metrics], expression),
            average_known(metric.random for metric in metrics),
            _average_cells([metric.ensemble for metric in metrics], expression),
            _average_cells([metric.chosen for metric in metrics], expression),
        )


def _average_cells(intervals: Iterable[Interval | None], expression: str | None = None) -> Interval | None:
    """Return the interval over cells; where one cell alone has a value, its own interval over training seeds."""
    measured = [interval for interval in intervals if interval is not None]
    if len(measured) == 1:
        return measured[0]
    return confidence_interval([interval.mean for interval in measured], expression)


def _summarize_preset(name: str, tasks: Sequence[TaskSummary], cells: Sequence[CellOutcome]) -> PresetSummary:
    scores = _collect_scores(tasks)
    spent = sum_usage(cell.spent for cell in cells)
    return PresetSummary(
        preset=name,
        cells=len(cells),
        failed=sum(cell.status == "failed" for cell in cells),
        tasks=len(scores),
        interquartile_mean=statistics.interquartile_mean(scores) if scores else None,
        mean=statistics.mean_over_tasks(scores) if scores else None,
        compared=sum(task.solved is not None for task in tasks),
        solved=sum(task.solved is True for task in tasks),
        profile=statistics.performance_profile(scores, THRESHOLDS) if scores else (),
        env_steps=sum(cell.env_steps for cell in cells),
        wall_s=sum(cell.wall_s for cell in cells),
        cost_usd=spent.cost_usd,
        calls=spent.calls,
    )


def _collect_scores(tasks: Iterable[TaskSummary]) -> Scores:
    return {task.task: task.scores for task in tasks if task.scores}
