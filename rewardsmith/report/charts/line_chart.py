"""Where the lines of a chart lie, learning curves above all; `templates/_drawn.html` draws it.

Lengths are in the units of the SVG's viewBox.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rewardsmith.contract.records import CurvePoint
from rewardsmith.report.text import figure

LEFT, RIGHT, TOP = 46, 62, 12
LETTER = 9.3
"""Room for a letter of a label, on a phone."""
LEADER = 16
"""From a curve's end to its label."""


@dataclass(frozen=True)
class Size:
    """How large a picture is, and how much room its words take."""

    width: int
    height: int
    bottom: int
    """Room below the plot."""
    letter: float
    """Width of a letter of a label."""
    pitch: float
    """Least distance between two labels."""
    named: int
    """Lines that all get a label; where there are more, only the important ones do."""


SMALL = Size(640, 280, 44, LETTER, 18.0, 8)
"""For a column of a page, and for a phone, where its words are drawn larger."""
BROAD = Size(1000, 330, 36, 6.4, 14.0, 16)
"""For the whole width of a report."""


@dataclass(frozen=True)
class Line:
    """A curve to draw."""

    name: str
    points: tuple[tuple[float, float], ...]
    """Environment steps and fitness, or what else the axes are."""
    tone: int = 0
    """Which of the colours, by generation."""
    best: bool = False
    live: bool = False
    """Still being trained."""
    band: tuple[tuple[float, float, float], ...] = ()
    """x, and the least and the greatest of what the line is the mean of."""


@dataclass(frozen=True)
class Level:
    """A figure to compare with, drawn as a line across."""

    name: str
    value: float


@dataclass(frozen=True)
class Path:
    """A drawn curve."""

    line: Line
    d: str
    """The SVG path."""
    end: tuple[float, float]
    label_y: float | None
    """Where its name stands at the right; None where it has no place."""
    band: str = ""
    """The SVG path of the band around it."""


@dataclass(frozen=True)
class Tick:
    """A mark of an axis."""

    at: float
    text: str


@dataclass(frozen=True)
class Chart:
    """A whole picture."""

    paths: tuple[Path, ...]
    levels: tuple[tuple[Level, float], ...]
    """With their heights."""
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    x_name: str
    left: float
    right: float
    """Where the lines begin and end."""
    label_x: float
    size: Size


def points(curve: Sequence[CurvePoint]) -> tuple[tuple[float, float], ...]:
    """Return the finite fitness values of a learning curve."""
    known = [(float(one.env_steps), one.fitness) for one in curve if one.fitness is not None]
    return tuple((steps, value) for steps, value in known if math.isfinite(value))


def charts(lines: Sequence[Line], levels: Sequence[Level] = (), x_name: str = "environment steps") -> tuple[Chart, ...]:
    """Lay out a picture for a wide page and for a narrow one; nothing where there is nothing to draw."""
    return tuple(found for size in (BROAD, SMALL) if (found := chart(lines, levels, x_name, size)))


def chart(
    lines: Sequence[Line], levels: Sequence[Level] = (), x_name: str = "environment steps", size: Size = SMALL
) -> Chart | None:
    """Lay out a picture, from x = 0 on; None where there is nothing to draw."""
    drawn = [line for line in lines if line.points]
    if not drawn:
        return None
    shown = [level for level in levels if math.isfinite(level.value)]
    values = [value for line in drawn for _, value in line.points] + [level.value for level in shown]
    values += [edge for line in drawn for _, *edges in line.band for edge in edges]
    low, high = min(values), max(values)
    pad = 0.05 * ((high - low) or abs(high) or 1.0)
    low, high = low - pad, high + pad
    last = max(steps for line in drawn for steps, _ in line.points) or 1.0
    right = size.width - max(RIGHT, LEADER + 4 + size.letter * max(len(line.name) for line in drawn))
    base = size.height - size.bottom

    def place(steps: float, value: float) -> tuple[float, float]:
        x = LEFT + (right - LEFT) * steps / last
        return round(x, 1), round(TOP + (base - TOP) * (high - value) / (high - low), 1)

    ends = {id(line): place(*line.points[-1]) for line in drawn}
    named = sorted(drawn, key=lambda line: not (line.best or line.live))
    if len(drawn) > size.named:
        named = [line for line in named if line.best or line.live]
    named = named[: int((base - TOP) / size.pitch)]
    labels = spread({id(line): ends[id(line)][1] for line in named}, size.pitch, TOP, base - size.pitch / 2)
    paths = [
        Path(
            line,
            _joined([place(*point) for point in line.points]),
            ends[id(line)],
            labels.get(id(line)),
            _closed([place(x, top) for x, _, top in line.band], [place(x, bottom) for x, bottom, _ in line.band]),
        )
        for line in sorted(drawn, key=lambda line: (line.best, line.live))
    ]
    x_ticks = [Tick(place(at, low)[0], _short(at)) for at in ticks(0.0, last, 5)]
    y_ticks = [Tick(place(0.0, at)[1], figure(at, 3)) for at in ticks(low, high, 5)]
    heights = tuple((one, place(0, one.value)[1]) for one in shown)
    return Chart(tuple(paths), heights, tuple(x_ticks), tuple(y_ticks), x_name, LEFT, right, right + LEADER, size)


def ticks(low: float, high: float, about: int) -> list[float]:
    """Return round numbers from `low` to `high`, about so many.

    >>> ticks(0.0, 6.9, 5)
    [0.0, 2.0, 4.0, 6.0]
    """
    if not high > low:
        return [low]
    raw = (high - low) / about
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(nice * power for nice in (1.0, 2.0, 5.0, 10.0) if nice * power >= raw * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(number * step, 12) for number in range(first, last + 1)]


def _joined(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:g} {y:g}" for x, y in points)


def _closed(there: Sequence[tuple[float, float]], back: Sequence[tuple[float, float]]) -> str:
    return _joined([*there, *reversed(back)]) + "Z" if there else ""


def _short(steps: float) -> str:
    if steps >= 1_000_000:
        return f"{steps / 1_000_000:g} M"
    return f"{steps / 1_000:g} k" if steps >= 1_000 else f"{steps:g}"


def spread(wanted: Mapping[int, float], pitch: float, top: float, bottom: float) -> dict[int, float]:
    """Move labels apart, all of them together as little as can be.

    >>> spread({1: 50.0, 2: 52.0, 3: 90.0}, 10.0, 0.0, 92.0)
    {1: 46.0, 2: 56.0, 3: 90.0}

    Args:
        wanted: the height of each.
        pitch: the least distance between two.
        top: least height of the first.
        bottom: greatest height of the last; all have room above it.
    """
    order = sorted(wanted, key=lambda key: wanted[key])
    # Heights less what the labels above take must not fall: neighbours of which they would are placed as one block.
    blocks: list[tuple[float, int]] = []
    for at, key in enumerate(order):
        total, count = wanted[key] - at * pitch, 1
        while blocks and blocks[-1][0] / blocks[-1][1] > total / count:
            above = blocks.pop()
            total, count = total + above[0], count + above[1]
        blocks.append((total, count))
    starts = [total / count for total, count in blocks for _ in range(count)]
    lowest = bottom - (len(order) - 1) * pitch
    return {
        key: round(at * pitch + min(max(start, top), lowest), 1)
        for at, (key, start) in enumerate(zip(order, starts, strict=True))
    }
