"""Console output shared by the verbs: errors to stderr, results to stdout, searches with a view of their progress.

Control characters in texts from outside are replaced, so that no program can send commands to the terminal.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO

import typer

from rewardsmith.contract.errors import RunFailed, UserError
from rewardsmith.report.text import replace_control_chars

if TYPE_CHECKING:
    from rewardsmith.contract.records import Result
    from rewardsmith.search.callbacks import SearchCallback
    from rewardsmith.search.storage import Run


@dataclass
class Verbosity:
    """Choice of the global options `--quiet` and `--verbose`."""

    quiet: bool = False
    """Print results and errors, but no progress."""


verbosity = Verbosity()


def print_error(message: str) -> None:
    """Print an error for the user."""
    typer.echo(f"rewardsmith: {replace_control_chars(message)}", err=True)


def print_line(message: str) -> None:
    """Print a line of a result."""
    typer.echo(replace_control_chars(message))


def print_note(message: str) -> None:
    """Print a line to stderr that a question to the user needs, also with `--quiet`."""
    typer.echo(replace_control_chars(message), err=True)


def print_progress(message: str) -> None:
    """Print a line about progress to stderr, unless `--quiet` was given."""
    if not verbosity.quiet:
        print_note(message)


def print_json(value: Any) -> None:
    """Print a result for a program: one line of JSON."""
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def print_rows(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table; the first column is never wrapped."""
    from rich.table import Table
    from rich.text import Text

    from rewardsmith.report.tables import make_console

    table = Table(box=None, pad_edge=False, header_style="bold")
    for index, column in enumerate(columns):
        table.add_column(column, no_wrap=index == 0)
    for row in rows:
        table.add_row(*(Text(replace_control_chars(cell)) for cell in row))
    make_console(sys.stdout).print(table)


# ---------------------------------------------------------------- running searches


def confirm_run(run: Run, trust: bool, *, executor_is_given: bool = False) -> None:
    """Ask on a terminal whether a run from another machine may do what it asks for; the answer "yes" is remembered.

    Without a terminal nothing is asked, and the run is refused where it would act.

    Args:
        run: the run.
        trust: the user says yes beforehand, to its model's endpoint too.
        executor_is_given: as in `trusted_runs.list_demands`.
    """
    from rewardsmith.search import setup, trusted_runs

    demands = trusted_runs.list_unconfirmed(run, executor_is_given=executor_is_given)
    if demands and not trust and is_terminal(sys.stdin) and is_terminal(sys.stderr):
        print_error(f"{run.path} was not started on this machine, and it {', and it '.join(demands)}.")
        trust = typer.confirm("Do you trust it?", err=True)
    elif trust:
        setup.trust_endpoints(run)
    if demands and trust:
        trusted_runs.remember_run(run)


def is_terminal(stream: TextIO | None) -> bool:
    """Return whether a stream is a terminal, at which a person may be."""
    return stream is not None and stream.isatty()


def run_new_search(run: Run, json_: bool, yes: bool = False) -> None:
    """Run a search that was just created; if a user error ends it before anything was paid for, remove its directory.

    Args:
        run: the run.
        json_: whether to print JSON lines.
        yes: take a proposed fitness without asking.

    Raises:
        UserError: if the search cannot start.
    """
    with discard_unused(run):
        run_search(run, json_, yes)


@contextmanager
def discard_unused(run: Run) -> Iterator[None]:
    """Remove a new run's directory if a user error ends the block before anything was paid for."""
    try:
        yield
    except UserError:
        run.discard_if_unused()
        raise


def run_search(run: Run, json_: bool, yes: bool = False) -> None:
    """Run or resume a search with a view of its progress, and print its result.

    Args:
        run: the run.
        json_: whether to print JSON lines.
        yes: take a proposed fitness without asking.

    Raises:
        Exit: if it was interrupted or failed; the message says how to resume it.
        UserError: if the user can correct what is wrong.
    """
    from rewardsmith.cli.fitness import settle_fitness
    from rewardsmith.report.tables import make_console, print_result

    settle_fitness(run, yes)
    result = run_with_view(run, json_)
    if not json_:
        print_result(result, make_console(sys.stdout), run.path)


def run_with_view(run: Run, json_: bool) -> Result:
    """Run or resume a search with a view of its progress; see `run_search` for what it raises."""
    from rewardsmith.api import searches

    command = f"rewardsmith resume {run.path}"
    try:
        with open_run_view(run, json_) as callback:
            return searches.continue_run(run, callback)
    except KeyboardInterrupt:
        print_error(f"interrupted; progress saved. Resume with: {command}")
        raise typer.Exit(130) from None
    except RunFailed as error:
        print_error(f"{error}\nProgress saved. Resume with: {command}")
        raise typer.Exit(1) from None


@contextmanager
def open_run_view(run: Run, json_: bool) -> Iterator[SearchCallback]:
    """Open the view that suits stdout; with `--quiet` there is no view, except for JSON lines."""
    from rewardsmith.report.live import open_view
    from rewardsmith.search.callbacks import NullCallback

    if verbosity.quiet and not json_:
        yield NullCallback()
        return
    with open_view(sys.stdout, json_, run) as callback:
        yield callback
