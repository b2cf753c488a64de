"""`rewardsmith library`: keep programs that worked, and find those of tasks like yours."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rewardsmith.cli.console import say, say_json

if TYPE_CHECKING:
    from rewardsmith.search.library import Entry

app = typer.Typer(help="Keep programs that worked, and find them again.", rich_markup_mode=None)
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


@app.callback(invoke_without_command=True)
def library(context: typer.Context) -> None:
    """Keep programs that worked, and find them again; alone, it lists them."""
    if context.invoked_subcommand is None:
        list_(False)


@app.command("list")
def list_(json_: Json = False) -> None:
    """List every program."""
    from rewardsmith.search.library import entries

    _show(entries(), json_)


@app.command()
def search(
    text: Annotated[str, typer.Argument(help="A task, or any words of one.")],
    n: Annotated[int, typer.Option("-n", min=1, help="How many to show.")] = 5,
    json_: Json = False,
) -> None:
    """List the programs whose task is most like TEXT."""
    from rewardsmith.search.library import entries, nearest

    _show([entry for entry, likeness in nearest(entries(), text)[:n] if likeness > 0], json_)


@app.command()
def add(
    what: Annotated[Path, typer.Argument(help="A reward file, or a run directory, whose best program is taken.")],
    task: Annotated[str | None, typer.Option(help="What a reward file is for, in a sentence.")] = None,
    env: Annotated[str | None, typer.Option(help="Of which environment a reward file is, as a Gymnasium id.")] = None,
    name: Annotated[str | None, typer.Option(help="Its name in the library. [default: after the file or task]")] = None,
    force: Annotated[bool, typer.Option("--force", help="Take the place of a program of that name.")] = False,
) -> None:
    """Keep a program, for searches with --set designer.examples=N."""
    from rewardsmith.contract.errors import ConfigError
    from rewardsmith.search import library as kept

    if what.is_dir():
        if task or env:
            raise ConfigError("--task and --env belong to a reward file; a run knows its own")
        entry = kept.of_run(what, name=name)
    else:
        entry = kept.of_file(what, task=task, env_id=env, name=name)
    say(f"{kept.add(entry, force=force)}: {entry.task} ({entry.env_id})")


@app.command()
def remove(name: Annotated[str, typer.Argument(help="A program of yours.")]) -> None:
    """Remove a program from the library."""
    from rewardsmith.search import library as kept

    kept.remove(name)
    say(f"removed {name}")


def _show(found: Sequence[Entry], json_: bool) -> None:
    from rich.table import Table
    from rich.text import Text

    from rewardsmith.contract import records
    from rewardsmith.report.tables import console_on
    from rewardsmith.report.text import figure

    if json_:
        say_json([records.dump(entry) for entry in found])
        return
    if not found:
        say("The library has none.")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("program", "environment", "fitness", "task"):
        table.add_column(column, no_wrap=column == "program")
    for entry in found:
        table.add_row(*map(Text, (entry.name, entry.env_id, figure(entry.value), entry.task)))
    console_on(sys.stdout).print(table)
