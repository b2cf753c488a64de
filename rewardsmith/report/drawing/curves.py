"""Where the lines of a chart lie, learning curves above all; `templates/_drawn.html` draws it.

Lengths are in the units of the SVG's viewBox.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rewardsmith.records import CurvePoint
from rewardsmith.report.text import figure

WIDTH, HEIGHT = 640, 280
LEFT, RIGHT, TOP, BOTTOM = 46, 62, 12, 30
LETTER = 8.5
"""Room for a letter of a label, on a phone."""
LABEL_PITCH = 13.0
"""Least distance between two labels at the right."""


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


def points(curve: Sequence[CurvePoint]) -> tuple[tuple[float, float], ...]:
    """Return the finite fitness values of a learning curve."""
    known = [(float(one.env_steps), one.fitness) for one in curve if one.fitness is not None]
    return tuple((steps, value) for steps, value in known if math.isfinite(value))


def chart(lines: Sequence[Line], levels: Sequence[Level] = (), x_name: str = "environment steps") -> Chart | None:
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

    right = WIDTH - max(RIGHT, 10 + LETTER * max(len(line.name) for line in drawn))

    def place(steps: float, value: float) -> tuple[float, float]:
        x = LEFT + (right - LEFT) * steps / last
        return round(x, 1), round(TOP + (HEIGHT - TOP - BOTTOM) * (high - value) / (high - low), 1)

    ends = {id(line): place(*line.points[-1]) for line in drawn}
    named = _spread({id(line): ends[id(line)][1] for line in drawn if line.best or line.live or len(drawn) <= 8})
    paths = [
        Path(
            line,
            _joined([place(*point) for point in line.points]),
            ends[id(line)],
            named.get(id(line)),
            _closed([place(x, top) for x, _, top in line.band], [place(x, bottom) for x, bottom, _ in line.band]),
        )
        for line in sorted(drawn, key=lambda line: (line.best, line.live))
    ]
    x_ticks = [Tick(place(at, low)[0], _short(at)) for at in ticks(0.0, last, 5)]
    y_ticks = [Tick(place(0.0, at)[1], figure(at, 3)) for at in ticks(low, high, 5)]
    heights = tuple((one, place(0, one.value)[1]) for one in shown)
    return Chart(tuple(paths), heights, tuple(x_ticks), tuple(y_ticks), x_name, LEFT, right)


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


def _spread(wanted: dict[int, float]) -> dict[int, float]:
    """Move labels apart, each as little as needed, from top to bottom; those that find no room are left out."""
    placed: dict[int, float] = {}
    lowest = -math.inf
    for key, y in sorted(wanted.items(), key=lambda item: item[1]):
        lowest = max(y, lowest + LABEL_PITCH)
        if lowest <= HEIGHT - BOTTOM + LABEL_PITCH:
            placed[key] = lowest
    return placed
