"""Layout of the archive of behaviours: a heat map with a field for each cell, and a row for each filled one.

Lengths are in the units of the SVG's viewBox; `templates/_drawn.html` draws it. With one descriptor it is one row of
fields. The first descriptor goes to the right, the second one up.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rewardsmith.contract.records import BehaviourDescriptor, Candidate, Result
from rewardsmith.contract.text import format_number
from rewardsmith.report.charts.line_chart import AxisTick
from rewardsmith.search.steps.evolution import BehaviourArchive
from rewardsmith.search.steps.evolution.archive import Cell, Elite
from rewardsmith.search.storage.layout import RunLayout

WIDTH, HEIGHT = 560, 340
"""Room for the fields."""
LEFT, TOP, BOTTOM, RIGHT = 58, 8, 38, 8
MAX_FIELD_WIDTH, MAX_FIELD_HEIGHT = 70, 40
MIN_TEXT_WIDTH, MIN_TEXT_HEIGHT = 34, 14
"""Least size of a field in which its fitness is written; smaller ones show it when the pointer is on them."""
MIN_SHADE = 0.18
"""Opacity of the field with the lowest fitness, so that it differs from an empty one."""
MAX_TICKS = 6


@dataclass(frozen=True)
class ArchiveField:
    """A cell, drawn."""

    x: float
    y: float
    candidate: str
    """Id of the program whose policy is in the cell; empty for an empty cell."""
    fitness: str
    """Written into the field; empty where it has no room."""
    shade: float
    """Fitness between the lowest and the highest of the archive, in [MIN_SHADE, 1]; 0 for an empty cell."""
    title: str


@dataclass(frozen=True)
class ArchiveRow:
    """A filled cell in the table."""

    elite: Elite
    ranges: tuple[str, ...]
    """Ranges of the cell, one for each descriptor."""
    policy: str
    """Folder of the policy, relative to the run directory."""


@dataclass(frozen=True)
class ArchiveMap:
    """The complete picture, and what is written next to it."""

    descriptors: tuple[BehaviourDescriptor, ...]
    fields: tuple[ArchiveField, ...]
    x_ticks: tuple[AxisTick, ...]
    y_ticks: tuple[AxisTick, ...]
    field_width: float
    field_height: float
    width: float
    height: float
    rows: tuple[ArchiveRow, ...]
    """Filled cells, the highest fitness first."""
    size: int
    """Number of cells, filled or not."""
    coverage: float
    qd_score: float | None
    """QD score; None while the fitness of random actions is not known."""


def layout_archive(
    descriptors: Sequence[BehaviourDescriptor], candidates: Sequence[Candidate], random: float | None
) -> ArchiveMap | None:
    """Lay out the archive of a search; None if its task has no descriptors or no policy was measured.

    Args:
        descriptors: of the task, one or two.
        candidates: of the search, in any order.
        random: fitness of random actions, from which the QD score counts; None where it is not known.
    """
    ordered = sorted(candidates, key=lambda candidate: (candidate.generation, candidate.slot))
    archive = BehaviourArchive.build(descriptors, ordered)
    if not descriptors or not archive.elites:
        return None

    # Size of a field: as large as the room allows.
    columns, rows = descriptors[0].bins, descriptors[1].bins if len(descriptors) > 1 else 1
    width = round(min(MAX_FIELD_WIDTH, WIDTH / columns), 2)
    height = round(min(MAX_FIELD_HEIGHT, HEIGHT / rows), 2)
    bottom = TOP + rows * height

    best_first = sorted(archive.elites.items(), key=lambda item: -item[1].fitness)
    return ArchiveMap(
        descriptors=archive.descriptors,
        fields=tuple(_draw_fields(archive, columns, rows, width, height)),
        x_ticks=_make_ticks(descriptors[0], LEFT, width),
        y_ticks=_make_ticks(descriptors[1], bottom, -height) if len(descriptors) > 1 else (),
        field_width=width,
        field_height=height,
        width=LEFT + columns * width + RIGHT,
        height=bottom + BOTTOM,
        rows=tuple(_make_row(archive, cell, elite) for cell, elite in best_first),
        size=archive.size,
        coverage=archive.coverage,
        qd_score=None if random is None else archive.compute_qd_score(random),
    )


def find_random_fitness(result: Result | None) -> float | None:
    """Return the fitness of random actions that a search measured; None while it is not known."""
    return result.baselines.random if result else None


def _draw_fields(
    archive: BehaviourArchive, columns: int, rows: int, width: float, height: float
) -> Iterator[ArchiveField]:
    """Yield the fields of a map, row by row from below; the shade goes from the lowest to the highest fitness."""
    values = [elite.fitness for elite in archive.elites.values()]
    lowest, span = min(values), (max(values) - min(values)) or 1.0
    has_text = width >= MIN_TEXT_WIDTH and height >= MIN_TEXT_HEIGHT
    for row, column in itertools.product(range(rows), range(columns)):
        x, y = round(LEFT + column * width, 2), round(TOP + (rows - row - 1) * height, 2)
        cell = (column, row)[: len(archive.descriptors)]
        ranges = _format_ranges(archive, cell)
        named = ", ".join(f"{one.name} {text}" for one, text in zip(archive.descriptors, ranges, strict=True))
        elite = archive.elites.get(cell)
        if elite is None:
            yield ArchiveField(x, y, "", "", 0.0, f"{named}: empty")
            continue
        fitness = format_number(elite.fitness, 3)
        shade = round(MIN_SHADE + (1.0 - MIN_SHADE) * (elite.fitness - lowest) / span, 3)
        title = f"{named}: {elite.candidate}, fitness {fitness}"
        yield ArchiveField(x, y, elite.candidate, fitness if has_text else "", shade, title)


def _make_row(archive: BehaviourArchive, cell: Cell, elite: Elite) -> ArchiveRow:
    folder = RunLayout(Path()).training_dir(elite.candidate, elite.seed)
    return ArchiveRow(elite, _format_ranges(archive, cell), folder.as_posix())


def _format_ranges(archive: BehaviourArchive, cell: Cell) -> tuple[str, ...]:
    """Return the range of a cell in each descriptor as text."""
    bounds = archive.find_bounds(cell).values()
    return tuple(f"{format_number(low, 3)} to {format_number(high, 3)}" for low, high in bounds)


def _make_ticks(descriptor: BehaviourDescriptor, begin: float, step: float) -> tuple[AxisTick, ...]:
    """Return the numbers at an axis: at ends of fields, at most `MAX_TICKS` parts apart."""
    every = -(-descriptor.bins // MAX_TICKS)
    width = (descriptor.high - descriptor.low) / descriptor.bins
    return tuple(
        AxisTick(round(begin + part * step, 2), format_number(descriptor.low + part * width, 3))
        for part in range(0, descriptor.bins + 1, every)
    )
