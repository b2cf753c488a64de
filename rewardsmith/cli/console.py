"""Console output shared by the verbs: errors to stderr, results to stdout.

Control characters in texts from outside are replaced, so that no program can send commands to the terminal.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TextIO

import typer

from rewardsmith.report.text import replace_control_chars


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


def print_rows(columns: Sequence[str], rows: Iterable[Sequence[str]], unwrapped: Collection[str] = ()) -> None:
    """Print a table; the first column is never wrapped, nor are those that are named so."""
    from rich.table import Table
    from rich.text import Text

    from rewardsmith.report.tables import make_console

    table = Table(box=None, pad_edge=False, header_style="bold")
    for index, column in enumerate(columns):
        table.add_column(column, no_wrap=index == 0 or column in unwrapped)
    for row in rows:
        table.add_row(*(Text(replace_control_chars(cell)) for cell in row))
    make_console(sys.stdout).print(table)


def is_terminal(stream: TextIO | None) -> bool:
    """Return whether a stream is a terminal, at which a person may be."""
    return stream is not None and stream.isatty()
