"""`rewardsmith report`: a run or a sweep as one HTML file, and its numbers as CSV and JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rewardsmith.cli.console import print_line
from rewardsmith.cli.options import complete_run


def report(
    path: Annotated[
        Path,
        typer.Argument(metavar="RUN|SWEEP", help="The directory of a run or of a sweep.", autocompletion=complete_run),
    ],
    out: Annotated[Path | None, typer.Option(help="The page. [default: report.html in the directory]")] = None,
    data: Annotated[Path | None, typer.Option(help="Also write the numbers as CSV and JSON into this folder.")] = None,
) -> None:
    """Write a report: one self-contained HTML file that opens offline; also of a search that still runs."""
    from rewardsmith.api.sweep.store import SweepStore, is_sweep

    if is_sweep(path):
        from rewardsmith.api.sweep import html_report as sweep_report

        written = sweep_report.write_report(SweepStore.open_readonly(path), out)
        files = sweep_report.write_data(SweepStore.open_readonly(path), data) if data else ()
    else:
        from rewardsmith.report import html, run_data
        from rewardsmith.search.storage import Run

        run = Run.open(path)
        written = html.write_report(run, out)
        files = run_data.write_data(run_data.load_run_data(run), data) if data else ()
    print_line(f"{written}: open it in a browser")
    for file in files:
        print_line(str(file))
