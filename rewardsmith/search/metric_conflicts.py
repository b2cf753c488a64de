"""Conflicts of the fitness with a task's metrics: the best program by the one is among the worst by the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

from rewardsmith.contract.records import Candidate, Metric
from rewardsmith.contract.text import format_number

LEAST_PROGRAMS = 4
"""Smallest number of programs with a value of the metric whose median is used."""


def describe_conflicts(metrics: Sequence[Metric], best: Candidate, candidates: Sequence[Candidate]) -> Iterator[str]:
    """Yield a notice for each metric by which the best program is worse than half of the others.

    Only metrics whose card says which direction is better take part. Nothing is selected by them.

    Args:
        metrics: of the task.
        best: the program that the search names.
        candidates: every program of the search.
    """
    for metric in metrics:
        if metric.better is None:
            continue
        sign = 1.0 if metric.better == "higher" else -1.0
        values = {one.id: sign * value for one in candidates if (value := one.average_metric(metric.name)) is not None}
        if best.id not in values or len(values) < LEAST_PROGRAMS or values[best.id] >= median(values.values()):
            continue
        others = format_number(sign * median(values.values()))
        yield (
            f"{best.id}, the best by its fitness, has {metric.name} {format_number(sign * values[best.id])}, worse "
            f"than half of the programs (median {others}): look whether the fitness measures what the task asks"
        )
