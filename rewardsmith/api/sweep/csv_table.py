"""Outcomes of a sweep as CSV, for a spreadsheet."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from io import StringIO
from pathlib import Path

from rewardsmith.api.sweep.store import CellOutcome
from rewardsmith.contract import records

COLUMNS = (
    *("task", "preset", "seed", "status", "fitness", "fitness_low", "fitness_high", "training_seeds"),
    *("random", "environment_reward", "normalised", "env_steps", "wall_s"),
    *("calls", "tokens", "cost_usd", "alarms", "cell", "cause"),
)


def write_csv(outcomes: Iterable[CellOutcome], path: Path) -> None:
    """Write a row per cell; unknown values are empty.

    Raises:
        OSError: if it cannot be written.
    """
    rows = list(outcomes)
    metrics = tuple(dict.fromkeys(metric.name for outcome in rows for metric in outcome.metrics))
    text = StringIO()
    writer = csv.writer(text)
    writer.writerow((*COLUMNS, *(f"metric.{name}{end}" for name in metrics for end in ("", "_low", "_high"))))
    writer.writerows((*_build_row(outcome), *_list_metrics(outcome, metrics)) for outcome in rows)
    records.write_text(path, text.getvalue())


def _build_row(outcome: CellOutcome) -> Sequence[object]:
    reported, spent = outcome.reported, outcome.spent
    baseline = outcome.environment_reward.mean if outcome.environment_reward else None
    fitness = (reported.mean, reported.low, reported.high, len(reported.values)) if reported else (None,) * 4
    return (
        *(outcome.task, outcome.preset, outcome.seed, outcome.status),
        *fitness,
        *(outcome.random, baseline, outcome.normalised, outcome.env_steps, round(outcome.wall_s, 1)),
        *(spent.calls, spent.tokens, spent.cost_usd),
        *(outcome.alarms, outcome.cell, outcome.cause or ""),
    )


def _list_metrics(outcome: CellOutcome, names: Iterable[str]) -> Iterator[float | None]:
    """Yield the mean of each metric, of the best program retrained on fresh seeds, and the ends of its interval."""
    intervals = {metric.name: metric.reported for metric in outcome.metrics}
    for name in names:
        interval = intervals.get(name)
        yield from (interval.mean, interval.low, interval.high) if interval else (None,) * 3
