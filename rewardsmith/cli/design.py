"""`rewardsmith design`: search for a reward program, from a sentence to a trained behaviour."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rewardsmith.cli.console import print_json, print_line, run_new_search
from rewardsmith.cli.options import (
    ActionOption,
    ConfigOption,
    DemoOption,
    EnvKwargsOption,
    ExecutorOption,
    JobsOption,
    JsonLinesOption,
    OptionalEnvOption,
    OutOption,
    PassEnvOption,
    RobotOption,
    SandboxOption,
    SetOption,
    SignalOption,
    StepsOption,
    TrainerConfigOption,
    TrainerOption,
    YesOption,
    complete_preset,
    drop_unset,
    join_signals,
    make_absolute,
    parse_executor,
    parse_models,
    select_env,
)
from rewardsmith.contract.errors import UserError
from rewardsmith.contract.text import pluralize

if TYPE_CHECKING:
    from rewardsmith.api.searches import SearchPlan


def design(
    text: Annotated[str, typer.Argument(help="What the agent should do, in a sentence.", metavar="TEXT")],
    env: OptionalEnvOption = None,
    robot: RobotOption = None,
    action: ActionOption = None,
    fitness: Annotated[
        str | None,
        typer.Option(
            help="How success is measured, such as 'x_position[-1]'; auto lets the model propose it; people, judge, "
            "people+0.5*EXPRESSION: people or a model compare the programs. [default: as in the task card]"
        ),
    ] = None,
    env_kwargs: EnvKwargsOption = None,
    pass_env: PassEnvOption = None,
    signal: SignalOption = None,
    demo: DemoOption = None,
    designer: Annotated[
        str | None,
        typer.Option(
            help="llm, or symbolic, which needs no model. [default: llm if a model or key is given, else symbolic]"
        ),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            help="A preset (see `rewardsmith presets`), or a TOML file. [default: smith]",
            autocompletion=complete_preset,
        ),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            help="Name of the language model, as its endpoint knows it; or ROLE=NAME with a role of designer, critic, "
            "analyzer, judge, labeller."
        ),
    ] = None,
    seed_reward: Annotated[
        Path | None, typer.Option(help="A reward program of yours that the first generation starts with.")
    ] = None,
    population: Annotated[
        int | None, typer.Option(help="Programs per generation. [default: as in the preset, 4]")
    ] = None,
    generations: Annotated[
        int | None, typer.Option(help="Number of generations. [default: as in the preset, 3]")
    ] = None,
    search: Annotated[
        str | None, typer.Option(help="Search strategy: generations, mcts, map-elites. [default: generations]")
    ] = None,
    behaviour: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=EXPRESSION:LOW:HIGH[:BINS]",
            help="A number that tells behaviours apart, for the archive of map-elites, such as "
            "'speed=mean(x_velocity):0:5:10'. May be given twice. [default: as in the task card, else the model "
            "proposes]",
        ),
    ] = None,
    ensemble: Annotated[
        int | None, typer.Option(help="At the end, also train an ensemble of the best N programs. [default: 0]")
    ] = None,
    steps: StepsOption = None,
    seeds: Annotated[int | None, typer.Option(help="Training seeds per program. [default: 1]")] = None,
    jobs: JobsOption = None,
    executor: ExecutorOption = None,
    track: Annotated[
        list[str] | None, typer.Option(help="Log all learning curves: tensorboard, wandb, mlflow. May be given twice.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of all random choices. [default: 0]")] = None,
    budget_usd: Annotated[float | None, typer.Option(help="Stop before the model calls cost more than this.")] = None,
    budget_steps: Annotated[
        int | None,
        typer.Option(
            help="Environment steps of the whole search and its report; divided into programs, generations and seeds."
        ),
    ] = None,
    budget_minutes: Annotated[
        float | None,
        typer.Option(help="Minutes of the whole search's trainings, by the speed of this machine; divided likewise."),
    ] = None,
    llm_replay: Annotated[
        Path | None, typer.Option(help="Answer every model call from this ledger; a call that it lacks is an error.")
    ] = None,
    llm_cache: Annotated[
        Path | None, typer.Option(help="Answer model calls from this ledger; a call that it lacks is sent.")
    ] = None,
    sandbox: SandboxOption = None,
    trainer: TrainerOption = None,
    trainer_config: TrainerConfigOption = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    yes: YesOption = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan; run nothing.")] = False,
    out: OutOption = None,
    json_: JsonLinesOption = False,
) -> None:
    """Search for a reward program that makes an agent do what TEXT says."""
    from rewardsmith.api import searches
    from rewardsmith.api.search_budget import parse_budget
    from rewardsmith.spec.env_options import read_env_options

    _refuse_empty(text, fitness)
    sizes = {"population": population, "generations": generations, "env_steps": steps, "seeds": seeds, "seed": seed}
    options: dict[str, Any] = {
        "search": {"designer": designer, "strategy": search, "ensemble": ensemble, **sizes},
        "training": {"trainer": trainer},
        "llm": {
            **parse_models(model or ()),
            "replay": make_absolute(llm_replay),
            "cache": make_absolute(llm_cache),
        },
        "budget": {"cost_usd": budget_usd},
        "sandbox": {"backend": sandbox},
        "jobs": jobs,
        "preset": preset,
        "trackers": track,
    }
    overrides = {**drop_unset(options), **parse_executor(executor)}
    env, arguments = select_env(env, robot, action)
    env_options = read_env_options(env_kwargs, pass_env or (), arguments, join_signals(signal, demo))
    plan = searches.plan_search(
        *(text, env, fitness, config, overrides, set_ or ()),
        trainer_config=trainer_config,
        env_options=env_options,
        budget=parse_budget(budget_steps, budget_minutes),
        behaviour=behaviour or (),
    )

    if dry_run:
        show_plan(plan, json_, out, seed_reward, designer)
        return
    if not json_:
        for note in _missing_model_notes(plan, designer):
            print_line(f"Note: {note}")
    run_new_search(searches.create_run(plan, out, seed_reward), json_, yes)


def _refuse_empty(text: str, fitness: str | None) -> None:
    """Refuse an empty sentence or fitness, such as those of an unset variable of a shell script."""
    if not text.strip():
        raise UserError("TEXT is empty; say in a sentence what the agent should do")
    if fitness is not None and not fitness.strip():
        raise UserError("--fitness is empty; write an expression, or leave the option out to take the task card's")


# ---------------------------------------------------------------- dry run


def show_plan(
    plan: SearchPlan, json_: bool, out: Path | None, seed_reward: Path | None, designer: str | None = None
) -> None:
    """Show what a search would do.

    Args:
        plan: the search.
        json_: whether to print JSON.
        out: the run directory; None for a new one.
        seed_reward: the user's own program.
        designer: the designer that the user named; None if the settings chose it.
    """
    from rewardsmith.api.preflight import preflight_check
    from rewardsmith.contract import records
    from rewardsmith.contract.fitness.judged import describe_fitness_source
    from rewardsmith.contract.records.fitness import AUTO_FITNESS
    from rewardsmith.search import setup
    from rewardsmith.spec import config as configuration
    from rewardsmith.spec.labelling import describe_label_costs
    from rewardsmith.spec.task_warnings import task_warnings

    # For programs.
    totals = {"trainings": plan.trainings, "env_steps": plan.env_steps, "calls": plan.calls}
    if json_:
        task = {"task": records.dump(plan.task), "config": plan.config.model_dump(mode="json")}
        environment_remarks = preflight_check(plan.task, plan.config, out, seed_reward)
        labels = {"labels": list(describe_label_costs(plan.task.env))} if plan.task.env.learned_signals else {}
        print_json(task | totals | labels | {"remarks": [*task_warnings(plan.task), *environment_remarks]})
        return

    # The task.
    print_line(f"Task       {plan.task.text}")
    fitness = describe_fitness_source(plan.config.name_fitness(plan.task.fitness))
    if plan.task.fitness == AUTO_FITNESS:
        fitness = "auto: the model proposes it, and nothing is trained before your yes"
    print_line(f"On         {plan.task.env.env_id}, fitness {fitness}")
    if plan.task.env.kwargs:
        print_line(f"           made with {plan.task.env.kwargs}")
    for metric in plan.task.metrics:
        print_line(f"           metric {metric.name} = {metric.expression}")
    for one in plan.task.behaviour:
        print_line(
            f"           behaviour {one.name} = {one.expression}, {one.bins} parts of {one.low:g} to {one.high:g}"
        )
    if plan.config.search.strategy == "map-elites" and not plan.task.behaviour:
        print_line("           behaviour: the model proposes it before the first generation")

    # The search, and what it takes.
    for line in _describe_size(plan):
        print_line(line)

    # What the user should know.
    notes = [*_missing_model_notes(plan, designer), *task_warnings(plan.task)]
    if plan.config.search.designer == "symbolic":
        notes.insert(0, setup.SYMBOLIC_NOTICE)
    for note in notes:
        print_line(f"Note: {note}.")

    changed = configuration.dump_changed_settings(plan.config)
    print_line(f"\nSettings that are not the defaults:\n\n{changed}" if changed else "\nAll settings are the defaults.")
    for remark in preflight_check(plan.task, plan.config, out, seed_reward):
        print_line(f"Note: {remark}.")
    print_line("Dry run: no model calls, no training.")


def _describe_size(plan: SearchPlan) -> list[str]:
    """Return the lines about the size of a search: programs, trainings, time, calls."""
    from rewardsmith.api.speed import describe_time, measure_training_speed
    from rewardsmith.executors import slots_for
    from rewardsmith.spec.labelling import describe_label_costs

    search, slots = plan.config.search, slots_for(plan.config)
    speed = measure_training_speed(plan.task.env.env_id)
    size = f"{pluralize(search.population, 'program')} × {pluralize(search.generations, 'generation')}"
    steps = pluralize(search.env_steps, "environment step")
    calls = f"{plan.calls:,} of the language model, and one per repair" if plan.calls else "none"
    return [
        f"Designer   {search.designer}: {size}",
        f"Trainings  {plan.trainings:,} of {steps}, {slots} at the same time",
        f"           {_describe_trainings(plan)}",
        *_describe_stages(plan),
        f"Time       {describe_time(plan.trainings, search.env_steps, slots, speed)}",
        f"Calls      {calls}",
        *(f"Labels     {line}" for line in describe_label_costs(plan.task.env)),
    ]


def _describe_stages(plan: SearchPlan) -> list[str]:
    """Return a line for each stage that the card lists before the task; its trainings are among those of the plan."""
    return [
        f"Stage {number}    {stage.text} ({pluralize(stage.env_steps, 'step')} a training)"
        for number, stage in enumerate(plan.task.stages, start=1)
    ]


def _describe_trainings(plan: SearchPlan) -> str:
    """Say what the trainings of a search are for."""
    search = plan.config.search
    in_generations = search.population * search.generations * search.seeds
    parts = [f"{in_generations:,} of new programs"]
    if search.finalist_trainings:
        parts.append(f"{search.finalist_trainings:,} that choose between the best of them")
    in_report = search.trainings - in_generations - search.finalist_trainings
    parts.append(f"{in_report:,} of the report" if in_report else "none of a report")
    in_stages = plan.trainings - search.trainings
    return ", ".join([*parts, f"{in_stages:,} of the stages before"] if in_stages else parts)


def _missing_model_notes(plan: SearchPlan, designer: str | None) -> Sequence[str]:
    """Say that an endpoint is set but no model is named, so that the symbolic designer writes the programs."""
    from rewardsmith.llm.endpoint import URL_VARIABLE

    if plan.config.search.designer != "symbolic" or designer or URL_VARIABLE not in os.environ:
        return ()
    return (f"{URL_VARIABLE} is set, but no --model is given, so the symbolic designer is used",)
