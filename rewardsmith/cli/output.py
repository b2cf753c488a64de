"""What every verb prints with: errors to stderr, results to stdout, nothing that a terminal would obey."""

from __future__ import annotations

import json
import sys
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
