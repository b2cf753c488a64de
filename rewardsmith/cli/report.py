"""`rewardsmith report`: a run or a sweep as one HTML file, and its figures as CSV and JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rewardsmith.cli.console import say


def report(
    path: Annotated[Path, typer.Argument(metavar="RUN|SWEEP", help="A run directory, or a sweep's.")],
    out: Annotated[Path | None, typer.Option(help="The page. [default: report.html in the directory]")] = None,
    data: Annotated[Path | None, typer.Option(help="Also write the figures as CSV and JSON into this folder.")] = None,
) -> None:
    """Write a report: one self-contained HTML file that opens offline. A search that is not over is told as it is."""
    from rewardsmith.api.sweep.store import Book, is_sweep

    if is_sweep(path):
        from rewardsmith.api.sweep import html_report as sweep_report

        written = sweep_report.write(Book.look(path), out)
        files = sweep_report.write_data(Book.look(path), data) if data else ()
    else:
        from rewardsmith.report import html, run_data
        from rewardsmith.search.storage import Run

        run = Run.open(path)
        written = html.write(run, out)
        files = run_data.write_data(run_data.of_run(run), data) if data else ()
    say(f"{written}: open it in a browser")
    for file in files:
        say(str(file))
