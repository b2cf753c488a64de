"""`rewardsmith baseline`: what random actions and the environment's own reward are worth, to compare with."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rewardsmith.cli.console import say, say_json
from rewardsmith.contract.text import counted

if TYPE_CHECKING:
    from rewardsmith.api.baselines import Measured
    from rewardsmith.contract.records import Interval


def baseline(
    tasks: Annotated[list[str], typer.Argument(help="Names of tasks, Gymnasium ids, or cards' files.")],
    fitness: Annotated[str | None, typer.Option(help="How success is measured. [default: the card's]")] = None,
    steps: Annotated[int | None, typer.Option(help="Environment steps per training. [default: the card's]")] = None,
    seeds: Annotated[
        int | None, typer.Option(help="Training seeds; 0: the random policy alone. [default: the card's]")
    ] = None,
    jobs: Annotated[int | None, typer.Option(help="Trainings at once. [default: one per core]")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any setting: training.n_envs=16")
    ] = None,
    write: Annotated[bool, typer.Option("--write", help="Put the figures into the cards, as their anchors.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON lines, for programs.")] = False,
) -> None:
    """Measure each task's random policy (100 episodes), and policies trained on the environment's own reward."""
    from rewardsmith.api import baselines, searches
    from rewardsmith.cli.design import given
    from rewardsmith.contract import records

    overrides = given({"search": {"env_steps": steps, "final_seeds": seeds}, "jobs": jobs})
    plans = [searches.plan("", task, fitness, overrides=overrides, sets=set_ or ()) for task in tasks]
    cards = [_card(task, fitness) for task in tasks] if write else []
    measured: list[Measured] = []
    for number, plan in enumerate(plans):
        found = baselines.measure(plan.task, plan.config, baselines.default_cache(), _progress)
        measured += found
        if write:
            baselines.write([figure.anchor for figure in found], cards[number])
    if json_:
        for figure in measured:
            say_json(records.dump(figure))
        return
    _print(measured)
    for card in cards:
        say(f"written into {card}")


def _card(task: str, fitness: str | None) -> Path:
    """Return the card that a task's anchors go into.

    Raises:
        TaskError: if it has none, or the anchors would be of another fitness than the card's.
    """
    from rewardsmith.contract.errors import TaskError
    from rewardsmith.spec.task_cards import card_file

    card = card_file(task)
    if card is None:
        raise TaskError(f"{task!r} has no card to write into; `rewardsmith envs new {task}` begins one")
    if fitness is not None:
        raise TaskError("--write keeps figures of the card's own fitness alone; leave --fitness out")
    return card


def _progress(line: str) -> None:
    typer.echo(line, err=True)


def _print(measured: list[Measured]) -> None:
    from rich.table import Table
    from rich.text import Text

    from rewardsmith.report.tables import console_on

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("task", "policy", "steps", "over", "figure", "mean", "95 % interval", "measured with"):
        table.add_column(column, no_wrap=column in ("task", "policy", "figure"))
    for figure in measured:
        anchor = figure.anchor
        over = counted(anchor.seeds, "episode" if anchor.policy == "random" else "seed")
        steps = f"{anchor.env_steps:,}" if anchor.env_steps else "-"
        for name, interval in {"fitness": figure.interval, **figure.figures}.items():
            head, told = (figure.task, anchor.policy, steps, over, name), (f"{interval.mean:.4g}", _bounds(interval))
            table.add_row(*map(Text, (*head, *told, anchor.versions)))
    console_on(sys.stdout).print(table)


def _bounds(interval: Interval) -> str:
    low, high = interval.low, interval.high
    return "-" if low is None or high is None else f"[{low:.4g}, {high:.4g}]"
