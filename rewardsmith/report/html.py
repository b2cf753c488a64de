"""A run's report: one HTML file that opens anywhere, with everything in it but the data and the videos it links to."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment
from markupsafe import Markup

from rewardsmith.contract import records
from rewardsmith.contract.errors import RewardsmithError, RunError
from rewardsmith.report import charts, video
from rewardsmith.report.charts import code_listing, line_chart
from rewardsmith.report.charts.line_chart import Chart, Level, Line
from rewardsmith.report.charts.lineage import lineage
from rewardsmith.report.run_data import Course, RunFigures, of_run
from rewardsmith.report.text import further, further_of, remarks, verdict
from rewardsmith.report.video import Clip
from rewardsmith.search.storage import Run

HERE = Path(__file__).parent
NAME = "report.html"


def write(run: Run, out: Path | None = None) -> Path:
    """Write a run's report; one that has not ended is told of as far as it is.

    Args:
        run: the run.
        out: the file; None writes `report.html` into the run's directory.

    Raises:
        RunError: if the run is damaged, or the file cannot be written.
    """
    path = out or run.path / NAME
    text = render(run, of_run(run), path.parent)
    try:
        records.write_text(path, text)
    except OSError as error:
        raise RunError(f"cannot write {path}: {error.strerror}") from error
    return path


def render(run: Run, figures: RunFigures, beside: Path) -> str:
    """Return the page.

    Args:
        run: the run.
        figures: what `of_run` read of it.
        beside: the folder in which the page will lie; links start there.
    """
    best = figures.best
    levels = _levels(figures)
    home = link(run.path, beside)
    return (
        templates()
        .get_template("run.html")
        .render(
            f=figures,
            run=run,
            home=home,
            best=best,
            verdict=verdict(figures.result) if figures.result else None,
            learning=line_chart.charts([line(one, index) for index, one in enumerate(figures.courses)], levels),
            search_chart=line_chart.charts(_search_lines(figures), levels),
            paying=_paying(figures),
            lineage=lineage(figures.candidates, best.id if best else None),
            beside=further(figures.candidates),
            further_of=further_of,
            rows=code_listing.rows(best.proposal.source, best.verdict.findings if best.verdict else ()) if best else (),
            remarks=remarks(best) if best else (),
            clips=[(clip, link(clip.file, beside)) for clip in _clips(run, figures)],
            look=look(),
        )
    )


def look() -> Markup:
    """Return the style sheet, for a page that carries it."""
    sheets = (charts.STATIC / "look.css", HERE / "templates" / "report.css")
    return Markup("\n".join(sheet.read_text(encoding="utf-8") for sheet in sheets))


def link(target: Path, beside: Path) -> str:
    """Return the address of a file from a page in the folder `beside`: relative, so that both can move together."""
    return quote(Path(os.path.relpath(target.resolve(), beside.resolve())).as_posix())


@cache
def templates() -> Environment:
    """Return the reports' templates."""
    return charts.environment(HERE / "templates")


def line(course: Course, tone: int, best: bool | None = None) -> Line:
    """Return a mean learning curve with the range of its seeds as a band, drawn in one of the tones."""
    points = tuple((at, mean) for at, mean, _, _ in course.points)
    band = tuple((at, low, high) for at, _, low, high in course.points) if course.seeds > 1 else ()
    return Line(course.name, points, tone % 6, tone == 0 if best is None else best, band=band)


def _levels(figures: RunFigures) -> list[Level]:
    if figures.result is None or figures.result.baselines.random is None:
        return []
    return [Level("random", figures.result.baselines.random)]


def _search_lines(figures: RunFigures) -> list[Line]:
    best = figures.best.id if figures.best else None
    return [
        Line(one.id, line_chart.points(one.trainings[0].curve), one.generation % 6, one.id == best)
        for one in figures.candidates
        if one.trainings
    ]


def _paying(figures: RunFigures) -> tuple[Chart, ...]:
    lines = [
        Line(term.name, term.paid, (1 + index) % 6) for index, term in enumerate(figures.terms) if len(term.paid) > 1
    ]
    return line_chart.charts(lines)


def _clips(run: Run, figures: RunFigures) -> list[Clip]:
    found = []
    filmed = {path.parent.name for path in run.path.glob("candidates/*/videos")}
    for one in figures.candidates:
        if one.id not in filmed:
            continue
        try:
            found += list(video.clips(run, one.id))
        except RewardsmithError:
            continue
    return found
