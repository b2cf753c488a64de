"""Where the marks of a forest plot lie: a row for each figure, a dot for its mean, a bar for its interval.

Lengths are in the units of the SVG's viewBox; `templates/_drawn.html` draws it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rewardsmith.report.charts.line_chart import LETTER, Level, Tick, ticks
from rewardsmith.report.text import figure

ROW, HEAD, FOOT = 26, 16, 22
VALUE = 58
"""Room for the figure at the right."""


@dataclass(frozen=True)
class Entry:
    """A figure to draw."""

    name: str
    mean: float
    low: float | None = None
    high: float | None = None
    tone: int = 0
    """Which of the colours."""
    link: str = ""
    """Where the name leads; empty: nowhere."""


@dataclass(frozen=True)
class Mark:
    """A drawn figure."""

    entry: Entry
    y: float
    x: float
    left: float
    right: float
    """Where its interval begins and ends; both at x where it has none."""
    text: str


@dataclass(frozen=True)
class Forest:
    """A whole picture."""

    marks: tuple[Mark, ...]
    levels: tuple[tuple[Level, float], ...]
    """With their places along x."""
    ticks: tuple[Tick, ...]
    begin: float
    end: float
    """Where the tracks begin and end."""
    width: float
    height: float


def forest(entries: Sequence[Entry], levels: Sequence[Level], width: float) -> Forest | None:
    """Lay out a picture; None where there is nothing finite to draw."""
    drawn = [entry for entry in entries if math.isfinite(entry.mean)]
    if not drawn:
        return None
    bounds = [value for entry in drawn for value in (entry.low, entry.high) if value is not None]
    values = [entry.mean for entry in drawn] + [level.value for level in levels] + bounds
    low, high = min(values), max(values)
    pad = 0.04 * ((high - low) or abs(high) or 1.0)
    low, high = low - pad, high + pad
    begin = min(0.4 * width, 14 + LETTER * max(len(entry.name) for entry in drawn))
    end = width - VALUE

    def place(value: float) -> float:
        return round(begin + (end - begin) * (value - low) / (high - low), 1)

    marks = []
    for row, entry in enumerate(drawn):
        left = place(entry.mean if entry.low is None else entry.low)
        right = place(entry.mean if entry.high is None else entry.high)
        marks.append(Mark(entry, HEAD + ROW * (row + 0.5), place(entry.mean), left, right, figure(entry.mean, 3)))
    height = HEAD + ROW * len(drawn) + FOOT
    axis = tuple(Tick(place(at), figure(at, 3)) for at in ticks(low, high, 5))
    return Forest(tuple(marks), tuple((one, place(one.value)) for one in levels), axis, begin, end, width, height)
