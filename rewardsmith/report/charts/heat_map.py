"""Layout of heat maps: a value for each cell of a grid; `templates/_drawn.html` draws them as SVG.

Lengths are in the units of the SVG's viewBox. Cells without a value stay empty.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rewardsmith.contract.text import format_number
from rewardsmith.report.charts.line_chart import AxisTick, round_ticks

WIDTH, HEIGHT = 320, 240
LEFT_MARGIN, RIGHT_MARGIN, TOP_MARGIN, BOTTOM_MARGIN = 50, 10, 24, 38
FAINTEST = 0.08
"""Opacity of a cell whose value is 0, so that it differs from one without a value."""
TICKS_PER_AXIS = 4


@dataclass(frozen=True)
class GridAxis:
    """An axis of a grid, cut into cells of equal width."""

    name: str
    low: float
    high: float
    """Outer edges of the first and the last cell, in the unit of the quantity; high is above low."""


@dataclass(frozen=True)
class MapCell:
    """A drawn cell."""

    x: float
    y: float
    sign: str
    """"plus" or "minus"; it decides the colour."""
    opacity: float
    """Opacity of the cell, from `FAINTEST` to 1."""
    text: str
    """Its value, shown when the pointer is over it."""


@dataclass(frozen=True)
class HeatMap:
    """A complete heat map."""

    cells: tuple[MapCell, ...]
    cell_width: float
    cell_height: float
    x_ticks: tuple[AxisTick, ...]
    y_ticks: tuple[AxisTick, ...]
    x_name: str
    y_name: str
    left: float
    right: float
    top: float
    bottom: float
    width: int = WIDTH
    height: int = HEIGHT


def layout_heat_map(values: Sequence[Sequence[float | None]], x: GridAxis, y: GridAxis, largest: float) -> HeatMap:
    """Lay out one map.

    Args:
        values: a row for each cell of the y axis from low to high, in it a value for each cell of the x axis; None
            where there is none.
        x: horizontal axis.
        y: vertical axis.
        largest: size of a value that gets the full colour; maps that are compared share it.
    """
    right, bottom = WIDTH - RIGHT_MARGIN, HEIGHT - BOTTOM_MARGIN
    width = (right - LEFT_MARGIN) / len(values[0])
    height = (bottom - TOP_MARGIN) / len(values)

    # Cells with a value, coloured by its sign and its size.
    cells = []
    for row, line in enumerate(values):
        for column, value in enumerate(line):
            if value is None:
                continue
            size = min(1.0, abs(value) / largest) if largest > 0.0 else 0.0
            left, top = LEFT_MARGIN + column * width, bottom - (row + 1) * height
            opacity = FAINTEST + (1.0 - FAINTEST) * size
            sign = "minus" if value < 0.0 else "plus"
            cells.append(MapCell(round(left, 2), round(top, 2), sign, round(opacity, 2), format_number(value, 3)))

    # Axes.
    x_scale, y_scale = (right - LEFT_MARGIN) / (x.high - x.low), (bottom - TOP_MARGIN) / (y.high - y.low)
    x_ticks = [(LEFT_MARGIN + (tick - x.low) * x_scale, tick) for tick in round_ticks(x.low, x.high, TICKS_PER_AXIS)]
    y_ticks = [(bottom - (tick - y.low) * y_scale, tick) for tick in round_ticks(y.low, y.high, TICKS_PER_AXIS)]
    return HeatMap(
        cells=tuple(cells),
        cell_width=round(width, 2),
        cell_height=round(height, 2),
        x_ticks=tuple(AxisTick(round(place, 1), format_number(tick, 3)) for place, tick in x_ticks),
        y_ticks=tuple(AxisTick(round(place, 1), format_number(tick, 3)) for place, tick in y_ticks),
        x_name=x.name,
        y_name=y.name,
        left=LEFT_MARGIN,
        right=right,
        top=TOP_MARGIN,
        bottom=bottom,
    )
