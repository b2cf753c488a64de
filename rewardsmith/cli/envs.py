"""`rewardsmith envs`: the tasks that come with a card, and what a card says."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from rewardsmith.cli.output import say, say_json


def envs(
    name: Annotated[str | None, typer.Argument(help="A task's name or a Gymnasium id. [default: list all]")] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """List the tasks with a card, or show one with its signals."""
    if name is None:
        list_cards(json_)
    else:
        show_card(name, json_)


def list_cards(json_: bool) -> None:
    """List every card."""
    from rich.table import Table
    from rich.text import Text

    from rewardsmith import records
    from rewardsmith.report.tables import console_on
    from rewardsmith.tasks import cards

    if json_:
        say_json([records.dump(card) for card in cards()])
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("task", "environment", "signals", "fitness", "says"):
        table.add_column(column, no_wrap=column == "task")
    for card in cards():
        cells = (card.name, card.env.env_id, str(len(card.env.signals)), card.fitness, card.text)
        table.add_row(*map(Text, cells))
    console_on(sys.stdout).print(table)


def show_card(name: str, json_: bool) -> None:
    """Show one card."""
    from rich.table import Table
    from rich.text import Text

    from rewardsmith import records
    from rewardsmith.report.tables import console_on
    from rewardsmith.tasks import load_task

    task = load_task(None, name, None)
    if json_:
        say_json(records.dump(task))
        return
    say(f"{task.name}: {task.env.env_id}\n{task.env_about}\n\nDefault task: {task.text}\nFitness: {task.fitness}")
    say(f"Action: {task.action}\n")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("signal", "shape", "unit", "meaning"):
        table.add_column(column)
    for signal in task.env.signals:
        table.add_row(*map(Text, (signal.name, str(signal.shape or "scalar"), signal.unit, signal.meaning)))
    console_on(sys.stdout).print(table)
