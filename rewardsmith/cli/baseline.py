"""`rewardsmith baseline`: the fitness of random actions and of the environment reward, to compare with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rewardsmith.cli.console import print_json, print_line, print_progress, print_rows
from rewardsmith.cli.options import (
    EnvKwargsOption,
    FitnessOption,
    JobsOption,
    JsonLinesOption,
    PassEnvOption,
    SetOption,
    SignalOption,
    StepsOption,
    complete_env,
    drop_unset,
)
from rewardsmith.contract.text import format_number, pluralize

if TYPE_CHECKING:
    from rewardsmith.api.baselines import MeasuredAnchor
    from rewardsmith.contract.records import Interval


def baseline(
    tasks: Annotated[
        list[str],
        typer.Argument(help="Names of tasks, Gymnasium ids, or files of task cards.", autocompletion=complete_env),
    ],
    env_kwargs: EnvKwargsOption = None,
    pass_env: PassEnvOption = None,
    signal: SignalOption = None,
    fitness: FitnessOption = None,
    steps: StepsOption = None,
    seeds: Annotated[
        int | None, typer.Option(help="Training seeds; 0: only random actions. [default: as in the task card]")
    ] = None,
    jobs: JobsOption = None,
    set_: SetOption = None,
    write: Annotated[bool, typer.Option("--write", help="Write the results into the task cards, as anchors.")] = False,
    json_: JsonLinesOption = False,
) -> None:
    """Measure random actions (100 episodes), and policies trained on the environment reward, for each task."""
    from rewardsmith.api import baselines
    from rewardsmith.api.planning import plan_without_search
    from rewardsmith.contract import records
    from rewardsmith.spec.env_options import read_env_options

    # Everything that can be wrong is checked before the first training.
    search = {"env_steps": steps, "final_seeds": seeds, "designer": "symbolic"}
    overrides = drop_unset({"search": search, "jobs": jobs})
    options = read_env_options(env_kwargs, pass_env or (), signals=signal or ())
    plans = [
        plan_without_search("baseline", task, fitness, overrides=overrides, sets=set_ or (), env_options=options)
        for task in tasks
    ]
    cards = [_find_card(task, fitness, bool(options.kwargs)) for task in tasks] if write else []

    measured: list[MeasuredAnchor] = []
    cache = baselines.default_cache_folder()
    for number, plan in enumerate(plans):
        anchors = baselines.measure_anchors(plan.task, plan.config, cache, print_progress)
        measured += anchors
        if write:
            baselines.write_anchors([item.anchor for item in anchors], cards[number])

    if json_:
        for item in measured:
            print_json(records.dump(item))
        return
    _print_table(measured)
    for card in cards:
        print_line(f"written into {card}")


def _find_card(task: str, fitness: str | None, has_other_kwargs: bool) -> Path:
    """Return the task card to write the anchors of a task into.

    Raises:
        TaskError: if the task has no card, or the anchors would be of another fitness or environment than the card's.
    """
    from rewardsmith.contract.errors import TaskError
    from rewardsmith.spec.task_cards import find_card_file

    card = find_card_file(task)
    if card is None:
        raise TaskError(f"{task!r} has no task card to write into; create one with: rewardsmith envs new {task}")
    if fitness is not None:
        raise TaskError("--write only writes results of the card's own fitness; leave --fitness out")
    if has_other_kwargs:
        raise TaskError("--write only writes results of the card's own environment; leave --env-kwargs out")
    return card


def _print_table(measured: list[MeasuredAnchor]) -> None:
    columns = ("task", "policy", "steps", "over", "quantity", "mean", "95 % interval", "measured with")
    rows = []
    for item in measured:
        anchor = item.anchor
        steps = f"{anchor.env_steps:,}" if anchor.env_steps else "-"
        samples = pluralize(anchor.seeds, "episode" if anchor.policy == "random" else "seed")
        for name, interval in {"fitness": item.interval, **item.metrics}.items():
            figures = (format_number(interval.mean), _format_bounds(interval))
            rows.append((item.task, anchor.policy, steps, samples, name, *figures, anchor.versions))
    print_rows(columns, rows, unwrapped=("policy", "quantity"))


def _format_bounds(interval: Interval) -> str:
    low, high = interval.low, interval.high
    return "-" if low is None or high is None else f"[{format_number(low)}, {format_number(high)}]"
