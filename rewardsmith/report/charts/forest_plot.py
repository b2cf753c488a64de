"""Layout of forest plots: a row for each estimate, a dot at its mean, a bar for its interval.

Lengths are in the units of the SVG's viewBox; `templates/_drawn.html` draws it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rewardsmith.contract.text import format_number
from rewardsmith.report.charts.line_chart import (
    LETTER_WIDTH,
    TICKS_PER_AXIS,
    AxisTick,
    ReferenceLevel,
    round_ticks,
)

ROW_HEIGHT, HEAD_HEIGHT, FOOT_HEIGHT = 26, 16, 22
VALUE_WIDTH = 58
"""Room for the number at the right."""
VALUE_PADDING = 0.04
"""Space left and right of the marks, as a part of the range of values."""
MAX_NAME_PART = 0.4
"""Most that the names may take of the width."""


@dataclass(frozen=True)
class ForestEntry:
    """An estimate to draw."""

    name: str
    mean: float
    low: float | None = None
    high: float | None = None
    tone: int = 0
    """Number of its colour."""
    link: str = ""
    """Address that the name links to; empty for none."""


@dataclass(frozen=True)
class ForestMark:
    """A drawn estimate."""

    entry: ForestEntry
    y: float
    x: float
    left: float
    right: float
    """Ends of its interval; both at x if it has none."""
    text: str


@dataclass(frozen=True)
class ForestPlot:
    """The complete picture."""

    marks: tuple[ForestMark, ...]
    levels: tuple[tuple[ReferenceLevel, float], ...]
    """Reference levels, each with its x."""
    ticks: tuple[AxisTick, ...]
    begin: float
    end: float
    """x of the ends of the rows' tracks."""
    width: float
    height: float


def layout_forest(entries: Sequence[ForestEntry], levels: Sequence[ReferenceLevel], width: float) -> ForestPlot | None:
    """Lay out a forest plot; None if there is nothing finite to draw."""
    drawn = [entry for entry in entries if math.isfinite(entry.mean)]
    if not drawn:
        return None

    # Range of values.
    values = [level.value for level in levels]
    for entry in drawn:
        values += [value for value in (entry.mean, entry.low, entry.high) if value is not None]
    low, high = min(values), max(values)
    padding = VALUE_PADDING * ((high - low) or abs(high) or 1.0)
    low, high = low - padding, high + padding

    # Range of x: between the names and the numbers.
    name_width = 14 + LETTER_WIDTH * max(len(entry.name) for entry in drawn)
    begin, end = min(MAX_NAME_PART * width, name_width), width - VALUE_WIDTH

    def place(value: float) -> float:
        return round(begin + (end - begin) * (value - low) / (high - low), 1)

    marks = []
    for row, entry in enumerate(drawn):
        left = place(entry.mean if entry.low is None else entry.low)
        right = place(entry.mean if entry.high is None else entry.high)
        y = HEAD_HEIGHT + ROW_HEIGHT * (row + 0.5)
        marks.append(ForestMark(entry, y, place(entry.mean), left, right, format_number(entry.mean, 3)))

    return ForestPlot(
        marks=tuple(marks),
        levels=tuple((level, place(level.value)) for level in levels),
        ticks=tuple(
            AxisTick(place(value), format_number(value, 3)) for value in round_ticks(low, high, TICKS_PER_AXIS)
        ),
        begin=begin,
        end=end,
        width=width,
        height=HEAD_HEIGHT + ROW_HEIGHT * len(drawn) + FOOT_HEIGHT,
    )
