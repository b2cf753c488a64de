"""A task's metrics over the evaluations that a result, a report or a page shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from rewardsmith.contract.records import Evaluation, Interval, ReportedMetric
from rewardsmith.search.intervals import confidence_interval
from rewardsmith.spec.task_cards import Task


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
