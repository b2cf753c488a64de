"""`rewardsmith library`: keep programs that worked, and find those of similar tasks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rewardsmith.cli.console import print_json, print_line, print_rows
from rewardsmith.cli.options import JsonOption

if TYPE_CHECKING:
    from rewardsmith.search.library import LibraryEntry

app = typer.Typer(help="Keep programs that worked, and find them again.", rich_markup_mode=None)


@app.callback(invoke_without_command=True)
def library(context: typer.Context) -> None:
    """Keep programs that worked, and find them again; without a verb, list them."""
    if context.invoked_subcommand is None:
        list_programs(False)


@app.command("list")
def list_programs(json_: JsonOption = False) -> None:
    """List all programs."""
    from rewardsmith.search.library import load_entries

    _print_entries(load_entries(), json_)


@app.command("search")
def search_programs(
    text: Annotated[str, typer.Argument(help="A task, or words of one.")],
    n: Annotated[int, typer.Option("-n", min=1, help="How many to show.")] = 5,
    json_: JsonOption = False,
) -> None:
    """List the programs whose tasks are most similar to TEXT."""
    from rewardsmith.search.library import load_entries, rank_by_similarity

    ranked = rank_by_similarity(load_entries(), text)[:n]
    _print_entries([entry for entry, similarity in ranked if similarity > 0], json_)


@app.command("add")
def add_program(
    what: Annotated[
        str,
        typer.Argument(
            help="A reward file; a run directory, whose best program is taken; or OWNER/NAME, a repository of the "
            "Hugging Face Hub that `rewardsmith push` filled."
        ),
    ],
    task: Annotated[str | None, typer.Option(help="Task of a reward file, in a sentence.")] = None,
    env: Annotated[str | None, typer.Option(help="Environment of a reward file, as a Gymnasium id.")] = None,
    name: Annotated[str | None, typer.Option(help="Its name in the library. [default: after the file or task]")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a program of that name.")] = False,
) -> None:
    """Keep a program, for searches with --set designer.examples=N.

    A program from the Hub is untrusted text: nothing of it runs here but in the sandbox of a search.
    """
    from rewardsmith.contract.errors import ConfigError
    from rewardsmith.report.hub.remote import fetch_program, parse_repository
    from rewardsmith.search import library as programs

    path, repository = Path(what), parse_repository(what)
    if (task or env) and (path.is_dir() or (not path.exists() and repository)):
        raise ConfigError("--task and --env belong to a reward file; a run knows its own, and a repository does")
    if path.is_dir():
        entry = programs.entry_from_run(path, name=name)
    elif path.exists() or repository is None:
        entry = programs.entry_from_file(path, task=task, env_id=env, name=name)
    else:
        fetched = fetch_program(repository)
        shown = name or programs.slugify(repository.partition("/")[2])
        entry = programs.entry_from_others(fetched.path, name=shown, origin=fetched.origin)
    origin = f", from {entry.origin}" if entry.origin else ""
    print_line(f"{programs.add_entry(entry, force=force)}: {entry.task} ({entry.env_id}){origin}")


@app.command("remove")
def remove_program(name: Annotated[str, typer.Argument(help="A program of yours.")]) -> None:
    """Remove a program from the library."""
    from rewardsmith.search import library as programs

    programs.remove_entry(name)
    print_line(f"removed {name}")


def _print_entries(entries: Sequence[LibraryEntry], json_: bool) -> None:
    from rewardsmith.contract import records
    from rewardsmith.contract.text import format_number

    if json_:
        print_json([records.dump(entry) for entry in entries])
        return
    if not entries:
        print_line("The library has no such program.")
        return
    rows = [(entry.name, entry.env_id, format_number(entry.value), entry.task) for entry in entries]
    print_rows(("program", "environment", "fitness", "task"), rows)
