"""`rewardsmith design`: a sentence becomes a trained behaviour."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from rewardsmith.cli.console import complain, say, say_json
from rewardsmith.cli.options import EXECUTOR_HELP, executor_layer
from rewardsmith.contract.errors import UserError
from rewardsmith.contract.text import counted


def design(
    text: Annotated[str, typer.Argument(help="What the agent should do, in a sentence.", metavar="TEXT")],
    env: Annotated[str, typer.Option(help="A Gymnasium id, a task's name (see `rewardsmith envs`) or a card's file.")],
    fitness: Annotated[
        str | None,
        typer.Option(
            help="How success is measured, such as 'x_position[-1]'; or people, judge, people+0.5*EXPRESSION, where "
            "they compare programs. [default: the card's]"
        ),
    ] = None,
    designer: Annotated[
        str | None,
        typer.Option(
            help="llm, or symbolic, which needs no model. [default: llm if a model or key is given, else symbolic]"
        ),
    ] = None,
    preset: Annotated[
        str | None, typer.Option(help="A recipe that `rewardsmith presets` lists, or a TOML file. [default: smith]")
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            help="Name of the language model, as its endpoint knows it; or ROLE=NAME with a role of designer, critic, "
            "analyzer, judge."
        ),
    ] = None,
    seed_reward: Annotated[
        Path | None, typer.Option(help="A reward program of yours that the first generation begins with.")
    ] = None,
    population: Annotated[int | None, typer.Option(help="Programs per generation. [default: the preset's, 4]")] = None,
    generations: Annotated[int | None, typer.Option(help="Generations. [default: the preset's, 3]")] = None,
    search: Annotated[
        str | None, typer.Option(help="How programs lead to others: generations, mcts. [default: generations]")
    ] = None,
    ensemble: Annotated[
        int | None, typer.Option(help="At the end, train also on so many of the best programs joined. [default: 0]")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Environment steps per training. [default: the card's]")] = None,
    seeds: Annotated[int | None, typer.Option(help="Training seeds per program. [default: 1]")] = None,
    jobs: Annotated[int | None, typer.Option(help="Trainings at once. [default: one per core]")] = None,
    executor: Annotated[str | None, typer.Option(help=EXECUTOR_HELP)] = None,
    track: Annotated[
        list[str] | None, typer.Option(help="Log every training's curve: tensorboard, wandb. May be given twice.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of everything random. [default: 0]")] = None,
    budget_usd: Annotated[float | None, typer.Option(help="End before the model's calls cost more.")] = None,
    llm_replay: Annotated[
        Path | None, typer.Option(help="Answer every model call from this ledger; one that it lacks is an error.")
    ] = None,
    llm_cache: Annotated[
        Path | None, typer.Option(help="Answer model calls from this ledger; one that it lacks is sent.")
    ] = None,
    sandbox: Annotated[
        str | None, typer.Option(help="Where programs run: local, docker, auto. [default: auto]")
    ] = None,
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
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan; run nothing.")] = False,
    out: Annotated[Path | None, typer.Option(help="The run directory. [default: runs/<time>-<env>]")] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON lines, for programs.")] = False,
) -> None:
    """Search for a reward program that makes an agent do what TEXT says."""
    from rewardsmith.api import searches

    sizes = {"population": population, "generations": generations, "env_steps": steps, "seeds": seeds, "seed": seed}
    options: dict[str, dict[str, Any]] = {
        "search": {"designer": designer, "strategy": search, "ensemble": ensemble, **sizes},
        "training": {"trainer": trainer},
        "llm": {**models(model or ()), "replay": _absolute(llm_replay), "cache": _absolute(llm_cache)},
        "budget": {"cost_usd": budget_usd},
        "sandbox": {"backend": sandbox},
    }
    plan = searches.plan(
        text,
        env,
        fitness,
        config,
        {**given(options), **given({"jobs": jobs, "preset": preset, "trackers": track}), **executor_layer(executor)},
        set_ or (),
        trainer_config=trainer_config,
    )
    if dry_run:
        show_plan(plan, json_, out, seed_reward)
        return
    begin(searches.start(plan, out, seed_reward), json_)


def begin(run: Any, json_: bool) -> None:
    """Run what has just been made; where the user's mistake ends it before anything was paid for, nothing is left."""
    try:
        carry_on(run, json_)
    except UserError:
        run.discard_if_unused()
        raise


def carry_on(run: Any, json_: bool) -> None:
    """Run a search with a view of it, and show its result; shared with `resume`."""
    from rewardsmith.api import searches
    from rewardsmith.contract.errors import RunFailed
    from rewardsmith.report.live import view
    from rewardsmith.report.tables import console_on, print_result

    again = f"rewardsmith resume {run.path}"
    try:
        with view(sys.stdout, json_, run) as watch:
            result = searches.carry_on(run, watch)
    except KeyboardInterrupt:
        complain(f"interrupted; what is done is kept: `{again}` goes on from here")
        raise typer.Exit(130) from None
    except RunFailed as error:
        complain(f"{error}\nWhat is done is kept in {run.path}: `{again}` goes on from there.")
        raise typer.Exit(1) from None
    if not json_:
        print_result(result, console_on(sys.stdout))


def show_plan(plan: Any, json_: bool, out: Path | None, seed_reward: Path | None) -> None:
    """Show what a search would do."""
    from rewardsmith.api.preflight import rehearse
    from rewardsmith.contract import records
    from rewardsmith.executors import slots_for
    from rewardsmith.search import setup
    from rewardsmith.spec import config as configuration
    from rewardsmith.spec.task_warnings import doubts

    if json_:
        remarks = {"remarks": doubts(plan.task)}
        task = records.dump(plan.task)
        say_json({"task": task, "config": plan.config.model_dump(mode="json")} | totals(plan) | remarks)
        rehearse(plan.task, plan.config, out, seed_reward)
        return
    search = plan.config.search
    say(f"Task       {plan.task.text}")
    say(f"On         {plan.task.env.env_id}, fitness {plan.task.fitness}")
    for figure in plan.task.figures:
        say(f"           beside it, {figure.name} = {figure.expression}")
    size = f"{counted(search.population, 'program')} × {counted(search.generations, 'generation')}"
    say(f"Designer   {search.designer}: {size}")
    each = counted(search.env_steps, "environment step")
    say(f"Trainings  {plan.trainings:,} of {each}, {slots_for(plan.config)} at once")
    say(f"Calls      {plan.calls:,} of the language model, and one per repair" if plan.calls else "Calls      none")
    for remark in (*[setup.SYMBOLIC] * (search.designer == "symbolic"), *doubts(plan.task)):
        say(f"Mind: {remark}.")
    chosen = configuration.beside_defaults(plan.config)
    say(f"\nSettings that are not the defaults:\n\n{chosen}" if chosen else "\nAll settings are the defaults.")
    rehearse(plan.task, plan.config, out, seed_reward)
    say("Nothing was asked or trained.")


def totals(plan: Any) -> dict[str, int]:
    """Return the planned totals."""
    return {"trainings": plan.trainings, "env_steps": plan.env_steps, "calls": plan.calls}


def models(names: Sequence[str]) -> dict[str, Any]:
    """Return the llm settings for the models that the user named, each for all roles or as ROLE=NAME.

    >>> models(["small", "critic=large"])
    {'model': 'small', 'roles': {'critic': {'model': 'large'}}}

    Raises:
        ConfigError: if there is no such role, or one is named twice.
    """
    from rewardsmith.contract.errors import ConfigError
    from rewardsmith.spec.settings import ROLES

    found: dict[str, Any] = {}
    for name in names:
        role, equals, own = name.partition("=")
        if equals and role.isidentifier() and role not in ROLES:
            raise ConfigError(f"--model {name}: there is no role {role!r}; the roles are {', '.join(ROLES)}")
        place = found.setdefault("roles", {}).setdefault(role, {}) if equals and role in ROLES else found
        if "model" in place:
            raise ConfigError(f"--model {name}: {role if place is not found else 'the model'} is named twice")
        place["model"] = own if place is not found else name
    return found


def given(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options that the user gave, without empty sections.

    >>> given({"search": {"seeds": 2, "seed": None}, "llm": {"model": None}})
    {'search': {'seeds': 2}}
    """
    kept = {key: given(value) if isinstance(value, dict) else value for key, value in options.items()}
    return {key: value for key, value in kept.items() if value is not None and value != {}}


def _absolute(path: Path | None) -> str | None:
    return None if path is None else str(path.absolute())
