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
    map_: Annotated[
        str | None,
        typer.Option("--map", metavar="A,B", help="Draw the terms over these two signals. [default: the telling ones]"),
    ] = None,
) -> None:
    """Write a report: one self-contained HTML file that opens offline; also of a search that still runs."""
    from rewardsmith.api.sweep.store import SweepStore, is_sweep
    from rewardsmith.contract.errors import ConfigError

    if is_sweep(path):
        from rewardsmith.api.sweep import html_report as sweep_report

        if map_ is not None:
            raise ConfigError("--map draws the terms of one program; name a run, not a sweep")
        written = sweep_report.write_report(SweepStore.open_readonly(path), out)
        files = sweep_report.write_data(SweepStore.open_readonly(path), data) if data else ()
    else:
        from rewardsmith.report import html, run_data
        from rewardsmith.search.storage import Run

        run = Run.open(path)
        written = html.write_report(run, out, _read_axes(map_))
        files = run_data.write_data(run_data.load_run_data(run), data) if data else ()
    print_line(f"{written}: open it in a browser")
    for file in files:
        print_line(str(file))


def _read_axes(text: str | None) -> tuple[str, ...]:
    """Read the two names of --map; () where it is not given.

    Raises:
        ConfigError: if it names not exactly two.
    """
    from rewardsmith.contract.errors import ConfigError

    names = tuple(name.strip() for name in text.split(",")) if text is not None else ()
    if text is not None and (len(set(names)) != 2 or len(names) != 2 or not all(names)):
        raise ConfigError(f"--map {text!r}: name two different signals, as in --map torso_height,x_velocity")
    return names
