"""What every verb prints with: errors to stderr, results to stdout, nothing that a terminal would obey."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import typer

from rewardsmith.report.text import plain


def complain(message: str) -> None:
    """Print an error for the user."""
    typer.echo(f"rewardsmith: {plain(message)}", err=True)


def say(message: str) -> None:
    """Print a line of a result."""
    typer.echo(plain(message))


def say_json(value: Any) -> None:
    """Print a result for a program: one line of JSON."""
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def say_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table; the first column is never wrapped."""
    from rich.table import Table
    from rich.text import Text

    from rewardsmith.report.tables import console_on

    table = Table(box=None, pad_edge=False, header_style="bold")
    for index, column in enumerate(columns):
        table.add_column(column, no_wrap=index == 0)
    for row in rows:
        table.add_row(*(Text(plain(cell)) for cell in row))
    console_on(sys.stdout).print(table)
