"""Evaluator: measures a policy's fitness and metrics on held-out seeds; it never sees the program."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from rewardsmith.contract.fitness import is_bounded_unit
from rewardsmith.contract.fitness.judged import JUDGED_FITNESS
from rewardsmith.contract.records import EvaluateJob, Evaluation, Interval, Probe, ReportedMetric
from rewardsmith.executors.base import Executor
from rewardsmith.spec.config import Config
from rewardsmith.spec.task_cards import Task

SELECTION, REPORT = 1_000_000_000, 1_500_000_000
"""First episode seeds of the selection and of the report, far from each other and from the training seeds."""

T_975 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131)
"""0.975 quantile of Student's t by degrees of freedom, from 1; beyond these the normal's 1.96 is used."""


def episode_seeds(config: Config, first: int, count: int) -> tuple[int, ...]:
    """Return `count` episode seeds, the same for every candidate of a search.

    Args:
        config: for the seed of the search.
        first: SELECTION or REPORT.
        count: how many, at most 10,000.
    """
    start = first + 10_000 * (config.search.seed % 10_000)
    return tuple(range(start, start + count))


def evaluate_policy(
    executor: Executor,
    task: Task,
    probe: Probe,
    policy: Path | None,
    episodes: tuple[int, ...],
    out: Path,
    reads: Sequence[str] = (),
    deterministic: bool = True,
) -> Evaluation:
    """Run a policy for one episode per seed; blocks until it is done.

    Args:
        executor: where it runs.
        task: with the fitness expression and the metrics that are measured.
        probe: the environment's catalogue.
        policy: folder of the policy; None acts at random.
        episodes: one seed each.
        out: folder for the recorded episodes.
        reads: signals to record with those that the task names: the program's, which is not seen here.
        deterministic: take the policy's likeliest actions; else draw them with the episode's seed.

    Raises:
        WorkerFailed: if the machinery failed repeatedly.
    """
    job = EvaluateJob(
        env=replace(task.env, signals=probe.signals, privileged_signals=probe.privileged_signals),
        policy=None if policy is None else str(policy),
        fitness=task.fitness,
        seeds=episodes,
        record=tuple(dict.fromkeys((*(signal.name for signal in task.env.signals), *reads))),
        deterministic=deterministic,
        metrics=task.metric_expressions,
    )
    return executor.run(job, out)


def confidence_interval(values: Sequence[float], expression: str | None = None) -> Interval | None:
    """Return the mean with its 95 % confidence interval by Student's t; None without values.

    >>> confidence_interval([1.0, 2.0, 3.0])
    Interval(mean=2.0, low=-0.484..., high=4.484..., values=(1.0, 2.0, 3.0))
    >>> confidence_interval([0.25, 0.75], "any(success)")
    Interval(mean=0.5, low=0.0, high=1.0, values=(0.25, 0.75))

    Args:
        values: one per training seed, or per episode.
        expression: that the values come from, or `JUDGED_FITNESS`; the interval of one that lies in [0, 1] is cut to
            [0, 1].
    """
    n = len(values)
    if n == 0:
        return None
    mean = sum(values) / n
    if n == 1:
        return Interval(mean, None, None, tuple(values))
    deviation = math.sqrt(sum((value - mean) ** 2 for value in values) / (n - 1))
    quantile = T_975[n - 2] if n - 2 < len(T_975) else 1.96
    half_width = quantile * deviation / math.sqrt(n)
    low, high = mean - half_width, mean + half_width
    if expression is not None and (expression == JUDGED_FITNESS or is_bounded_unit(expression)):
        low, high = max(low, 0.0), min(high, 1.0)
    return Interval(mean, low, high, tuple(values))


def summarise_metrics(
    evaluations: Iterable[Evaluation], expressions: Mapping[str, str] | None = None
) -> dict[str, Interval]:
    """Return the mean of each metric over evaluations; a metric that has no value in any is left out.

    >>> summarise_metrics([Evaluation("ok", (), 1.0, 0.1, metrics={"fell": 0.25, "gap": None})])
    {'fell': Interval(mean=0.25, low=None, high=None, values=(0.25,))}

    Args:
        evaluations: of one program, or of random actions.
        expressions: the metrics' expressions by name, as far as they are known.
    """
    evaluations = list(evaluations)
    names = dict.fromkeys(name for evaluation in evaluations for name in evaluation.metrics)
    summary = {}
    for name in names:
        values = [value for evaluation in evaluations if (value := evaluation.metrics.get(name)) is not None]
        interval = confidence_interval(values, (expressions or {}).get(name))
        if interval is not None:
            summary[name] = interval
    return summary


def report_metrics(
    task: Task,
    *,
    reported: Sequence[Evaluation] = (),
    environment_reward: Sequence[Evaluation] = (),
    random: Evaluation | None = None,
    ensemble: Sequence[Evaluation] = (),
    chosen: Sequence[Evaluation] = (),
) -> tuple[ReportedMetric, ...]:
    """Return a task's metrics, each over the evaluations of everything that was measured.

    Args:
        task: names the metrics.
        reported: of the best program retrained on fresh seeds, one per training seed.
        environment_reward: of policies trained on the environment reward.
        random: of random actions.
        ensemble: of the best programs joined.
        chosen: of the best program in the search.
    """
    expressions = task.metric_expressions
    of_reported = summarise_metrics(reported, expressions)
    of_environment_reward = summarise_metrics(environment_reward, expressions)
    of_ensemble = summarise_metrics(ensemble, expressions)
    of_chosen = summarise_metrics(chosen, expressions)
    return tuple(
        ReportedMetric(
            metric.name,
            metric.expression,
            metric.meaning,
            of_reported.get(metric.name),
            of_environment_reward.get(metric.name),
            random.metrics.get(metric.name) if random else None,
            of_ensemble.get(metric.name),
            of_chosen.get(metric.name),
        )
        for metric in task.metrics
    )


def normalise_fitness(fitness: float | None, random: float | None, environment_reward: float | None) -> float | None:
    """Return (fitness - random) / (environment reward - random).

    Returns:
        None where one of them is missing or the divisor is not positive.

    >>> normalise_fitness(3.0, 1.0, 2.0)
    2.0

    Args:
        fitness: of the program.
        random: fitness of random actions.
        environment_reward: fitness of policies trained on the environment reward.
    """
    if fitness is None or random is None or environment_reward is None or environment_reward <= random:
        return None
    return (fitness - random) / (environment_reward - random)
