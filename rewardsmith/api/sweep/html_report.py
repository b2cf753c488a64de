"""Report of a sweep: one HTML file with the figures over tasks, and the same figures as JSON and CSV."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rewardsmith.api.sweep import csv_table
from rewardsmith.api.sweep.aggregate import SweepSummary, TaskSummary, summarize_outcomes
from rewardsmith.api.sweep.store import CellOutcome, SweepStore
from rewardsmith.contract import records
from rewardsmith.contract.errors import RunError, SweepError
from rewardsmith.contract.records import Interval, Training
from rewardsmith.report import html, run_data
from rewardsmith.report.charts import forest_plot, line_chart
from rewardsmith.report.charts.forest_plot import ForestEntry, ForestPlot
from rewardsmith.report.charts.line_chart import ChartLine, LineChart, ReferenceLevel
from rewardsmith.search.storage import RunLayout
from rewardsmith.search.storage.layout import BASELINE, REPORT_FILE, final_owner
from rewardsmith.search.storage.provenance import Provenance, collect_provenance

CURVES_OF = 400
"""Cells whose trainings are read for learning curves; a sweep with more of them shows none."""
BROAD, NARROW, PANEL = 1000, 640, 380
"""Widths of the headline's chart on a wide page and on a narrow one, and of a task's chart."""
ROWS = 2_000
"""Cells listed on the page; cells.csv has them all."""


@dataclass(frozen=True)
class TaskCharts:
    """Charts of one task."""

    task: str
    env_id: str
    summaries: tuple[TaskSummary, ...]
    standing: ForestPlot | None
    learning: LineChart | None


def write_report(store: SweepStore, out: Path | None = None) -> Path:
    """Write a sweep's report, and cells.csv and summary.json into the sweep's directory beside it.

    Args:
        store: the sweep; it may still be running.
        out: the page; None writes `report.html` into the sweep's directory.

    Raises:
        SweepError: if its journal is damaged.
        RunError: if a file cannot be written.
    """
    outcomes = tuple(store.load_outcomes().values())
    summary = summarize_outcomes(outcomes)
    path = out or store.path / REPORT_FILE
    try:
        _write_data(outcomes, summary, store.path)
        records.write_text(path, render_page(store, outcomes, summary, path.parent))
    except OSError as error:
        raise RunError(f"cannot write {path}: {error.strerror}") from error
    return path


def write_data(store: SweepStore, folder: Path) -> tuple[Path, ...]:
    """Write the figures in files for programs: summary.json, cells.csv.

    Raises:
        OSError: if they cannot be written.
    """
    outcomes = tuple(store.load_outcomes().values())
    folder.mkdir(parents=True, exist_ok=True)
    return _write_data(outcomes, summarize_outcomes(outcomes), folder)


def render_page(store: SweepStore, outcomes: Sequence[CellOutcome], summary: SweepSummary, beside: Path) -> str:
    """Return the page; links start in the folder `beside`."""
    outcomes = sorted(outcomes, key=lambda outcome: (outcome.task, outcome.preset, outcome.seed))
    tones = {preset.preset: 1 + index % 5 for index, preset in enumerate(summary.presets)}
    with_curves = outcomes if len(outcomes) <= CURVES_OF else ()
    reports = {outcome.cell: _find_report(store, outcome) for outcome in outcomes[:ROWS]}
    return (
        html.load_templates()
        .get_template("sweep.html")
        .render(
            name=store.path.name,
            home=html.relative_link(store.path, beside),
            has_file=(store.path / "sweep.toml").is_file(),
            s=summary,
            beside=any(task.metrics for task in summary.tasks),
            outcomes=outcomes[:ROWS],
            left_out=max(0, len(outcomes) - ROWS),
            reports={cell: html.relative_link(path, beside) for cell, path in reports.items() if path},
            headline=_draw_headline(summary, tones),
            profile=_draw_profile(summary, tones),
            tasks=[_draw_task(store, with_curves, members, tones) for members in _group_by_task(summary)],
            provenance=_read_provenance(store, outcomes),
            look=html.load_stylesheet(),
        )
    )


def _write_data(outcomes: Sequence[CellOutcome], summary: SweepSummary, folder: Path) -> tuple[Path, ...]:
    records.write(summary, folder / "summary.json")
    csv_table.write_csv(outcomes, folder / "cells.csv")
    return folder / "summary.json", folder / "cells.csv"


def _find_report(store: SweepStore, outcome: CellOutcome) -> Path | None:
    path = RunLayout(store.cells / outcome.cell).report
    return path if path.is_file() else None


def _draw_headline(summary: SweepSummary, tones: Mapping[str, int]) -> tuple[ForestPlot, ...]:
    entries = [
        ForestEntry(preset.preset, estimate.value, estimate.low, estimate.high, tones[preset.preset])
        for preset in summary.presets
        if (estimate := preset.interquartile_mean)
    ]
    levels = [ReferenceLevel("random", 0.0), ReferenceLevel("environment reward", 1.0)]
    return tuple(drawn for width in (BROAD, NARROW) if (drawn := forest_plot.layout_forest(entries, levels, width)))


def _draw_profile(summary: SweepSummary, tones: Mapping[str, int]) -> tuple[LineChart, ...]:
    lines = [
        ChartLine(preset.preset, tuple(zip(summary.thresholds, preset.profile, strict=True)), tones[preset.preset])
        for preset in summary.presets
        if preset.profile
    ]
    return line_chart.layout_charts(lines, x_name="normalised score")


def _group_by_task(summary: SweepSummary) -> Iterable[tuple[TaskSummary, ...]]:
    for name in dict.fromkeys(task.task for task in summary.tasks):
        yield tuple(task for task in summary.tasks if task.task == name)


def _draw_task(
    store: SweepStore, outcomes: Sequence[CellOutcome], members: tuple[TaskSummary, ...], tones: Mapping[str, int]
) -> TaskCharts:
    """Draw the charts of one task; `outcomes` are those whose learning curves are shown."""
    first = members[0]
    own_outcomes = [outcome for outcome in outcomes if outcome.task == first.task]

    # Fitness of each preset, and of the environment reward.
    entries = [_build_entry(task.preset, task.fitness, tones[task.preset]) for task in members if task.fitness]
    baseline = next((outcome.environment_reward for outcome in own_outcomes if outcome.environment_reward), None)
    if baseline:
        entries.append(_build_entry("environment reward", baseline, 0))
    elif first.environment_reward is not None:
        entries.append(ForestEntry("environment reward", first.environment_reward))
    levels = [ReferenceLevel("random", first.random)] if first.random is not None else []
    standing = forest_plot.layout_forest(entries, levels, PANEL)

    return TaskCharts(first.task, first.env_id, members, standing, _draw_learning(store, own_outcomes, tones))


def _build_entry(name: str, value: Interval, tone: int) -> ForestEntry:
    return ForestEntry(name, value.mean, value.low, value.high, tone)


def _draw_learning(store: SweepStore, outcomes: Sequence[CellOutcome], tones: Mapping[str, int]) -> LineChart | None:
    """Draw the reported trainings of one task's cells: a line for each preset, the mean over cells and seeds."""
    lines = []
    for preset in dict.fromkeys(outcome.preset for outcome in outcomes):
        trainings = [
            training
            for outcome in outcomes
            if outcome.preset == preset
            for training in _read_trainings(store.cells / outcome.cell, final_owner("g*"))
        ]
        curve = run_data.average_curves(preset, trainings)
        if curve:
            lines.append(html.curve_line(curve, tones[preset], False))

    # The baseline is the same in all cells of a task.
    if outcomes:
        trainings = _read_trainings(store.cells / outcomes[0].cell, BASELINE)
        curve = run_data.average_curves("environment reward", trainings)
        if curve:
            lines.append(html.curve_line(curve, 0, False))
    return line_chart.layout_chart(lines)


def _read_trainings(cell: Path, owners: str) -> list[Training]:
    trainings = []
    for path in RunLayout(cell).list_training_results(owners):
        try:
            trainings.append(records.read(Training, path))
        except (OSError, ValueError):  # a training that is being written; the curve does without it
            continue
    return trainings


def _read_provenance(store: SweepStore, outcomes: Sequence[CellOutcome]) -> Provenance:
    """Return where the first cell's figures come from, or this machine where no cell has a directory."""
    for outcome in outcomes:
        path = RunLayout(store.cells / outcome.cell).provenance
        if path.is_file():
            try:
                return records.read(Provenance, path)
            except (OSError, ValueError) as error:
                raise SweepError(f"{path} is damaged: {str(error).splitlines()[0]}") from error
    return collect_provenance(None)
