"""A sweep's outcomes as rows: for a terminal, and for a spreadsheet."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from io import StringIO
from pathlib import Path

from rewardsmith import records
from rewardsmith.records import Interval
from rewardsmith.sweeps.book import Outcome

COLUMNS = (
    *("task", "recipe", "seed", "status", "fitness", "fitness_low", "fitness_high", "training_seeds"),
    *(
        "random",
        "own_reward",
        "normalised",
        "env_steps",
        "wall_s",
        "calls",
        "tokens",
        "cost_usd",
        "alarms",
        "cell",
        "cause",
    ),
)


def to_csv(outcomes: Iterable[Outcome], path: Path) -> None:
    """Write a row per cell; what is not known is empty.

    Raises:
        OSError: if it cannot be written.
    """
    text = StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    writer.writerows(map(_row, outcomes))
    records.write_text(path, text.getvalue())


def _row(outcome: Outcome) -> Sequence[object]:
    reported = outcome.reported
    known = (reported.mean, reported.low, reported.high, len(reported.values)) if reported else (None,) * 4
    own, spent = _mean(outcome.own_reward), outcome.spent
    head = (outcome.task, outcome.recipe, outcome.seed, outcome.status, *known, outcome.random, own)
    cost = (spent.calls, spent.tokens, spent.cost_usd)
    tail = (outcome.normalised, outcome.env_steps, round(outcome.wall_s, 1), *cost, outcome.alarms, outcome.cell)
    return (*head, *tail, outcome.cause or "")


def _mean(interval: Interval | None) -> float | None:
    return interval.mean if interval else None
