"""`rewardsmith envs`: tasks with a card, signals of an environment, and new cards.

rewardsmith envs                    the tasks with a card
rewardsmith envs NAME               the content of a card
rewardsmith envs describe ID        all signals of any environment
rewardsmith envs new ID             a card to fill in
rewardsmith envs randomise RUN      ranges of domain randomisation for a robot, from what its policy withstands
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rewardsmith.cli.console import print_json, print_line, print_rows
from rewardsmith.cli.options import (
    ActionOption,
    EnvKwargsOption,
    JsonOption,
    PassEnvOption,
    PolicyOption,
    RobotOption,
    RunArgument,
    SignalOption,
    TrustRunOption,
    VerbOrNameGroup,
    complete_env,
    select_env,
)
from rewardsmith.cli.runs import choose_default_owner, confirm_run, open_run
from rewardsmith.contract.text import format_number, pluralize

if TYPE_CHECKING:
    from rewardsmith.contract.records import EnvSpec, Probe, Signal
    from rewardsmith.contract.records.randomisation import RandomisationPrior, RandomisationProposal

_ENV = typer.Argument(
    help="A Gymnasium id, the name of a task, or the file of a task card.", autocompletion=complete_env
)
EnvArgument = Annotated[str, _ENV]
OptionalEnvArgument = Annotated[str | None, _ENV]

ABOUT_LINES = 40
"""Lines of a class's docstring that are printed."""


app = typer.Typer(
    name="envs",
    cls=VerbOrNameGroup,
    help="List the tasks with a card, show one, describe any environment, or create a card.",
    short_help="Show task cards, describe an environment, create a card.",
    rich_markup_mode=None,
    subcommand_metavar="[NAME | list | describe ID | new ID]",
)


@app.command("list")
def list_cards(json_: JsonOption = False) -> None:
    """List the tasks with a card; the same without a verb."""
    from rewardsmith.contract import records
    from rewardsmith.report.tables import TableColumn, make_console, print_table
    from rewardsmith.spec.task_cards import load_cards

    if json_:
        print_json([records.dump(card) for card in load_cards()])
        return
    columns = (
        TableColumn("task"),
        TableColumn("environment", drop=1),
        TableColumn("signals", right=True, drop=3),
        TableColumn("fitness", drop=2),
        TableColumn("text", cut=True),
    )
    rows = [(c.name, c.env.env_id, str(len(c.env.signals)), c.fitness, c.text) for c in load_cards()]
    if sys.stdout.isatty():
        print_table(columns, rows, make_console(sys.stdout))
    else:
        print_rows([column.name for column in columns], rows)


@app.command("show")
def show_card(env: EnvArgument, json_: JsonOption = False) -> None:
    """Show a task card; the same without the verb."""
    from rewardsmith.contract import records
    from rewardsmith.spec.task_cards import load_cards, load_task

    task = load_task(None, env, None)
    if json_:
        print_json(records.dump(task))
        return
    print_line(
        f"{task.name}: {task.env.env_id}\n{task.env_about}\n\nDefault task: {task.text}\nFitness: {task.fitness}"
    )
    print_line(f"Action: {task.action}\n")
    if task.metrics:
        rows = ((metric.name, metric.expression, metric.meaning) for metric in task.metrics)
        print_rows(("metric", "expression", "meaning"), rows)
        print_line("")
    if task.behaviour:
        parts = ((one.name, one.expression, f"{one.low:g} to {one.high:g}", str(one.bins)) for one in task.behaviour)
        print_rows(("behaviour", "expression", "range", "parts"), parts)
        print_line("")
    signals = (*task.env.signals, *task.env.list_learned())
    print_rows(("signal", "shape", "unit", "meaning"), (_signal_cells(signal) for signal in signals))
    if task.env.privileged_signals:
        print_line("")
        print_rows(
            ("only for the fitness", "shape", "unit", "meaning"), map(_signal_cells, task.env.privileged_signals)
        )
    others = [card for card in load_cards() if card.env.env_id == task.env.env_id and card.name != task.name]
    if others:
        print_line("")
        print_rows((f"other tasks on {task.env.env_id}", "text"), ((card.name, card.text) for card in others))


@app.command("describe")
def describe(
    env: OptionalEnvArgument = None,
    robot: RobotOption = None,
    action: ActionOption = None,
    env_kwargs: EnvKwargsOption = None,
    pass_env: PassEnvOption = None,
    signal: SignalOption = None,
    json_: JsonOption = False,
) -> None:
    """Describe an environment: spaces, time limit, signals, and the use of each key of `info`."""
    from rewardsmith.contract import records
    from rewardsmith.executors.probe import run_probe
    from rewardsmith.spec.env_options import check_variables_set, read_env_options
    from rewardsmith.spec.task_cards import find_env

    env, arguments = select_env(env, robot, action)
    spec, card = find_env(env)
    spec = read_env_options(env_kwargs, pass_env or (), arguments, signal or ()).apply(spec)
    check_variables_set(spec, os.environ)
    probe = run_probe(spec)
    if json_:
        print_json(records.dump(probe))
        return
    _print_spaces(spec, probe)
    if card:
        print_line(f"task card:     {card.name} ({len(spec.signals)} of the signals named there)")
    for remark in probe.remarks:
        print_line(f"note:          {remark}")
    _print_catalogue(probe)
    _print_about(probe.about)


@app.command("new")
def new(
    env: OptionalEnvArgument = None,
    robot: RobotOption = None,
    action: ActionOption = None,
    env_kwargs: EnvKwargsOption = None,
    pass_env: PassEnvOption = None,
    out: Annotated[Path | None, typer.Option(help="The card's file. [default: <name>.toml]")] = None,
) -> None:
    """Write a task card to fill in, from the environment's own card if it has one; `--env` accepts its file."""
    from rewardsmith.executors.probe import run_probe
    from rewardsmith.spec import new_card
    from rewardsmith.spec.env_options import check_variables_set, read_env_options
    from rewardsmith.spec.new_robot_card import render_robot_card
    from rewardsmith.spec.robots import names_robot
    from rewardsmith.spec.task_cards import describe_unnamed_signals, find_card_file, find_env

    env, arguments = select_env(env, robot, action)
    plain, card = find_env(env)
    spec = read_env_options(env_kwargs, pass_env or (), arguments).apply(plain)
    check_variables_set(spec, os.environ)
    path = out or new_card.default_card_path(spec)
    new_card.check_card_path(path)

    # The environment's own card, where the user asks for nothing else.
    card_file = find_card_file(env) if card and spec == plain else None
    if card and card_file:
        new_card.write_card(new_card.adapt_card(card_file.read_text(encoding="utf-8"), card.name), path)
        made = f"made from the card {card.name!r}; change its text and fitness"
        print_line(f'{path}: {made}, then: rewardsmith design "..." --env {path}')
        return

    # A card to fill in, with what a probe finds.
    probe = run_probe(spec)
    is_file = names_robot(env)
    text = render_robot_card(spec, probe, env, path.parent) if is_file else new_card.render_card(spec, probe)
    new_card.write_card(text, path)
    print_line(f'{path}: fill in the marked lines, then: rewardsmith design "..." --env {path}')
    remark = describe_unnamed_signals(probe.signals)
    if remark:
        print_line(remark)


@app.command("randomise")
def randomise(
    run: RunArgument,
    candidate: PolicyOption = None,
    trust: TrustRunOption = False,
    json_: JsonOption = False,
) -> None:
    """Propose [randomisation] for the card of RUN's robot: measured on its policy, chosen by the run's model."""
    from rewardsmith.api import randomisation_proposals
    from rewardsmith.contract import records
    from rewardsmith.report.export.trained_policy import choose_policy
    from rewardsmith.report.live import PlainLines
    from rewardsmith.search.randomisation_proposal import list_ranges

    opened = open_run(run)
    randomisation_proposals.check_robot(opened)
    policy = choose_policy(opened, candidate or choose_default_owner(opened))
    confirm_run(opened, trust)
    prior, proposal = randomisation_proposals.propose_randomisation(opened, policy, PlainLines(sys.stderr, opened))
    if json_:
        chosen = None if proposal is None else records.dump(proposal)
        print_json({"prior": records.dump(prior), "proposal": chosen, "ranges": list_ranges(prior, proposal)})
        return
    _print_randomisation(prior, proposal, opened.layout.best_program)


def _print_randomisation(prior: RandomisationPrior, proposal: RandomisationProposal | None, program: Path) -> None:
    from rewardsmith.search.randomisation_proposal import list_ranges, render_section

    print_line(
        f"{prior.owner}: fitness {format_number(prior.fitness)}, random actions {format_number(prior.random)}; it"
        f" performs with {format_number(prior.floor)} or more"
    )
    ranges = list_ranges(prior, proposal)
    rows = [
        (name, f"{sweep.low:g} to {sweep.high:g}", " to ".join(f"{end:g}" for end in ranges.get(name, ())) or "-")
        for name, sweep in prior.sweeps.items()
    ]
    print_rows(("parameter", "it performs", "chosen" if proposal else "for the card"), rows)
    if proposal is not None:
        print_line(f"\n{proposal.model}: {proposal.reason}")
    else:
        print_line("\nThe run's designer is no language model: these are the measured ranges as they are.")
    print_line(f"\n{render_section(ranges)}")
    print_line(
        "\nPut these lines into the task's card (`rewardsmith envs new NAME` writes one), and train again:"
        f" rewardsmith train {program} --env CARD.toml"
    )


def _print_spaces(spec: EnvSpec, probe: Probe) -> None:
    print_line(f"environment:   {spec.env_id}" + "".join(f" {key}={value!r}" for key, value in spec.kwargs.items()))
    for wrapper in spec.wrappers:
        given = "".join(f" {key}={value!r}" for key, value in wrapper.kwargs.items())
        print_line(f"wrapped in:    {wrapper.name}{given}")
    print_line(f"observation:   {probe.observation_space}")
    print_line(f"action:        {probe.action_space}")
    if probe.action_names:
        named = (f"{place} {name}" for place, name in enumerate(probe.action_names))
        print_line(f"               {', '.join(named)}")
    print_line(f"time limit:    {pluralize(probe.max_episode_steps, 'step') if probe.max_episode_steps else 'none'}")
    how = "together, on batched physics" if probe.batched else "one by one, through Gymnasium"
    print_line(f"stepped:       {how}")


def _print_about(about: str) -> None:
    """Print the beginning of the docstring of an environment's class."""
    lines = about.splitlines()
    if lines:
        print_line("\nThe environment's class says:\n\n" + "\n".join(lines[:ABOUT_LINES]))
    if len(lines) > ABOUT_LINES:
        print_line(f"... ({pluralize(len(lines) - ABOUT_LINES, 'more line')}: --json has them)")


def _print_catalogue(probe: Probe) -> None:
    from rewardsmith.spec.task_cards import describe_unnamed_signals

    remark = describe_unnamed_signals(probe.signals)
    if remark:
        print_line(f"\n{remark}")
    print_line(f"\n{pluralize(len(probe.signals), 'signal')}, for programs and fitness expressions:")
    columns = ("shape", "unit", "meaning", "source")
    print_rows(("signal", *columns), ((*_signal_cells(signal), signal.source) for signal in probe.signals))
    print_line(f"\n{pluralize(len(probe.privileged_signals), 'privileged signal')}, only for fitness expressions:")
    print_rows(
        ("privileged signal", *columns),
        ((*_signal_cells(signal), signal.source) for signal in probe.privileged_signals),
    )
    if probe.info:
        print_line("\nKeys of the environment's info:")
        print_rows(("key", "use", "reason"), ((entry.key, entry.decision, entry.reason) for entry in probe.info))


def _signal_cells(signal: Signal) -> tuple[str, ...]:
    return signal.name, str(signal.shape or "scalar"), signal.unit, signal.meaning
