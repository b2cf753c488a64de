"""What a command and a Python call have in common: from what the user said to a search, and back to its result."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rewardsmith import config as configuration
from rewardsmith import machine
from rewardsmith.archive import Journal, Run
from rewardsmith.archive.run import default_path
from rewardsmith.config import Config, Layer
from rewardsmith.program import RewardProgram, read_source, refusal
from rewardsmith.records import Candidate, Proposal, Result, Spent, Verdict
from rewardsmith.tasks import Task, load_task
from rewardsmith.watch import Silent, Watch

if TYPE_CHECKING:
    from rewardsmith.jobs import Executor
    from rewardsmith.steps.designer import Designer

RUNS = Path("runs")
SYMBOLIC = "the symbolic designer reads no language: fitness alone drives it"


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
    """Work out a search: defaults < task card < file < environment < trainer's file < overrides < sets.

    Args:
        text: what the agent should do, in a sentence.
        env: a task's name or a Gymnasium id.
        fitness: an expression over the episode's signals; None takes the card's.
        file: a TOML configuration.
        overrides: sections and keys, as the command's options give them.
        sets: assignments "section.key=value".
        environment: variables, of which REWARDSMITH_* count.
        trainer_config: tuned settings of the training, as an rl-zoo3 YAML file.

    Raises:
        UserError: if the task, the fitness or a setting is wrong.
    """
    from rewardsmith import zoo

    task = load_task(text, env, fitness)
    layers = [
        task.settings,
        configuration.from_file(file) if file else {},
        configuration.from_environment(environment),
        zoo.read(trainer_config, task.env.env_id) if trainer_config else {},
        overrides or {},
        configuration.from_sets(sets),
    ]
    config = _with_designer(configuration.resolve(*layers), environment)
    search = config.search
    candidates = search.population * search.generations
    calls = candidates if search.designer == "llm" else 0
    return Plan(task, config, search.trainings, search.trainings * search.env_steps, calls)


def _with_designer(config: Config, environment: Mapping[str, str]) -> Config:
    """Settle which designer "auto" is."""
    if config.search.designer != "auto":
        return config
    named = config.llm.model or config.llm.replay or config.llm.cache or environment.get("OPENAI_API_KEY")
    designer = "llm" if named else "symbolic"
    return config.model_copy(update={"search": config.search.model_copy(update={"designer": designer})})


def start(plan: Plan, out: Path | None = None) -> Run:
    """Make the run directory of a planned search.

    Args:
        plan: what `plan` gave.
        out: the directory; None makes one below `runs/`.

    Raises:
        RunError: if the directory cannot be made or is not empty.
        ConfigError: if the language model's name, key or price is missing.
    """
    path = out or default_path(RUNS, plan.task, datetime.now())
    if not plan.calls:
        return Run.create(path, plan.task, plan.config)
    from rewardsmith import llm, prompts

    llm.build(plan.config.llm, plan.config.budget, path / "llm.jsonl").close()
    return Run.create(path, plan.task, plan.config, prompts.digest())


def carry_on(run: Run, watch: Watch | None = None) -> Result:
    """Run a search to its end, from wherever it stands; a finished one answers at once.

    Raises:
        UserError: if something that the user can mend is wrong.
        RunFailed: if it ends without a result; what is done stays done.
    """
    from rewardsmith.loop import Search

    known = run.result()
    if known is not None and known.stopped is None:
        return known
    watch = watch or Silent()
    overload = machine.overload(run.config.slots, machine.cores(), machine.free_memory_mib())
    if overload:
        watch.notice(overload)
    with _designer(run, watch) as (designer, spent), _journal(run) as journal, _executor(run.config) as executor:
        return Search(run, journal, designer, executor, watch, spent).result()


def train(run: Run, program: RewardProgram, watch: Watch | None = None) -> Result:
    """Measure one program as a search measures its best: trained on fresh seeds, run on held-out episodes.

    Raises:
        ProgramError: if the critic refuses it.
        RunFailed: if the machinery fails; the same call goes on from there.
    """
    from rewardsmith import final
    from rewardsmith.loop import look
    from rewardsmith.steps import critic
    from rewardsmith.trials import Trials

    watch = watch or Silent()
    with _journal(run) as journal, _executor(run.config) as executor:
        probe = look(run, journal, executor)
        verdict = critic.review(program.source, probe, run.path / "probe" / "transitions.npz", run.config.sandbox)
        if not verdict.accepted:
            raise refusal(verdict.findings)
        trials = Trials(run, journal, executor, watch, probe)
        config = run.config.search
        watch.started(config.final_seeds * (1 + config.baseline), config.env_steps)
        candidate = Candidate("user", 0, 0, Proposal(program.source, "user"), "ok", verdict)
        result = final.report(trials, candidate, [candidate], Spent(), None)
        watch.finished(result)
        return result


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
    from rewardsmith.loop import look
    from rewardsmith.steps import critic

    source = read_source(file)
    planned = plan(f"check {file.name}", env, overrides=overrides)
    run = Run.create(folder / "run", planned.task, planned.config)
    with _journal(run) as journal, _executor(run.config) as executor:
        probe = look(run, journal, executor)
        return critic.review(source, probe, run.path / "probe" / "transitions.npz", run.config.sandbox)


def design(
    text: str,
    env: str,
    *,
    fitness: str | None = None,
    out: Path | str | None = None,
    config: Path | str | None = None,
    settings: Mapping[str, Any] | None = None,
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
        settings: "section.key" to value, over everything else.
        watch: is told how the search goes.

    Raises:
        UserError: if something that the user can mend is wrong.
        RunFailed: if the search ends without a result; `resume` goes on from there.
    """
    overrides: dict[str, Any] = {}
    for name, value in (settings or {}).items():
        section, _, key = name.rpartition(".")
        configuration.merge(overrides, {section: {key: value}} if section else {key: value})
    planned = plan(text, env, fitness, Path(config) if config else None, overrides)
    return carry_on(start(planned, Path(out) if out else None), watch)


def resume(run: Path | str, *, watch: Watch | None = None) -> Result:
    """Go on with a search that was interrupted; see `design` for what it returns and raises."""
    return carry_on(Run.open(Path(run)), watch)


@contextmanager
def _designer(run: Run, watch: Watch) -> Iterator[tuple[Designer, Callable[[], Spent]]]:
    """Make the designer that the configuration names, and what tells its cost."""
    if run.config.search.designer == "symbolic":
        from rewardsmith.steps.designer.symbolic import SymbolicDesigner

        watch.notice(SYMBOLIC)
        yield SymbolicDesigner(), Spent
        return
    from rewardsmith import llm
    from rewardsmith.steps.designer.llm import LlmDesigner

    model = llm.build(run.config.llm, run.config.budget, run.path / "llm.jsonl", notice=watch.notice)
    try:
        yield LlmDesigner(model, run.config.sandbox.max_terms), lambda: model.spent
    finally:
        model.close()


@contextmanager
def _journal(run: Run) -> Iterator[Journal]:
    journal = run.journal()
    try:
        yield journal
    finally:
        journal.close()


@contextmanager
def _executor(config: Config) -> Iterator[Executor]:
    from rewardsmith.jobs import LocalExecutor

    executor = LocalExecutor(config.slots)
    try:
        yield executor
    finally:
        executor.close()
