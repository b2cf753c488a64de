"""Report of a run: one HTML file that opens offline; only data files and videos are linked to, not embedded."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment
from markupsafe import Markup

from rewardsmith.contract import records
from rewardsmith.contract.errors import RewardsmithError, RunError
from rewardsmith.contract.observation import choose_observation
from rewardsmith.report import charts, video
from rewardsmith.report.charts import code_listing, line_chart
from rewardsmith.report.charts.archive_map import find_random_fitness, layout_archive
from rewardsmith.report.charts.line_chart import ChartLine, LineChart, ReferenceLevel
from rewardsmith.report.charts.lineage import layout_lineage
from rewardsmith.report.run_data import LearningCurve, RunData, load_run_data
from rewardsmith.report.text import collect_remarks, compare_with_baseline, mean_metrics, metric_names
from rewardsmith.report.video import VideoClip
from rewardsmith.search.storage import Run
from rewardsmith.search.storage.layout import final_owner

HERE = Path(__file__).parent
TONES = 6
"""Colours of chart lines, as the style sheet defines them."""


def write_report(run: Run, out: Path | None = None, axes: Sequence[str] = ()) -> Path:
    """Write a run's report; a search that has not ended is shown as far as it is.

    Args:
        run: the run.
        out: the file; None writes `report.html` into the run's directory.
        axes: two components of signals over which the terms are drawn; empty chooses them.

    Raises:
        ConfigError: if an axis is not a recorded signal's component.
        RunError: if the run is damaged, or the file cannot be written.
    """
    path = out or run.layout.report
    page = render_report(run, load_run_data(run), path.parent, axes)
    try:
        records.write_text(path, page)
    except OSError as error:
        raise RunError(f"cannot write {path}: {error.strerror}") from error
    return path


def render_report(run: Run, data: RunData, folder: Path, axes: Sequence[str] = ()) -> str:
    """Render the page.

    Args:
        run: the run.
        data: what `load_run_data` read of it.
        folder: the folder of the page, from which its links start.
        axes: see `write_report`.
    """
    from rewardsmith.report.term_maps import draw_term_maps

    best = data.best
    levels = _reference_levels(data)
    learning = [curve_line(curve, tone) for tone, curve in enumerate(data.curves)]
    findings = best.verdict.findings if best and best.verdict else ()
    clips = [(clip, relative_link(clip.file, folder)) for clip in _list_clips(run, data)]
    return (
        load_templates()
        .get_template("run.html")
        .render(
            f=data,
            run=run,
            home=relative_link(run.path, folder),
            best=best,
            observed=choose_observation(best.program, run.config.training) if best else (),
            verdict=compare_with_baseline(data.result) if data.result else None,
            learning=line_chart.layout_charts(learning, levels),
            search_chart=line_chart.layout_charts(_search_lines(data), levels),
            term_charts=_term_charts(data),
            multiplier_charts=_multiplier_charts(data),
            weight_charts=_weight_charts(data),
            maps=draw_term_maps(run, best, axes) if best else None,
            lineage=layout_lineage(data.candidates, best.id if best else None),
            archive=layout_archive(run.task.behaviour, data.candidates, find_random_fitness(data.result)),
            metric_names=metric_names(data.candidates),
            mean_metrics=mean_metrics,
            rows=code_listing.list_code_lines(best.proposal.source, findings) if best else (),
            remarks=collect_remarks(best) if best else (),
            clips=clips,
            look=load_stylesheet(),
        )
    )


def load_stylesheet() -> Markup:
    """Load the style sheet, for a page that embeds it."""
    sheets = (charts.STATIC / "look.css", HERE / "templates" / "report.css")
    return Markup("\n".join(sheet.read_text(encoding="utf-8") for sheet in sheets))


def relative_link(target: Path, folder: Path) -> str:
    """Return the address of a file from a page in `folder`: relative, so that both can be moved together."""
    return quote(Path(os.path.relpath(target.resolve(), folder.resolve())).as_posix())


@cache
def load_templates() -> Environment:
    """Load the templates of the reports."""
    return charts.make_environment(HERE / "templates")


def curve_line(curve: LearningCurve, tone: int, best: bool | None = None) -> ChartLine:
    """Make a chart line of a mean learning curve, with the range of its seeds as a band.

    Args:
        curve: the learning curve.
        tone: number of its colour.
        best: whether it is emphasised; None emphasises the first colour.
    """
    points = tuple((step, mean) for step, mean, _, _ in curve.points)
    band = tuple((step, low, high) for step, _, low, high in curve.points) if curve.seeds > 1 else ()
    return ChartLine(curve.name, points, tone % TONES, tone == 0 if best is None else best, band=band)


def _reference_levels(data: RunData) -> list[ReferenceLevel]:
    if data.result is None or data.result.baselines.random is None:
        return []
    return [ReferenceLevel("random", data.result.baselines.random)]


def _search_lines(data: RunData) -> list[ChartLine]:
    """Return a line for each candidate that was trained, coloured by generation."""
    best = data.best.id if data.best else None
    lines = []
    for candidate in data.candidates:
        if candidate.trainings:
            points = line_chart.finite_points(candidate.trainings[0].curve)
            lines.append(ChartLine(candidate.id, points, candidate.generation % TONES, candidate.id == best))
    return lines


def _term_charts(data: RunData) -> tuple[LineChart, ...]:
    """Return the charts of the payments of the best program's terms."""
    lines = []
    for index, term in enumerate(data.terms):
        if len(term.paid_per_step) > 1:
            lines.append(ChartLine(term.name, term.paid_per_step, (1 + index) % TONES))
    return line_chart.layout_charts(lines)


def _multiplier_charts(data: RunData) -> tuple[LineChart, ...]:
    """Return the charts of the Lagrange multipliers of the best program's training."""
    lines = [ChartLine(one.limit, one.multipliers, index % TONES) for index, one in enumerate(data.limits)]
    return line_chart.layout_charts(lines)


def _weight_charts(data: RunData) -> tuple[LineChart, ...]:
    """Return the charts of the learned weights of the best program's training."""
    lines = [ChartLine(name, course, index % TONES) for index, (name, course) in enumerate(data.learned_weights)]
    return line_chart.layout_charts(lines)


def _list_clips(run: Run, data: RunData) -> list[VideoClip]:
    """Return the videos of the final evaluation, then those of the candidates; damaged ones are left out."""
    filmed = run.layout.list_filmed_candidates()
    final = final_owner(data.result.best.id) if data.result else ""
    owners = [video.FINAL_OWNER] if final and run.layout.videos_dir(final).is_dir() else []
    owners += [video.ENVIRONMENT_REWARD] if data.result else []
    owners += [candidate.id for candidate in data.candidates if candidate.id in filmed]
    clips: list[VideoClip] = []
    for owner in owners:
        try:
            clips += video.list_clips(run, owner)
        except RewardsmithError:
            continue
    return clips
