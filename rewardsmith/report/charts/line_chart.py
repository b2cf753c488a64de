"""Layout of line charts, above all of learning curves; `templates/_drawn.html` draws them as SVG.

Lengths are in the units of the SVG's viewBox.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rewardsmith.contract.records import CurvePoint
from rewardsmith.contract.text import format_number

LEFT_MARGIN, RIGHT_MARGIN, TOP_MARGIN = 46, 62, 12
LETTER_WIDTH = 9.3
"""Width of a letter of a label on a phone."""
LEADER_LENGTH = 16
"""Distance from the end of a curve to its label."""
VALUE_PADDING = 0.05
"""Space above and below the curves, as a part of the range of values."""
TICKS_PER_AXIS = 5


@dataclass(frozen=True)
class ChartSize:
    """Size of a picture, and the room that its words take."""

    width: int
    height: int
    bottom: int
    """Room below the plot."""
    letter: float
    """Width of a letter of a label."""
    pitch: float
    """Least distance between two labels."""
    named: int
    """Most lines that all get a label; with more of them, only the important ones do."""


SMALL = ChartSize(640, 280, 44, LETTER_WIDTH, 18.0, 8)
"""Size for a column of a page, and for a phone, where its words are drawn larger."""
BROAD = ChartSize(1000, 330, 36, 6.4, 14.0, 16)
"""Size for the whole width of a report."""


@dataclass(frozen=True)
class ChartLine:
    """A curve to draw."""

    name: str
    points: tuple[tuple[float, float], ...]
    """Environment steps and fitness, or other quantities of the axes."""
    tone: int = 0
    """Number of its colour, by generation."""
    best: bool = False
    live: bool = False
    """Whether it is still being trained."""
    band: tuple[tuple[float, float, float], ...] = ()
    """x, and minimum and maximum of the values whose mean the line is."""


@dataclass(frozen=True)
class ReferenceLevel:
    """A value to compare with, drawn as a horizontal line."""

    name: str
    value: float


@dataclass(frozen=True)
class CurvePath:
    """A drawn curve."""

    line: ChartLine
    d: str
    """The SVG path."""
    end: tuple[float, float]
    label_y: float | None
    """Height of its label at the right; None without a label."""
    band: str = ""
    """The SVG path of the band around it."""


@dataclass(frozen=True)
class AxisTick:
    """A mark of an axis."""

    at: float
    text: str


@dataclass(frozen=True)
class LineChart:
    """A complete chart."""

    paths: tuple[CurvePath, ...]
    levels: tuple[tuple[ReferenceLevel, float], ...]
    """Reference levels, each with its height."""
    x_ticks: tuple[AxisTick, ...]
    y_ticks: tuple[AxisTick, ...]
    x_name: str
    left: float
    right: float
    """x of the ends of the axes."""
    label_x: float
    size: ChartSize


@dataclass(frozen=True)
class PlotScale:
    """Mapping from data to places in the picture."""

    low: float
    high: float
    """Values at the bottom and at the top of the plot."""
    last_step: float
    """x at the right end; x = 0 is at the left end."""
    right: float
    bottom: float
    """Ends of the plot in the picture."""

    def place(self, step: float, value: float) -> tuple[float, float]:
        """Return where a point is drawn."""
        x = LEFT_MARGIN + (self.right - LEFT_MARGIN) * step / self.last_step
        y = TOP_MARGIN + (self.bottom - TOP_MARGIN) * (self.high - value) / (self.high - self.low)
        return round(x, 1), round(y, 1)


def finite_points(curve: Sequence[CurvePoint]) -> tuple[tuple[float, float], ...]:
    """Return the points of a learning curve that have a finite fitness, as (environment steps, fitness)."""
    measured = [(float(point.env_steps), point.fitness) for point in curve if point.fitness is not None]
    return tuple((steps, fitness) for steps, fitness in measured if math.isfinite(fitness))


def layout_charts(
    lines: Sequence[ChartLine], levels: Sequence[ReferenceLevel] = (), x_name: str = "environment steps"
) -> tuple[LineChart, ...]:
    """Lay out a chart for a wide page and one for a narrow page; empty if there is nothing to draw."""
    drawn = [layout_chart(lines, levels, x_name, size) for size in (BROAD, SMALL)]
    return tuple(chart for chart in drawn if chart is not None)


def layout_chart(
    lines: Sequence[ChartLine],
    levels: Sequence[ReferenceLevel] = (),
    x_name: str = "environment steps",
    size: ChartSize = SMALL,
) -> LineChart | None:
    """Lay out a chart, from x = 0 on; None if there is nothing to draw."""
    drawn = [line for line in lines if line.points]
    finite_levels = [level for level in levels if math.isfinite(level.value)]
    if not drawn:
        return None
    scale = _fit_scale(drawn, finite_levels, size)

    # Labels at the ends of the curves, moved apart where they would overlap.
    ends = {id(line): scale.place(*line.points[-1]) for line in drawn}
    labelled = _choose_labelled_lines(drawn, scale, size)
    wanted_heights = {id(line): ends[id(line)][1] for line in labelled}
    label_heights = spread_labels(wanted_heights, size.pitch, TOP_MARGIN, scale.bottom - size.pitch / 2)

    # Curves; the best and the running ones are drawn last, over the others.
    paths = []
    for line in sorted(drawn, key=lambda line: (line.best, line.live)):
        curve = _svg_path([scale.place(*point) for point in line.points])
        upper = [scale.place(x, high) for x, _, high in line.band]
        lower = [scale.place(x, low) for x, low, _ in line.band]
        paths.append(CurvePath(line, curve, ends[id(line)], label_heights.get(id(line)), _svg_band(upper, lower)))

    # Axes and reference levels.
    steps = round_ticks(0.0, scale.last_step, TICKS_PER_AXIS)
    values = round_ticks(scale.low, scale.high, TICKS_PER_AXIS)
    return LineChart(
        paths=tuple(paths),
        levels=tuple((level, scale.place(0.0, level.value)[1]) for level in finite_levels),
        x_ticks=tuple(AxisTick(scale.place(step, scale.low)[0], _format_steps(step)) for step in steps),
        y_ticks=tuple(AxisTick(scale.place(0.0, value)[1], format_number(value, 3)) for value in values),
        x_name=x_name,
        left=LEFT_MARGIN,
        right=scale.right,
        label_x=scale.right + LEADER_LENGTH,
        size=size,
    )


def _fit_scale(lines: Sequence[ChartLine], levels: Sequence[ReferenceLevel], size: ChartSize) -> PlotScale:
    """Return the scale in which all curves, bands, levels and labels have room."""
    # Range of values.
    values = [level.value for level in levels]
    for line in lines:
        values += [value for _, value in line.points]
        for _, low, high in line.band:
            values += [low, high]
    low, high = min(values), max(values)
    padding = VALUE_PADDING * ((high - low) or abs(high) or 1.0)

    # Range of steps, and the room for labels at the right.
    last_step = max(step for line in lines for step, _ in line.points) or 1.0
    label_width = size.letter * max(len(line.name) for line in lines)
    right = size.width - max(RIGHT_MARGIN, LEADER_LENGTH + 4 + label_width)
    return PlotScale(low - padding, high + padding, last_step, right, size.height - size.bottom)


def _choose_labelled_lines(lines: Sequence[ChartLine], scale: PlotScale, size: ChartSize) -> list[ChartLine]:
    """Return the lines that get a label: all if they are few, else the best and the running ones."""
    labelled = sorted(lines, key=lambda line: not (line.best or line.live))
    if len(lines) > size.named:
        labelled = [line for line in labelled if line.best or line.live]
    capacity = int((scale.bottom - TOP_MARGIN) / size.pitch)
    return labelled[:capacity]


def round_ticks(low: float, high: float, count: int) -> list[float]:
    """Return about `count` round numbers from `low` to `high`.

    >>> round_ticks(0.0, 6.9, 5)
    [0.0, 2.0, 4.0, 6.0]
    """
    if not high > low:
        return [low]

    # The smallest of 1, 2, 5, 10 times a power of ten that is not below the exact distance.
    exact = (high - low) / count
    power = 10.0 ** math.floor(math.log10(exact))
    step = next(factor * power for factor in (1.0, 2.0, 5.0, 10.0) if factor * power >= exact * 0.999)

    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(number * step, 12) for number in range(first, last + 1)]


def _svg_path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:g} {y:g}" for x, y in points)


def _svg_band(upper: Sequence[tuple[float, float]], lower: Sequence[tuple[float, float]]) -> str:
    """Return a closed path along the upper edge and back along the lower one; empty without a band."""
    return _svg_path([*upper, *reversed(lower)]) + "Z" if upper else ""


def _format_steps(steps: float) -> str:
    if steps >= 1_000_000:
        return f"{steps / 1_000_000:g} M"
    return f"{steps / 1_000:g} k" if steps >= 1_000 else f"{steps:g}"


def spread_labels(wanted: Mapping[int, float], pitch: float, top: float, bottom: float) -> dict[int, float]:
    """Move labels apart, all of them together as little as possible (isotonic regression by pooling neighbours).

    >>> spread_labels({1: 50.0, 2: 52.0, 3: 90.0}, 10.0, 0.0, 92.0)
    {1: 46.0, 2: 56.0, 3: 90.0}

    Args:
        wanted: the wanted height of each label, by key.
        pitch: the least distance between two labels.
        top: least height of the first label.
        bottom: greatest height of the last label; all labels must have room above it.
    """
    order = sorted(wanted, key=lambda key: wanted[key])

    # Subtract the room of the labels above: the remaining heights must not decrease. Labels that would violate this
    # are pooled into one block, at the mean of their heights. A block is (sum of heights, number of labels).
    blocks: list[tuple[float, int]] = []
    for index, key in enumerate(order):
        total, count = wanted[key] - index * pitch, 1
        while blocks and blocks[-1][0] / blocks[-1][1] > total / count:
            total_above, count_above = blocks.pop()
            total, count = total + total_above, count + count_above
        blocks.append((total, count))

    # Each label's height: its block's mean, kept inside the picture, plus the room of the labels above.
    block_heights = [total / count for total, count in blocks for _ in range(count)]
    lowest = bottom - (len(order) - 1) * pitch
    heights = {}
    for index, (key, block_height) in enumerate(zip(order, block_heights, strict=True)):
        heights[key] = round(index * pitch + min(max(block_height, top), lowest), 1)
    return heights
