"""Functions behind the commands of a search and the Python calls (`calls`): plan it, create its run, continue it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rewardsmith.api import fitness_proposals, logs, signal_proposals
from rewardsmith.api.search_budget import SearchBudget, divide_budget, refuse_sizes
from rewardsmith.contract import records
from rewardsmith.contract.errors import ConfigError, RewardsmithError, TaskError
from rewardsmith.contract.records import Result, Verdict
from rewardsmith.contract.records.fitness import AUTO_FITNESS
from rewardsmith.contract.reward_files import load_reward, read_source
from rewardsmith.contract.reward_program import RewardProgram, parse_program
from rewardsmith.search import setup, trusted_runs
from rewardsmith.search.callbacks import CallbackList, NullCallback, SearchCallback
from rewardsmith.search.storage import Journal, Run, RunLayout
from rewardsmith.search.storage.run import choose_run_path
from rewardsmith.spec import config as configuration
from rewardsmith.spec import config_layers, labelling, learned_signals, subgoals, task_warnings
from rewardsmith.spec.config import Config, Layer
from rewardsmith.spec.env_options import NO_ENV_OPTIONS, EnvOptions, check_variables_set
from rewardsmith.spec.task_cards import Task, adjust_environment, find_env, load_task

if TYPE_CHECKING:
    from rewardsmith.executors.base import Executor
    from rewardsmith.llm import ModelConnection

RUNS = Path("runs")
ENVIRONMENT_RETURN = "sum(environment_reward)"
"""Fitness that every environment has."""


@dataclass(frozen=True)
class SearchPlan:
    """A search as it would be run: its task, configuration and size."""

    task: Task
    config: Config
    trainings: int
    """Trainings of the search, the final ones and the baseline's included."""
    env_steps: int
    """Environment steps of all of them together, at most."""
    calls: int
    """Calls of the language model if no program needs a repair; 0 without a model."""


def plan_search(
    text: str,
    env: str | Task,
    fitness: str | None = None,
    file: Path | None = None,
    overrides: Layer | None = None,
    sets: Sequence[str] = (),
    environment: Mapping[str, str] = os.environ,
    trainer_config: Path | None = None,
    env_options: EnvOptions = NO_ENV_OPTIONS,
    budget: SearchBudget | None = None,
    behaviour: Sequence[str] = (),
    is_title: bool = False,
) -> SearchPlan:
    """Plan a search.

    Its configuration has these layers: defaults < preset < task card < stable-baselines3's defaults where there is a
    trainer's file < file < environment < trainer's file < overrides < sets < the sizes that a budget decides.

    Args:
        text: what the agent should do, in a sentence.
        env: a task's name or a Gymnasium id; or the task itself, whose text counts where `text` is empty.
        fitness: an expression over the episode's signals; None takes the card's; "people" or "judge" where they rank
            the programs, "people+0.5*EXPRESSION" where a metric counts beside them.
        file: a TOML configuration.
        overrides: sections and keys, as the command's options give them.
        sets: assignments "section.key=value".
        environment: variables, of which REWARDSMITH_* count.
        trainer_config: tuned settings of the training, as an rl-zoo3 YAML file.
        env_options: keyword arguments and environment variables for the environment, besides the card's.
        budget: what the whole search may take; it decides programs, generations and seeds.
        behaviour: descriptors of behaviour in place of the card's, as `--behaviour` takes them.
        is_title: `text` names a program that is measured; language models are then told the card's sentence as the goal
            of learned signals.

    Raises:
        UserError: if the task, the fitness or a setting is wrong, an override and an assignment contradict, or the
            budget is too small for one training.
    """
    from rewardsmith.contract import env_families
    from rewardsmith.search.behaviour_proposal import needs_proposal
    from rewardsmith.search.curriculum import count_stage_trainings
    from rewardsmith.search.feedback import rank_option
    from rewardsmith.spec.behaviour import set_descriptors

    # The task.
    assigned = config_layers.parse_assignments(sets)
    config_layers.refuse_contradictions(overrides or {}, assigned)
    ranking = rank_option.parse_rank_option(fitness)
    if isinstance(env, Task):
        metric = ranking.fitness if ranking else fitness
        task = _adjust_task(env, text, metric)
    else:
        task = load_task(text, env, rank_option.select_metric(ranking, env) if ranking else fitness)
    task = set_descriptors(adjust_environment(task, env_options), behaviour)
    if is_title:
        task = replace(task, env=learned_signals.set_goals(task.env, _find_sentence(env)))
    check_variables_set(task.env, environment)
    env_families.require_packages(task.env.env_id)

    # The configuration.
    lower = [config_layers.read_layer(file) if file else {}, config_layers.read_environment_layer(environment)]
    upper = [overrides or {}, ranking.layer if ranking else {}, assigned]
    layers = _order_layers(task, lower, upper, trainer_config)
    if budget:
        refuse_sizes(budget, overrides or {}, assigned)
        layers.append(divide_budget(budget, configuration.resolve_config(*layers), task.env.env_id))
    config = _choose_designer(configuration.resolve_config(*layers), environment)
    fitness_proposals.check_designer(task.fitness, config)
    labelling.check_executor(config, task.env)
    task = subgoals.add_subgoal_signal(task, config)
    subgoals.check_writer(task, config)
    open_signals = subgoals.list_open_signals(task.env)
    proposals = needs_proposal(task, config) + (task.fitness == AUTO_FITNESS) + len(open_signals)

    # The size.
    search = config.search
    stages, stage_steps = count_stage_trainings(task, config)
    env_steps = search.trainings * search.env_steps + stage_steps
    return SearchPlan(task, config, search.trainings + stages, env_steps, _count_calls(task, config, proposals))


def _order_layers(
    task: Task, lower: Sequence[Layer], upper: Sequence[Layer], trainer_config: Path | None
) -> list[Layer]:
    """Return the layers of a configuration, the weakest first; see `plan_search`.

    Args:
        task: whose card has settings.
        lower: the user's file and environment variables.
        upper: the command's options and assignments.
        trainer_config: tuned settings of the training, as an rl-zoo3 YAML file.
    """
    from rewardsmith.spec import presets, rl_zoo

    preset = presets.find_preset_layer([task.settings, *lower, *upper])
    zoo = rl_zoo.ZooLayers({}, {})
    if trainer_config:
        trainer = rl_zoo.find_trainer(preset, task.settings, *lower, *upper)
        zoo = rl_zoo.read_zoo_layers(trainer_config, task.env.env_id, trainer)
    return [preset, task.settings, zoo.defaults, *lower, zoo.written, *upper]


def _count_calls(task: Task, config: Config, proposals: int) -> int:
    """Return the calls of the language model that a search makes if no program needs a repair.

    Args:
        task: with its stages.
        config: of the search.
        proposals: calls for what a model proposes before the first program.
    """
    search = config.search
    programs = search.population * search.generations
    calls = programs if search.designer in ("llm", "coding-agent") else 0
    calls += programs * config.critic.review
    # The last of several generations is not read, as no later prompt would use it.
    calls += search.population * max(1, search.generations - 1) * config.analyzer.model_reads
    calls += count_judge_calls(config)
    calls += proposals
    return calls * (1 + len(task.stages))


def count_judge_calls(config: Config) -> int:
    """Return how many calls the judge of a search makes: two a comparison, or two a policy and one for the subtasks."""
    search, feedback = config.search, config.feedback
    if config.judges_fitness:
        random_actions = 1
        return 1 + 2 * (search.trainings + random_actions)
    if feedback.judge_mode == "score":
        return 1 + 2 * search.population * search.generations
    return 2 * feedback.judge_pairs * search.generations * (feedback.rank == "judge")


def _adjust_task(task: Task, text: str, fitness: str | None) -> Task:
    """Return a task of the caller's with another sentence or fitness, where one is given.

    Raises:
        FitnessError: if the fitness expression does not parse.
    """
    from rewardsmith.contract.fitness import Fitness

    adjusted = replace(task, text=text or task.text, fitness=fitness or task.fitness)
    Fitness.parse(adjusted.fitness)
    return adjusted


def plan_probe(
    text: str, env: str, overrides: Layer | None = None, env_options: EnvOptions = NO_ENV_OPTIONS
) -> SearchPlan:
    """Plan to probe an environment without a search; one without a card needs no fitness for that.

    See `plan_search` for the arguments and for what it raises.
    """
    _, card = find_env(env)
    fitness = None if card else ENVIRONMENT_RETURN
    return plan_search(text, env, fitness, overrides=overrides, env_options=env_options)


def _find_sentence(env: str | Task) -> str | None:
    """Return the task sentence of an environment's card; None without a card."""
    card = env if isinstance(env, Task) else find_env(env)[1]
    return card.text if card else None


def _choose_designer(config: Config, environment: Mapping[str, str]) -> Config:
    """Replace the designer "auto": "llm" where a model, recorded answers or a key is named, else "symbolic"."""
    if config.search.designer != "auto":
        return config
    model = config.llm.model or config.llm.replay or config.llm.cache or environment.get(config.llm.key_variable)
    designer = "llm" if model else "symbolic"
    return configuration.resolve_config(config.model_dump(), {"search": {"designer": designer}})


def create_run(
    plan: SearchPlan, out: Path | None = None, seed_reward: Path | None = None, measured: RewardProgram | None = None
) -> Run:
    """Make the run directory of a planned search.

    Args:
        plan: from `plan_search`.
        out: the directory; None makes one below `runs/`.
        seed_reward: the user's own program, which generation 0 begins with.
        measured: the one program that the run trains and measures, in place of a search.

    Raises:
        ProgramError: if the user's program cannot be read or is not valid.
        RunError: if the directory cannot be made or is not empty.
        ConfigError: if the language model's name, key or price is missing, or its designer cannot name the terms of
            `training.constraints`.
        TaskError: if the task's card has unfilled fields, which a language model would be shown.
    """
    designer = plan.config.search.designer
    if plan.config.training.constraints and designer not in ("llm", "coding-agent") and measured is None:
        raise ConfigError(
            f"training.constraints needs a designer that names its terms, and {designer!r} does not: name a model"
            " (--model NAME), or train a program of yours with `rewardsmith train FILE`"
        )
    source = load_reward(seed_reward).source if seed_reward else None
    path = out or choose_run_path(RUNS, plan.task, datetime.now())
    digest = None
    roles = labelling.list_roles(plan.config, plan.task.env)
    if roles or plan.config.asks_in_words:
        from rewardsmith import llm
        from rewardsmith.llm import prompts, trusted_endpoints

        _refuse_unfilled(plan.task)
        llm.build_model_pool(plan.config.llm, plan.config.budget, RunLayout(path).ledger, roles=roles).close()
        trusted_endpoints.remember_endpoints(plan.config.llm, roles)
        digest = prompts.hash_prompts()
    # The stages of a card are searches; one program is measured from nothing.
    task = replace(plan.task, stages=()) if measured is not None else plan.task
    run = Run.create(path, task, plan.config, digest)
    trusted_runs.remember_run(run, Path.cwd())
    if source is not None:
        records.write_text(run.layout.user_program, source)
    if measured is not None:
        records.write_text(run.layout.measured_program, measured.source)
    return run


def _refuse_unfilled(task: Task) -> None:
    warning = task_warnings.unfilled_card_warning(task)
    if warning:
        raise TaskError(f"{warning}; fill it in, or name the environment {task.env.env_id} with a --fitness")


def continue_run(
    run: Run,
    callback: SearchCallback | None = None,
    executor: Executor | None = None,
    coding_agent: ModelConnection | None = None,
) -> Result:
    """Run a search, or the measurement of one program, to its end; one that was interrupted goes on where it stopped.

    The result of a finished run is returned at once, unless a failure of the machine ended some of its trainings: those
    are tried again. While it runs, its course is written to `log.txt` in the run directory.

    Args:
        run: the run.
        callback: receives the events of the search.
        executor: where jobs run; None runs them on this machine, as the configuration says.
        coding_agent: the agent that writes the programs, where the run's designer is one.

    Raises:
        UserError: if something is wrong that the user can correct; ProgramError, if the critic refuses the one program.
        RunFailed: if it ends without a result; what is done stays done.
    """
    from rewardsmith.report import trackers
    from rewardsmith.search.caption_labeller import open_labeller
    from rewardsmith.search.final_evaluation import measure_program
    from rewardsmith.search.loop import Search

    earlier_result = find_complete_result(run)
    if earlier_result is not None:
        return earlier_result

    if run.task.fitness == AUTO_FITNESS:
        raise fitness_proposals.build_unanswered_error()
    trusted_runs.check_trusted(run, executor_is_given=executor is not None)
    signal_proposals.settle_signals(run, callback or NullCallback(), executor, coding_agent)
    if run.task.stages:
        waiting = _run_previous_stage(run, callback or NullCallback(), executor, coding_agent)
        if waiting is not None:
            return waiting
    with open_journal(run) as journal:
        callback = trackers.add_trackers(run, CallbackList([logs.LogCallback(), callback or NullCallback()]))
        with (
            setup.open_models(run, callback, coding_agent) as models,
            setup.open_run_executor(run, callback.on_notice, executor) as opened,
            open_labeller(run, models, opened, callback.on_notice),
        ):
            measured = run.read_measured_program()
            if measured is not None:
                result = measure_program(run, parse_program(measured), journal, opened, callback)
            else:
                designer = setup.build_designer(run, models, callback)
                result = Search(run, journal, designer, opened, callback, models).run_search()
    _write_report(run, callback)
    return result


def _run_previous_stage(
    run: Run, callback: SearchCallback, executor: Executor | None, coding_agent: ModelConnection | None
) -> Result | None:
    """Run the search of the stage before to its end; return its outcome only where it waits for people."""
    from rewardsmith.search import curriculum, feedback
    from rewardsmith.search.probe import probe_environment

    # What every stage's fitness reads is checked before anything is trained.
    if run.read_probe() is None:
        with open_journal(run) as journal, setup.open_run_executor(run, callback.on_notice, executor) as opened:
            probe_environment(run, journal, opened, callback.on_notice)

    previous = curriculum.open_previous_stage(run)
    notices = curriculum.StageNotices(callback, len(run.task.stages))
    if find_complete_result(previous) is None:
        notices.on_notice(f"{previous.task.text} ({previous.config.search.env_steps:,} steps a training)")
    result = continue_run(previous, notices, executor, coding_agent)
    return result if feedback.is_waiting_reason(result.stopped) else None


def run_next_generation(
    run: Run, callback: SearchCallback | None = None, executor: Executor | None = None, *, by: str = ""
) -> Result:
    """Run one more generation, which takes the feedback since the last one into account, and report the best program.

    An interrupted search first finishes what it had begun. See `continue_run` for the arguments and for what it raises.
    """
    from rewardsmith.search import feedback

    trusted_runs.check_trusted(run, executor_is_given=executor is not None)
    setup.check_endpoints(run)
    feedback.request_generation(run, by=by)
    return continue_run(run, callback, executor)


def find_complete_result(run: Run) -> Result | None:
    """Return a run's result if it is all that was asked for; None if a generation, ensemble or training is missing."""
    from rewardsmith.search import feedback, final_evaluation

    result = run.read_result()
    if result is None or result.stopped is not None:
        return None
    lacks_ensemble = result.ensemble is None and run.config.search.ensemble > 0
    reached = 1 + max(candidate.generation for candidate in result.candidates)
    if lacks_ensemble or reached < (feedback.load_state(run).target_generations or 0):
        return None
    return None if final_evaluation.lacks_results(run, result) else result


def _write_report(run: Run, callback: SearchCallback) -> None:
    """Write the run's report; a failure of that is only a notice, as the search has its result."""
    from rewardsmith.report import html

    try:
        html.write_report(run)
    except RewardsmithError as error:
        callback.on_notice(f"no report: {error}")


def check_reward(
    file: Path, env: str, folder: Path, overrides: Layer | None = None, env_options: EnvOptions = NO_ENV_OPTIONS
) -> Verdict:
    """Check a reward file as the critic checks a candidate.

    Args:
        file: the reward program.
        env: a task's name or a Gymnasium id.
        folder: for the recorded transitions.
        overrides: configuration over the defaults.
        env_options: as in `plan_search`.

    Raises:
        UserError: if the file cannot be read or the environment is unknown.
        RunFailed: if the machinery fails.
    """
    from rewardsmith.search.probe import probe_environment
    from rewardsmith.search.steps import critic

    source = read_source(file)
    plan = plan_probe(f"check {file.name}", env, overrides, env_options)
    run = Run.create(folder / "run", plan.task, plan.config)
    with open_journal(run) as journal, setup.open_run_executor(run, NullCallback().on_notice) as executor:
        probe = probe_environment(run, journal, executor)
        constraints = run.config.training.constraints
        return critic.check_program(source, probe, run.transitions, run.config.sandbox, constraints)


@contextmanager
def open_journal(run: Run) -> Iterator[Journal]:
    """Open a run for writing while the block runs: its journal, and its log (`logs`).

    Raises:
        RunError: if another process runs this directory.
    """
    journal = run.open_journal()
    try:
        with logs.log_to(run.layout.log):
            yield journal
    finally:
        journal.close()
