"""A sweep's report: one HTML file with the figures over tasks, and the same figures as JSON and CSV."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rewardsmith.api.sweep import csv_table
from rewardsmith.api.sweep.aggregate import Summary, TaskFigure, summarise
from rewardsmith.api.sweep.store import Book, Outcome
from rewardsmith.contract import records
from rewardsmith.contract.errors import RunError, SweepError
from rewardsmith.contract.records import Interval, Training
from rewardsmith.report import html, run_data
from rewardsmith.report.charts import forest_plot, line_chart
from rewardsmith.report.charts.forest_plot import Entry, Forest
from rewardsmith.report.charts.line_chart import Chart, Level, Line
from rewardsmith.search.storage.run import Provenance, provenance

CURVES_OF = 400
"""Cells whose trainings are read for learning curves; a sweep with more of them shows none."""
BROAD, NARROW, PANEL = 1000, 640, 380
"""Widths of the headline's picture on a wide page and on a narrow one, and of a task's."""
ROWS = 2_000
"""Cells listed on the page; cells.csv has them all."""


@dataclass(frozen=True)
class TaskView:
    """A task's pictures."""

    task: str
    env_id: str
    figures: tuple[TaskFigure, ...]
    standing: Forest | None
    learning: Chart | None


def write(book: Book, out: Path | None = None) -> Path:
    """Write a sweep's report, and cells.csv and summary.json into the sweep's directory beside it.

    Args:
        book: the sweep; it may still be running.
        out: the page; None writes `report.html` into the sweep's directory.

    Raises:
        SweepError: if its journal is damaged.
        RunError: if a file cannot be written.
    """
    outcomes = tuple(book.outcomes().values())
    found = summarise(outcomes)
    path = out or book.path / html.NAME
    try:
        _write_data(outcomes, found, book.path)
        records.write_text(path, render(book, outcomes, found, path.parent))
    except OSError as error:
        raise RunError(f"cannot write {path}: {error.strerror}") from error
    return path


def write_data(book: Book, folder: Path) -> tuple[Path, ...]:
    """Write the figures for programs: summary.json, cells.csv.

    Raises:
        OSError: if they cannot be written.
    """
    outcomes = tuple(book.outcomes().values())
    folder.mkdir(parents=True, exist_ok=True)
    return _write_data(outcomes, summarise(outcomes), folder)


def render(book: Book, outcomes: Sequence[Outcome], found: Summary, beside: Path) -> str:
    """Return the page; links start in the folder `beside`."""
    outcomes = sorted(outcomes, key=lambda one: (one.task, one.recipe, one.seed))
    tones = {one.recipe: 1 + index % 5 for index, one in enumerate(found.recipes)}
    few = len(outcomes) <= CURVES_OF
    reports = {one.cell: _report_of(book, one) for one in outcomes[:ROWS]}
    return (
        html.templates()
        .get_template("sweep.html")
        .render(
            name=book.path.name,
            home=html.link(book.path, beside),
            has_file=(book.path / "sweep.toml").is_file(),
            s=found,
            beside=any(one.figures for one in found.tasks),
            outcomes=outcomes[:ROWS],
            left_out=max(0, len(outcomes) - ROWS),
            reports={cell: html.link(path, beside) for cell, path in reports.items() if path},
            headline=_headline(found, tones),
            profile=_profile(found, tones),
            tasks=[_view(book, outcomes if few else (), members, tones) for members in _by_task(found)],
            provenance=_provenance(book, outcomes),
            look=html.look(),
        )
    )


def _write_data(outcomes: Sequence[Outcome], found: Summary, folder: Path) -> tuple[Path, ...]:
    records.write(found, folder / "summary.json")
    csv_table.to_csv(outcomes, folder / "cells.csv")
    return folder / "summary.json", folder / "cells.csv"


def _report_of(book: Book, outcome: Outcome) -> Path | None:
    path = book.cells / outcome.cell / html.NAME
    return path if path.is_file() else None


def _headline(found: Summary, tones: Mapping[str, int]) -> tuple[Forest, ...]:
    entries = [
        Entry(one.recipe, known.value, known.low, known.high, tones[one.recipe])
        for one in found.recipes
        if (known := one.interquartile_mean)
    ]
    levels = [Level("random", 0.0), Level("own reward", 1.0)]
    return tuple(drawn for width in (BROAD, NARROW) if (drawn := forest_plot.forest(entries, levels, width)))


def _profile(found: Summary, tones: Mapping[str, int]) -> tuple[Chart, ...]:
    lines = [
        Line(one.recipe, tuple(zip(found.thresholds, one.profile, strict=True)), tones[one.recipe])
        for one in found.recipes
        if one.profile
    ]
    return line_chart.charts(lines, x_name="normalised score")


def _by_task(found: Summary) -> Iterable[tuple[TaskFigure, ...]]:
    for task in dict.fromkeys(one.task for one in found.tasks):
        yield tuple(one for one in found.tasks if one.task == task)


def _view(
    book: Book, outcomes: Sequence[Outcome], members: tuple[TaskFigure, ...], tones: Mapping[str, int]
) -> TaskView:
    first = members[0]
    entries = [_entry(one.recipe, one.fitness, tones[one.recipe]) for one in members if one.fitness]
    own = next((outcome.own_reward for outcome in outcomes if outcome.task == first.task and outcome.own_reward), None)
    if own:
        entries.append(_entry("own reward", own, 0))
    elif first.own_reward is not None:
        entries.append(Entry("own reward", first.own_reward))
    levels = [Level("random", first.random)] if first.random is not None else []
    mine = [outcome for outcome in outcomes if outcome.task == first.task]
    return TaskView(
        first.task, first.env_id, members, forest_plot.forest(entries, levels, PANEL), _learning(book, mine, tones)
    )


def _entry(name: str, value: Interval, tone: int) -> Entry:
    return Entry(name, value.mean, value.low, value.high, tone)


def _learning(book: Book, outcomes: Sequence[Outcome], tones: Mapping[str, int]) -> Chart | None:
    """Draw the reported trainings of one task's cells: a line a recipe, the mean over cells and seeds."""
    lines = []
    for recipe in dict.fromkeys(outcome.recipe for outcome in outcomes):
        mine = [outcome for outcome in outcomes if outcome.recipe == recipe]
        course = run_data.course(
            recipe, [one for cell in mine for one in _trainings(book.cells / cell.cell, "final/g*")]
        )
        if course:
            lines.append(html.line(course, tones[recipe], False))
    for outcome in outcomes[:1]:
        course = run_data.course("own reward", _trainings(book.cells / outcome.cell, "baseline"))
        if course:
            lines.append(html.line(course, 0, False))
    return line_chart.chart(lines)


def _trainings(cell: Path, where: str) -> list[Training]:
    found = []
    for path in sorted(cell.glob(f"{where}/train-s*/result.json")):
        try:
            found.append(records.read(Training, path))
        except (OSError, ValueError):  # a training that is being written; the curve does without it
            continue
    return found


def _provenance(book: Book, outcomes: Sequence[Outcome]) -> Provenance:
    """Return where the first cell's figures come from, or this machine where no cell has a directory."""
    for outcome in outcomes:
        path = book.cells / outcome.cell / "provenance.json"
        if path.is_file():
            try:
                return records.read(Provenance, path)
            except (OSError, ValueError) as error:
                raise SweepError(f"{path} is damaged: {str(error).splitlines()[0]}") from error
    return provenance(None)
