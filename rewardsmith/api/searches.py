"""What a command and a Python call have in common: from what the user said to a search, and back to its result."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rewardsmith.contract import records
from rewardsmith.contract.errors import RewardsmithError, TaskError
from rewardsmith.contract.records import Result, Verdict
from rewardsmith.contract.reward_program import RewardProgram, load_reward, parse, read_source
from rewardsmith.executors import workplace
from rewardsmith.search import setup
from rewardsmith.search.callbacks import Silent, Watch
from rewardsmith.search.storage import Journal, Run
from rewardsmith.search.storage.run import MEASURED_PROGRAM, USER_PROGRAM, default_path
from rewardsmith.spec import config as configuration
from rewardsmith.spec import task_warnings
from rewardsmith.spec.config import Config, Layer
from rewardsmith.spec.task_cards import Task, load_task

if TYPE_CHECKING:
    from rewardsmith.executors.base import Executor

RUNS = Path("runs")
OWN_RETURN = "sum(own_reward)"
"""A fitness that every environment has."""


@dataclass(frozen=True)
class Plan:
    """What a search would do, known before anything runs."""

    task: Task
    config: Config
    trainings: int
    """Trainings of the search, the final ones and the baseline's included."""
    env_steps: int
    """Of all of them together, at most."""
    calls: int
    """Calls of the language model when no program needs a repair; 0 without a model."""


def plan(
    text: str,
    env: str,
    fitness: str | None = None,
    file: Path | None = None,
    overrides: Layer | None = None,
    sets: Sequence[str] = (),
    environment: Mapping[str, str] = os.environ,
    trainer_config: Path | None = None,
) -> Plan:
    """Work out a search: defaults < preset < task card < file < environment < trainer's file < overrides < sets.

    Args:
        text: what the agent should do, in a sentence.
        env: a task's name or a Gymnasium id.
        fitness: an expression over the episode's signals; None takes the card's; "people" or "judge" where they rank
            the programs, "people+0.5*EXPRESSION" where a metric counts beside them.
        file: a TOML configuration.
        overrides: sections and keys, as the command's options give them.
        sets: assignments "section.key=value".
        environment: variables, of which REWARDSMITH_* count.
        trainer_config: tuned settings of the training, as an rl-zoo3 YAML file.

    Raises:
        UserError: if the task, the fitness or a setting is wrong, or an override and an assignment contradict.
    """
    from rewardsmith.contract import env_families
    from rewardsmith.search.feedback import rank_option
    from rewardsmith.spec import presets, rl_zoo

    assigned = configuration.from_sets(sets)
    configuration.refuse_contradictions(overrides or {}, assigned)
    ranking = rank_option.read(fitness)
    task = load_task(text, env, rank_option.metric(ranking, env) if ranking else fitness)
    env_families.require(task.env.env_id)
    layers = [
        task.settings,
        configuration.from_file(file) if file else {},
        configuration.from_environment(environment),
        rl_zoo.read(trainer_config, task.env.env_id) if trainer_config else {},
        overrides or {},
        ranking.layer if ranking else {},
        assigned,
    ]
    config = _with_designer(configuration.resolve(presets.beneath(layers), *layers), environment)
    search = config.search
    asking = search.population * search.generations - config.evolution.weight_slots * (search.generations - 1)
    calls = asking if search.designer == "llm" else 0
    calls += search.population * search.generations * (config.critic.review + config.analyzer.model_reads)
    calls += 2 * config.feedback.judge_pairs * search.generations * (config.feedback.rank == "judge")
    return Plan(task, config, search.trainings, search.trainings * search.env_steps, calls)


def look_plan(text: str, env: str, overrides: Layer | None = None) -> Plan:
    """Plan to look at an environment, where nothing is measured: one without a card needs no fitness for that.

    See `plan` for the arguments and for what it raises.
    """
    from rewardsmith.spec.task_cards import find_env

    _, card = find_env(env)
    return plan(text, env, None if card else OWN_RETURN, overrides=overrides)


def _with_designer(config: Config, environment: Mapping[str, str]) -> Config:
    """Settle which designer "auto" is."""
    if config.search.designer != "auto":
        return config
    named = config.llm.model or config.llm.replay or config.llm.cache or environment.get(config.llm.key_variable)
    designer = "llm" if named else "symbolic"
    return configuration.resolve(config.model_dump(), {"search": {"designer": designer}})


def start(
    plan: Plan, out: Path | None = None, seed_reward: Path | None = None, measured: RewardProgram | None = None
) -> Run:
    """Make the run directory of a planned search.

    Args:
        plan: what `plan` gave.
        out: the directory; None makes one below `runs/`.
        seed_reward: a program of the user's that generation 0 begins with.
        measured: the one program that the run trains and measures, in place of a search.

    Raises:
        ProgramError: if the user's program cannot be read or is none.
        RunError: if the directory cannot be made or is not empty.
        ConfigError: if the language model's name, key or price is missing.
        TaskError: if a language model would be told what the task's card leaves to be filled in.
    """
    source = load_reward(seed_reward).source if seed_reward else None
    path = out or default_path(RUNS, plan.task, datetime.now())
    digest = None
    if plan.config.roles:
        from rewardsmith import llm
        from rewardsmith.llm import prompts, trusted_endpoints

        _refuse_unfilled(plan.task)
        llm.build(plan.config.llm, plan.config.budget, path / "llm.jsonl", roles=plan.config.roles).close()
        trusted_endpoints.trust(plan.config.llm, plan.config.roles)
        digest = prompts.digest()
    run = Run.create(path, plan.task, plan.config, digest)
    for name, text in ((USER_PROGRAM, source), (MEASURED_PROGRAM, measured.source if measured else None)):
        if text is not None:
            records.write_text(run.path / name, text)
    return run


def _refuse_unfilled(task: Task) -> None:
    remark = task_warnings.unfilled(task)
    if remark:
        raise TaskError(f"{remark}; fill it in, or name the environment {task.env.env_id} with a --fitness")


def carry_on(run: Run, watch: Watch | None = None, executor: Executor | None = None) -> Result:
    """Run a search, or the measurement of one program, to its end from wherever it stands; a finished one answers.

    What a failure of the machine ended is tried again, also of a finished run.

    Args:
        run: the run.
        watch: is told how the search goes.
        executor: where jobs run; None runs them on this machine, as the configuration says.

    Raises:
        UserError: if something that the user can mend is wrong; ProgramError, if the critic refuses the one program.
        RunFailed: if it ends without a result; what is done stays done.
    """
    from rewardsmith.report import trackers
    from rewardsmith.search.final_evaluation import measure
    from rewardsmith.search.loop import Search

    known = run.result()
    if known is not None and _is_whole(run, known):
        return known
    watch = trackers.joined(run, watch or Silent())
    runs = nullcontext(executor) if executor else workplace(run.config, watch.notice)
    measured = run.measured_program()
    with setup.models(run, watch) as models, journal_of(run) as journal, runs as where:
        if measured is not None:
            result = measure(run, parse(measured), journal, where, watch)
        else:
            result = Search(run, journal, setup.designer(run, models, watch), where, watch, models).result()
    _write_report(run, watch)
    return result


def next_generation(run: Run, watch: Watch | None = None, executor: Executor | None = None, *, by: str = "") -> Result:
    """Run one more generation, which hears what was said since the last one, and report the best program anew.

    An interrupted search first finishes what it had begun. See `carry_on` for the arguments and for what it raises.
    """
    from rewardsmith.search import feedback

    setup.check_endpoints(run)
    feedback.more(run, by=by)
    return carry_on(run, watch, executor)


def _is_whole(run: Run, known: Result) -> bool:
    """Return whether a result is all that was asked for: no generation, no ensemble, no broken-off training more."""
    from rewardsmith.search import feedback, final_evaluation

    lacks_ensemble = known.ensemble is None and run.config.search.ensemble > 0
    reached = 1 + max(candidate.generation for candidate in known.candidates)
    if known.stopped is not None or lacks_ensemble or reached < (feedback.state(run).until or 0):
        return False
    return not final_evaluation.broken_off(run, known)


def _write_report(run: Run, watch: Watch) -> None:
    """Write the run's report; the search has its result also where that fails."""
    from rewardsmith.report import html

    try:
        html.write(run)
    except RewardsmithError as error:
        watch.notice(f"no report: {error}")


def check(file: Path, env: str, folder: Path, overrides: Layer | None = None) -> Verdict:
    """Judge a reward file as the critic judges a candidate.

    Args:
        file: the reward program.
        env: a task's name or a Gymnasium id.
        folder: for the recorded transitions.
        overrides: configuration over the defaults.

    Raises:
        UserError: if the file cannot be read or the environment is unknown.
        RunFailed: if the machinery fails.
    """
    from rewardsmith.search.probe import look
    from rewardsmith.search.steps import critic

    source = read_source(file)
    planned = look_plan(f"check {file.name}", env, overrides)
    run = Run.create(folder / "run", planned.task, planned.config)
    with journal_of(run) as journal, workplace(run.config, Silent().notice) as executor:
        probe = look(run, journal, executor)
        return critic.review(source, probe, run.transitions, run.config.sandbox)


def design(
    text: str,
    env: str,
    *,
    fitness: str | None = None,
    out: Path | str | None = None,
    config: Path | str | None = None,
    settings: Mapping[str, Any] | None = None,
    seed_reward: Path | str | None = None,
    watch: Watch | None = None,
) -> Result:
    """Search for a reward program that makes an agent do what `text` says.

    >>> design("Hop forward", "Hopper-v5", settings={"search.designer": "symbolic"})  # doctest: +SKIP

    Args:
        text: what the agent should do, in a sentence.
        env: a task's name or a Gymnasium id.
        fitness: an expression over the episode's signals; None takes the card's.
        out: the run directory; None makes one below `runs/`.
        config: a TOML configuration.
        settings: "section.key" to value, over everything else; "preset" to a preset's name.
        seed_reward: a program of the user's that generation 0 begins with.
        watch: is told how the search goes.

    Raises:
        UserError: if something that the user can mend is wrong.
        RunFailed: if the search ends without a result; `resume` goes on from there.
    """
    overrides: dict[str, Any] = {}
    for name, value in (settings or {}).items():
        layer = value
        for key in reversed(name.split(".")):
            layer = {key: layer}
        configuration.merge(overrides, layer)
    planned = plan(text, env, fitness, Path(config) if config else None, overrides)
    return carry_on(start(planned, Path(out) if out else None, Path(seed_reward) if seed_reward else None), watch)


def resume(run: Path | str, *, watch: Watch | None = None, trust_endpoint: bool = False) -> Result:
    """Go on with a search that was interrupted; see `design` for what it returns and raises.

    Args:
        run: the run directory.
        watch: is told how the search goes.
        trust_endpoint: send the key to the endpoint that the run names, also if it is not known on this machine.
    """
    opened = Run.open(Path(run))
    if trust_endpoint:
        setup.trust_endpoints(opened)
    return carry_on(opened, watch)


@contextmanager
def journal_of(run: Run) -> Iterator[Journal]:
    """Hold a run's journal open for writing while the block runs.

    Raises:
        RunError: if another process runs this directory.
    """
    journal = run.journal()
    try:
        yield journal
    finally:
        journal.close()
