"""`rewardsmith fit`: weights of a program's terms from demonstrations."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rewardsmith.cli.console import print_json, print_line, print_progress
from rewardsmith.cli.options import (
    EnvKwargsOption,
    EnvOption,
    FitnessOption,
    JsonOption,
    PassEnvOption,
    SetOption,
    SignalOption,
    StepsOption,
    drop_unset,
)
from rewardsmith.contract.text import format_number, pluralize

if TYPE_CHECKING:
    from rewardsmith.api.weight_fit import WeightFit


def fit(
    file: Annotated[Path, typer.Argument(help="A reward program.", metavar="PROGRAM")],
    env: EnvOption,
    demo: Annotated[
        list[Path], typer.Option(metavar="FILE", help="Recorded episodes (`rewardsmith record`). May be given twice.")
    ],
    env_kwargs: EnvKwargsOption = None,
    pass_env: PassEnvOption = None,
    signal: SignalOption = None,
    fitness: FitnessOption = None,
    rounds: Annotated[
        int, typer.Option(min=0, help="Trainings with the weights so far, whose episodes count as others; 0: none.")
    ] = 1,
    steps: StepsOption = None,
    set_: SetOption = None,
    out: Annotated[
        Path | None, typer.Option(help="The program to write. [default: PROGRAM's name with -fitted]")
    ] = None,
    json_: JsonOption = False,
) -> None:
    """Fit the weights of PROGRAM's terms to demonstrations, and write the program with them.

    Maximum-entropy inverse reinforcement learning on the terms' sums over episodes: the weights make the demonstrations
    likely among random episodes and those of policies trained with the weights so far.
    """
    from rewardsmith.api import weight_fit
    from rewardsmith.api.planning import plan_without_search
    from rewardsmith.contract import records
    from rewardsmith.contract.reward_files import load_reward
    from rewardsmith.spec.env_options import read_env_options

    program = load_reward(file)
    overrides = drop_unset({"search": {"env_steps": steps, "designer": "symbolic"}})
    options = read_env_options(env_kwargs, pass_env or (), signals=signal or ())
    plan = plan_without_search(
        f"fit {file.name}", env, fitness, overrides=overrides, sets=set_ or (), env_options=options
    )
    result = weight_fit.fit_program(program, plan.task, plan.config, demo, rounds, print_progress)
    written = out or file.with_name(f"{file.stem}-fitted{file.suffix}")
    records.write_text(written, result.source)
    if json_:
        print_json({"file": str(written), **records.dump(result)})
    else:
        _print_fit(result)
        print_line(f"written to {written}")


def _print_fit(result: WeightFit) -> None:
    """Print a row for each term."""
    from rewardsmith.report.tables import TableColumn, make_console, print_table

    columns = [
        TableColumn("term"),
        TableColumn("weight before", right=True),
        TableColumn("fitted", right=True),
        TableColumn("sum demonstrated", right=True, drop=2),
        TableColumn("sum of others", right=True, drop=1),
    ]
    rows = [
        [term.name, *(format_number(value) for value in (term.before, term.after, term.demonstrated, term.others))]
        for term in result.terms
    ]
    print_table(columns, rows, make_console(sys.stdout))
    shown = pluralize(result.demonstrations, "demonstration")
    print_line(f"\nfrom {shown} and {result.others:,} other episodes; fitness of random actions and of each round's")
    print_line(f"policy: {', '.join(map(format_number, result.fitness))}")
