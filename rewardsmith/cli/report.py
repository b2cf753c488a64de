"""`rewardsmith report`: a run or a sweep as one HTML file, and its figures as CSV and JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rewardsmith.cli.output import say


def report(
    path: Annotated[Path, typer.Argument(metavar="RUN|SWEEP", help="A run directory, or a sweep's.")],
    out: Annotated[Path | None, typer.Option(help="The page. [default: report.html in the directory]")] = None,
    data: Annotated[Path | None, typer.Option(help="Also write the figures as CSV and JSON into this folder.")] = None,
) -> None:
    """Write a report: one self-contained HTML file that opens offline. A search that is not over is told as it is."""
    from rewardsmith.sweeps.book import Book, is_sweep

    if is_sweep(path):
        from rewardsmith.sweeps import report as sweep_report

        written = sweep_report.write(Book.look(path), out)
        files = sweep_report.write_data(Book.look(path), data) if data else ()
    else:
        from rewardsmith.archive import Run
        from rewardsmith.report import figures, html

        run = Run.open(path)
        written = html.write(run, out)
        files = figures.write_data(figures.of_run(run), data) if data else ()
    say(f"{written}: open it in a browser")
    for file in files:
        say(str(file))
