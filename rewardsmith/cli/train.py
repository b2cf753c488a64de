"""`rewardsmith train`: what a reward file is worth, without a search."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def train(
    file: Annotated[Path, typer.Argument(help="A reward program.")],
    env: Annotated[str, typer.Option(help="A Gymnasium id, or the name of a task.")],
    fitness: Annotated[str | None, typer.Option(help="How success is measured. [default: the card's]")] = None,
    steps: Annotated[int | None, typer.Option(help="Environment steps per training. [default: the card's]")] = None,
    seeds: Annotated[int, typer.Option(help="Training seeds.")] = 1,
    jobs: Annotated[int | None, typer.Option(help="Trainings at once. [default: one per core]")] = None,
    baseline: Annotated[bool, typer.Option("--baseline", help="Train on the environment's own reward too.")] = False,
    trainer: Annotated[
        str | None, typer.Option(help="How policies learn: fast or sb3 (PPO), sac, td3. [default: fast]")
    ] = None,
    trainer_config: Annotated[
        Path | None, typer.Option(help="Tuned settings of the training: an rl-zoo3 YAML file.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="A TOML file with settings.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any setting: training.n_envs=16")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The run directory. [default: runs/<time>-<env>]")] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON lines, for programs.")] = False,
) -> None:
    """Train policies on FILE and measure them on held-out seeds."""
    from rewardsmith.api import searches
    from rewardsmith.cli.design import begin, given
    from rewardsmith.contract.reward_program import load_reward

    program = load_reward(file)
    search = {"env_steps": steps, "final_seeds": seeds, "baseline": baseline}
    one = {"population": 1, "generations": 1, "seeds": 1, "designer": "symbolic"}
    overrides = given({"search": search | one, "training": {"trainer": trainer}, "jobs": jobs})
    plan = searches.plan(
        f"train {file.name}", env, fitness, config, overrides, set_ or (), trainer_config=trainer_config
    )
    begin(searches.start(plan, out, measured=program), json_)
