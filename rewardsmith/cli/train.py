"""`rewardsmith train`: train policies on a reward file and measure them, without a search."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from rewardsmith.cli.console import run_new_search
from rewardsmith.cli.options import (
    ConfigOption,
    DemoOption,
    EnvKwargsOption,
    EnvOption,
    FitnessOption,
    JobsOption,
    JsonLinesOption,
    OutOption,
    PassEnvOption,
    SetOption,
    SignalOption,
    StepsOption,
    TrainerConfigOption,
    TrainerOption,
    drop_unset,
    join_signals,
    parse_models,
)


def train(
    file: Annotated[Path, typer.Argument(help="A reward program.")],
    env: EnvOption,
    env_kwargs: EnvKwargsOption = None,
    pass_env: PassEnvOption = None,
    signal: SignalOption = None,
    demo: DemoOption = None,
    fitness: FitnessOption = None,
    steps: StepsOption = None,
    seeds: Annotated[int, typer.Option(help="Training seeds.")] = 1,
    jobs: JobsOption = None,
    baseline: Annotated[bool, typer.Option("--baseline", help="Also train on the environment reward.")] = False,
    model: Annotated[
        list[str] | None, typer.Option(help="Name of the language model, where a signal is labelled by one.")
    ] = None,
    trainer: TrainerOption = None,
    trainer_config: TrainerConfigOption = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    out: OutOption = None,
    json_: JsonLinesOption = False,
) -> None:
    """Train policies on FILE and measure them on held-out seeds."""
    from rewardsmith.api import searches
    from rewardsmith.contract.reward_files import load_reward
    from rewardsmith.spec.env_options import read_env_options

    program = load_reward(file)
    # The run is a search of one program, of which only the final evaluation takes place.
    search: dict[str, Any] = {"env_steps": steps, "final_seeds": seeds, "baseline": baseline}
    search |= {"population": 1, "generations": 1, "seeds": 1, "designer": "symbolic"}
    llm = parse_models(model or ())
    overrides = drop_unset({"search": search, "training": {"trainer": trainer}, "llm": llm, "jobs": jobs})
    plan = searches.plan_search(
        f"train {file.name}",
        env,
        fitness,
        config,
        overrides,
        set_ or (),
        trainer_config=trainer_config,
        env_options=read_env_options(env_kwargs, pass_env or (), signals=join_signals(signal, demo)),
        is_title=True,
    )
    run_new_search(searches.create_run(plan, out, measured=program), json_)
