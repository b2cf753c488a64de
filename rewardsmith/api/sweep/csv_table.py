"""A sweep's outcomes as rows: for a terminal, and for a spreadsheet."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from io import StringIO
from pathlib import Path

from rewardsmith.api.sweep.store import Outcome
from rewardsmith.contract import records
from rewardsmith.contract.records import Interval

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
    rows = list(outcomes)
    names = dict.fromkeys(one.name for outcome in rows for one in outcome.figures)
    text = StringIO()
    writer = csv.writer(text)
    writer.writerow((*COLUMNS, *(f"figure.{name}{end}" for name in names for end in ("", "_low", "_high"))))
    writer.writerows((*_row(outcome), *_further(outcome, names)) for outcome in rows)
    records.write_text(path, text.getvalue())


def _row(outcome: Outcome) -> Sequence[object]:
    reported = outcome.reported
    known = (reported.mean, reported.low, reported.high, len(reported.values)) if reported else (None,) * 4
    own, spent = _mean(outcome.own_reward), outcome.spent
    head = (outcome.task, outcome.recipe, outcome.seed, outcome.status, *known, outcome.random, own)
    cost = (spent.calls, spent.tokens, spent.cost_usd)
    tail = (outcome.normalised, outcome.env_steps, round(outcome.wall_s, 1), *cost, outcome.alarms, outcome.cell)
    return (*head, *tail, outcome.cause or "")


def _further(outcome: Outcome, names: Iterable[str]) -> Iterator[float | None]:
    """Yield the mean of each further figure, of the best program trained anew, and the ends of its interval."""
    known = {one.name: one.reported for one in outcome.figures}
    for name in names:
        over = known.get(name)
        yield from (over.mean, over.low, over.high) if over else (None,) * 3


def _mean(interval: Interval | None) -> float | None:
    return interval.mean if interval else None
