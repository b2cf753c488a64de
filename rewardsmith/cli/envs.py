"""`rewardsmith envs`: the tasks that come with a card, what an environment offers, and a card to fill in.

rewardsmith envs                    the tasks with a card
rewardsmith envs NAME               what a card says
rewardsmith envs describe ID        the whole catalogue of any environment
rewardsmith envs new ID             a card to fill in
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from rewardsmith.cli.console import say, say_json, say_table
from rewardsmith.contract.text import counted

if TYPE_CHECKING:
    from rewardsmith.contract.records import EnvSpec, Probe, Signal

Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Env = Annotated[str, typer.Argument(help="A Gymnasium id, a task's name, or a card's file.")]


class _Verbs(TyperGroup):
    """A group that lists without a verb, and shows what is no verb."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the verb in that the arguments mean."""
        first = next((argument for argument in args if not argument.startswith("-")), None)
        if first is None and "--help" not in args:
            args = ["list", *args]
        elif first is not None and first not in self.commands:
            args = ["show", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    name="envs",
    cls=_Verbs,
    help="List the tasks with a card, show one, describe any environment, or begin a card.",
    short_help="Show the tasks with a card, describe an environment, begin a card.",
    rich_markup_mode=None,
    subcommand_metavar="[NAME | list | describe ID | new ID]",
)


@app.command("list")
def list_cards(json_: Json = False) -> None:
    """List the tasks with a card; the same without a verb."""
    from rewardsmith.contract import records
    from rewardsmith.report.tables import Column, console_on, print_table
    from rewardsmith.spec.task_cards import cards

    if json_:
        say_json([records.dump(card) for card in cards()])
        return
    columns = (
        Column("task"),
        Column("environment", drop=1),
        Column("signals", right=True, drop=3),
        Column("fitness", drop=2),
        Column("says", cut=True),
    )
    rows = [(c.name, c.env.env_id, str(len(c.env.signals)), c.fitness, c.text) for c in cards()]
    if sys.stdout.isatty():
        print_table(columns, rows, console_on(sys.stdout))
    else:
        say_table([column.name for column in columns], rows)


@app.command("show")
def show_card(env: Env, json_: Json = False) -> None:
    """Show what a card says; the same without the verb."""
    from rewardsmith.contract import records
    from rewardsmith.spec.task_cards import cards, load_task

    task = load_task(None, env, None)
    if json_:
        say_json(records.dump(task))
        return
    say(f"{task.name}: {task.env.env_id}\n{task.env_about}\n\nDefault task: {task.text}\nFitness: {task.fitness}")
    say(f"Action: {task.action}\n")
    if task.figures:
        rows = ((figure.name, figure.expression, figure.meaning) for figure in task.figures)
        say_table(("measured beside it", "expression", "meaning"), rows)
        say("")
    say_table(("signal", "shape", "unit", "meaning"), (_cells(signal) for signal in task.env.signals))
    if task.env.measures:
        say("")
        say_table(("for the fitness alone", "shape", "unit", "meaning"), map(_cells, task.env.measures))
    others = [card for card in cards() if card.env.env_id == task.env.env_id and card.name != task.name]
    if others:
        say("")
        say_table((f"other tasks on {task.env.env_id}", "says"), ((card.name, card.text) for card in others))


@app.command("describe")
def describe(env: Env, json_: Json = False) -> None:
    """Print all that an environment offers: spaces, time limit, signals, measures, and what becomes of `info`."""
    from rewardsmith.contract import records
    from rewardsmith.executors.probe import survey
    from rewardsmith.spec.task_cards import find_env

    spec, card = find_env(env)
    probe = survey(spec)
    if json_:
        say_json(records.dump(probe))
        return
    _say_spaces(spec, probe)
    if card:
        say(f"task card:     {card.name} ({len(spec.signals)} of the signals named there)")
    _say_catalogue(probe)


@app.command("new")
def new(
    env: Env,
    out: Annotated[Path | None, typer.Option(help="The card's file. [default: <name>.toml]")] = None,
) -> None:
    """Write a task card to fill in; `--env CARD.toml` then takes it wherever an environment is named."""
    from rewardsmith.executors.probe import survey
    from rewardsmith.spec import new_card
    from rewardsmith.spec.task_cards import find_env, unnamed

    spec, _ = find_env(env)
    path = out or new_card.default_path(spec)
    new_card.check_free(path)
    probe = survey(spec)
    new_card.write_card(new_card.card_text(spec, probe), path)
    say(f'{path}: fill in the lines that say so, then: rewardsmith design "..." --env {path}')
    remark = unnamed(probe.signals)
    if remark:
        say(remark)


def _say_spaces(spec: EnvSpec, probe: Probe) -> None:
    say(f"environment:   {spec.env_id}" + "".join(f" {key}={value!r}" for key, value in spec.kwargs.items()))
    say(f"observation:   {probe.observation_space}")
    say(f"action:        {probe.action_space}")
    say(f"time limit:    {counted(probe.max_episode_steps, 'step') if probe.max_episode_steps else 'none'}")
    how = "all at once, on batched physics" if probe.batched else "one by one, through Gymnasium"
    say(f"stepped:       {how}")


def _say_catalogue(probe: Probe) -> None:
    from rewardsmith.spec.task_cards import unnamed

    remark = unnamed(probe.signals)
    if remark:
        say(f"\n{remark}")
    say(f"\n{counted(len(probe.signals), 'signal')}, for programs and fitness expressions:")
    columns = ("shape", "unit", "meaning", "source")
    say_table(("signal", *columns), ((*_cells(signal), signal.source) for signal in probe.signals))
    say(f"\n{counted(len(probe.measures), 'measure')}, for fitness expressions alone:")
    say_table(("measure", *columns), ((*_cells(measure), measure.source) for measure in probe.measures))
    if probe.info:
        say("\nWhat the environment reports in info:")
        say_table(("key", "becomes", "because"), ((entry.key, entry.decision, entry.reason) for entry in probe.info))


def _cells(signal: Signal) -> tuple[str, ...]:
    return signal.name, str(signal.shape or "scalar"), signal.unit, signal.meaning
