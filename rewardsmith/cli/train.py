"""`rewardsmith train`: train policies on a reward file and measure them, without a search."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

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
    YesOption,
    drop_unset,
    parse_models,
)
from rewardsmith.cli.runs import run_new_search


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
        list[str] | None,
        typer.Option(help="Name of the language model, where a signal is labelled, or the fitness proposed, by one."),
    ] = None,
    trainer: TrainerOption = None,
    trainer_config: TrainerConfigOption = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    yes: YesOption = False,
    out: OutOption = None,
    json_: JsonLinesOption = False,
) -> None:
    """Train policies on FILE and measure them on held-out seeds."""
    from rewardsmith.api.planning import plan_training
    from rewardsmith.api.searches import create_run
    from rewardsmith.contract.records.fitness import AUTO_FITNESS
    from rewardsmith.contract.reward_files import load_reward
    from rewardsmith.spec.env_options import read_env_options

    program = load_reward(file)
    plan = plan_training(
        heading=f"train {file.name}",
        env=env,
        fitness=fitness,
        env_steps=steps,
        seeds=seeds,
        baseline=baseline,
        designer="llm" if fitness == AUTO_FITNESS else "symbolic",
        overrides=drop_unset({"training": {"trainer": trainer}, "llm": parse_models(model or ()), "jobs": jobs}),
        file=config,
        sets=set_ or (),
        trainer_config=trainer_config,
        env_options=read_env_options(env_kwargs, pass_env or (), signals=signal or (), demo=demo or ()),
    )
    run_new_search(create_run(plan, out, measured=program), json_, yes)
