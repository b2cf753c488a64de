"""`rewardsmith design`: search for a reward program, from a sentence to a trained behaviour."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from rewardsmith.cli.console import print_line
from rewardsmith.cli.options import (
    ActionOption,
    ConfigOption,
    DemoOption,
    DryRunOption,
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
    make_absolute,
    parse_executor,
    parse_models,
    select_env,
)
from rewardsmith.cli.runs import run_new_search
from rewardsmith.contract.errors import UserError

TextArgument = Annotated[str, typer.Argument(help="What the agent should do, in a sentence.", metavar="TEXT")]
SearchFitnessOption = Annotated[
    str | None,
    typer.Option(
        "--fitness",
        help="How success is measured, such as 'x_position[-1]'; auto lets the model propose it; people, judge, "
        "people+0.5*EXPRESSION: people or a model compare the programs. [default: as in the task card]",
    ),
]

# ---------------------------------------------------------------- who writes the programs

DesignerOption = Annotated[
    str | None,
    typer.Option(
        help="llm; symbolic, which needs no model; subgoals (see --preset calm); coding-agent, which starts through "
        "`rewardsmith mcp`. [default: llm if a model or key is given, else symbolic]"
    ),
]
PresetOption = Annotated[
    str | None,
    typer.Option(
        help="A preset (see `rewardsmith presets`), or a TOML file. [default: smith]", autocompletion=complete_preset
    ),
]
ModelsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        help="Name of the language model, as its endpoint knows it; or ROLE=NAME with a role of designer, critic, "
        "analyzer, judge, labeller.",
    ),
]
SeedRewardOption = Annotated[
    Path | None, typer.Option(help="A reward program of yours that the first generation starts with.")
]
ReplayOption = Annotated[
    Path | None, typer.Option(help="Answer every model call from this ledger; a call that it lacks is an error.")
]
CacheOption = Annotated[
    Path | None, typer.Option(help="Answer model calls from this ledger; a call that it lacks is sent.")
]

# ---------------------------------------------------------------- the size of the search, and how it chooses

PopulationOption = Annotated[
    int | None,
    typer.Option(help="Programs per generation. [default: as in the preset; 6, or 4 with the symbolic designer]"),
]
GenerationsOption = Annotated[
    int | None,
    typer.Option(help="Number of generations. [default: as in the preset; 1, or 3 with the symbolic designer]"),
]
StrategyOption = Annotated[
    str | None, typer.Option("--search", help="Search strategy: generations, mcts, map-elites. [default: generations]")
]
BehaviourOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=EXPRESSION:LOW:HIGH[:BINS]",
        help="A number that tells behaviours apart, for the archive of map-elites, such as "
        "'speed=mean(x_velocity):0:5:10'. May be given twice. [default: as in the task card, else the model "
        "proposes]",
    ),
]
EnsembleOption = Annotated[
    int | None, typer.Option(help="At the end, also train an ensemble of the best N programs. [default: 0]")
]
SeedsOption = Annotated[int | None, typer.Option(help="Training seeds per program. [default: 1]")]
SeedOption = Annotated[int | None, typer.Option(help="Seed of all random choices. [default: 0]")]
TrackOption = Annotated[
    list[str] | None, typer.Option(help="Log all learning curves: tensorboard, wandb, mlflow. May be given twice.")
]

# ---------------------------------------------------------------- budgets

BudgetUsdOption = Annotated[float | None, typer.Option(help="Stop before the model calls cost more than this.")]
BudgetStepsOption = Annotated[
    int | None,
    typer.Option(
        help="Environment steps of the whole search and its report; divided into programs, generations and seeds."
    ),
]
BudgetMinutesOption = Annotated[
    float | None,
    typer.Option(help="Minutes of the whole search's trainings, by the speed of this machine; divided likewise."),
]


def design(
    text: TextArgument,
    env: OptionalEnvOption = None,
    robot: RobotOption = None,
    action: ActionOption = None,
    fitness: SearchFitnessOption = None,
    env_kwargs: EnvKwargsOption = None,
    pass_env: PassEnvOption = None,
    signal: SignalOption = None,
    demo: DemoOption = None,
    designer: DesignerOption = None,
    preset: PresetOption = None,
    model: ModelsOption = None,
    seed_reward: SeedRewardOption = None,
    population: PopulationOption = None,
    generations: GenerationsOption = None,
    strategy: StrategyOption = None,
    behaviour: BehaviourOption = None,
    ensemble: EnsembleOption = None,
    steps: StepsOption = None,
    seeds: SeedsOption = None,
    jobs: JobsOption = None,
    executor: ExecutorOption = None,
    track: TrackOption = None,
    seed: SeedOption = None,
    budget_usd: BudgetUsdOption = None,
    budget_steps: BudgetStepsOption = None,
    budget_minutes: BudgetMinutesOption = None,
    llm_replay: ReplayOption = None,
    llm_cache: CacheOption = None,
    sandbox: SandboxOption = None,
    trainer: TrainerOption = None,
    trainer_config: TrainerConfigOption = None,
    config: ConfigOption = None,
    set_: SetOption = None,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    out: OutOption = None,
    json_: JsonLinesOption = False,
) -> None:
    """Search for a reward program that makes an agent do what TEXT says."""
    from rewardsmith.api.planning import plan_search
    from rewardsmith.api.search_budget import parse_budget
    from rewardsmith.api.searches import create_run
    from rewardsmith.cli.plan_view import list_setting_notes, show_plan
    from rewardsmith.spec.env_options import read_env_options

    _refuse_empty(text, fitness)
    sizes = {"population": population, "generations": generations, "env_steps": steps, "seeds": seeds, "seed": seed}
    recorded = {"replay": make_absolute(llm_replay), "cache": make_absolute(llm_cache)}
    options: dict[str, Any] = {
        "search": {"designer": designer, "strategy": strategy, "ensemble": ensemble, **sizes},
        "training": {"trainer": trainer},
        "llm": {**parse_models(model or ()), **recorded},
        "budget": {"cost_usd": budget_usd},
        "sandbox": {"backend": sandbox},
        "jobs": jobs,
        "preset": preset,
        "trackers": track,
    }
    overrides = {**drop_unset(options), **parse_executor(executor)}

    env, arguments = select_env(env, robot, action)
    plan = plan_search(
        text,
        env=env,
        fitness=fitness,
        file=config,
        overrides=overrides,
        sets=set_ or (),
        trainer_config=trainer_config,
        env_options=read_env_options(env_kwargs, pass_env or (), arguments, signal or (), demo or ()),
        budget=parse_budget(budget_steps, budget_minutes),
        behaviour=behaviour or (),
    )
    if dry_run:
        show_plan(plan, json_, out, seed_reward, designer)
        return
    if not json_:
        for note in list_setting_notes(plan, designer):
            print_line(f"Note: {note}")
    run_new_search(create_run(plan, out, seed_reward), json_, yes)


def _refuse_empty(text: str, fitness: str | None) -> None:
    """Refuse an empty sentence or fitness, such as those of an unset variable of a shell script."""
    if not text.strip():
        raise UserError("TEXT is empty; say in a sentence what the agent should do")
    if fitness is not None and not fitness.strip():
        raise UserError("--fitness is empty; write an expression, or leave the option out to take the task card's")
