"""Anchors: what random actions, and policies trained on an environment's own reward, are worth under a task's fitness.

Every figure is measured as a search measures its baseline: on the same training seeds and held-out episodes. What the
card wants measured beside the fitness is measured of the same episodes, and told. What is measured lies in a cache, in
a folder named after everything that it depends on, so the same call answers at once, and one that was interrupted goes
on. `write` puts the anchors into a card.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import json
import os
import re
import statistics
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from rewardsmith.contract import env_families, records
from rewardsmith.contract.errors import RunFailed, TaskError
from rewardsmith.contract.fitness.expression import Fitness
from rewardsmith.contract.fitness.metrics import Figures
from rewardsmith.contract.records import (
    CurvePoint,
    EnvSpec,
    EvaluateJob,
    Evaluation,
    Interval,
    Job,
    JobResult,
    Signal,
    TrainJob,
)
from rewardsmith.executors import slots_for
from rewardsmith.executors.base import Executor
from rewardsmith.executors.local import LocalExecutor
from rewardsmith.executors.probe import survey
from rewardsmith.search.concurrency import raised, together
from rewardsmith.search.steps import evaluator, trainer
from rewardsmith.spec.config import Config
from rewardsmith.spec.task_cards import Anchor, Task

EPISODES = 100
"""Of the random policy."""
SIMULATION = ("gymnasium", "mujoco")
TRAINING = ("stable-baselines3", "torch", "rewardsmith")
"""Packages that random actions depend on, and those that a training depends on beside them."""

Tell = Callable[[str], None]
"""Takes a line about the progress."""


@dataclass(frozen=True)
class Measured:
    """One figure with its spread."""

    task: str
    anchor: Anchor
    interval: Interval
    """Over training seeds; over episodes for the random policy."""
    figures: dict[str, Interval] = field(default_factory=dict)
    """What the task's card wants measured beside the fitness, by name; over the same."""


def default_cache(environment: Mapping[str, str] = os.environ) -> Path:
    """Return where measurements are kept.

    >>> default_cache({"XDG_CACHE_HOME": "/var/cache"}).as_posix()
    '/var/cache/rewardsmith/baselines'
    """
    home = environment.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "rewardsmith" / "baselines"


def measure(task: Task, config: Config, cache: Path, tell: Tell) -> tuple[Measured, ...]:
    """Measure the random policy, and the own reward's unless `search.final_seeds` is 0.

    Args:
        task: whose environment and fitness count.
        config: the budget, the training's settings, the seeds and the episodes.
        cache: folder of earlier measurements; what it lacks is measured and put there.
        tell: told how it goes, from several threads.

    Raises:
        UserError: if the environment or the fitness is wrong.
        RunFailed: if a training or an evaluation gives no figure.
    """
    executor = LocalExecutor(slots_for(config), config.limits.job_s, config.limits.memory_mib)
    try:
        bench = _Bench(executor, task, config, cache, tell)
        seeds = trainer.seeds(config, trainer.FINAL_SEEDS, config.search.final_seeds)
        episodes = bench.random().episodes
        worth, beside = [episode.fitness for episode in episodes], [episode.figures for episode in episodes]
        random = _measured(task, Anchor("random", 0.0), worth, beside, SIMULATION)
        if not seeds:
            return (random,)
        own = Anchor("own-reward", 0.0, env_steps=config.search.env_steps)
        found = raised(together(bench.own_reward, seeds))
        worth, beside = [one.fitness for one in found if one.fitness is not None], [one.figures for one in found]
        return random, _measured(task, own, worth, beside, (*SIMULATION, *TRAINING))
    finally:
        executor.close()


class _Bench:
    """One task's trainings and evaluations, each in a folder named after its job."""

    def __init__(self, executor: Executor, task: Task, config: Config, cache: Path, tell: Tell) -> None:
        self._executor, self._task, self._config, self._cache, self._tell = executor, task, config, cache, tell
        names = Fitness.parse(task.fitness).names
        # A card's further figures are no part of a training: another one is measured of the policies that there are.
        self._env = _measured_env(task, names)
        self._evaluated = _measured_env(task, (*names, *Figures.parse(task.expressions).names))

    def random(self) -> Evaluation:
        """Return the evaluation of random actions."""
        return self._evaluate(None, evaluator.seeds(self._config, evaluator.REPORT, EPISODES), "random", SIMULATION)

    def own_reward(self, seed: int) -> Evaluation:
        """Train on the environment's own reward, and return the policy's evaluation."""
        config, fitness, packages = self._config, self._task.fitness, (*SIMULATION, *TRAINING)
        train = TrainJob(self._env, None, fitness, seed, config.search.env_steps, config.training, config.sandbox)
        _, policy = self._run(train, f"train-s{seed}", packages)
        seeds = evaluator.seeds(config, evaluator.REPORT, config.evaluation.final_episodes)
        return self._evaluate(policy, seeds, f"evaluate-s{seed}", packages)

    def _evaluate(self, policy: Path | None, seeds: tuple[int, ...], what: str, packages: Sequence[str]) -> Evaluation:
        path = None if policy is None else str(policy)
        job = EvaluateJob(
            self._evaluated,
            path,
            self._task.fitness,
            seeds,
            deterministic=self._config.evaluation.deterministic,
            figures=self._task.expressions,
        )
        found, _ = self._run(job, what, packages)
        assert isinstance(found, Evaluation)  # the executor answers a job with its own kind of result
        return found

    def _run(self, job: Job, what: str, packages: Sequence[str]) -> tuple[JobResult, Path]:
        """Return a job's result and its folder.

        Raises:
            RunFailed: if it has no figure.
        """
        content = json.dumps([records.dump(job), *_versions(self._task, packages)], sort_keys=True)
        name = re.sub(r"[^A-Za-z0-9_.-]+", "_", self._task.name)
        out = self._cache / f"{name}-{what}-{hashlib.sha256(content.encode()).hexdigest()[:16]}"
        found = self._executor.run(job, out.resolve(), partial(self._progress, what))
        if found.status != "ok":
            raise RunFailed(f"{self._task.name}, {what}: no figure: {found.cause}")
        return found, out.resolve()

    def _progress(self, what: str, point: CurvePoint) -> None:
        budget = self._config.search.env_steps
        self._tell(f"{self._task.name}, own reward, {what}: {point.env_steps:,} of {budget:,} steps")


def _measured_env(task: Task, names: Sequence[str]) -> EnvSpec:
    """Return the environment with what is read and nothing else, so that no other edit of a card counts."""
    known = {signal.name for signal in (*task.env.signals, *task.env.measures)}
    found = task.env if known.issuperset(names) else survey(task.env)
    read = (_bare(found.signals, names), _bare(found.measures, names))
    return replace(task.env, signals=read[0], measures=read[1])


def _bare(signals: Iterable[Signal], names: Sequence[str]) -> tuple[Signal, ...]:
    """Return the named signals without their words."""
    return tuple(replace(signal, unit="", meaning="") for signal in signals if signal.name in names)


def _measured(
    task: Task,
    anchor: Anchor,
    values: Sequence[float],
    beside: Sequence[Mapping[str, float | None]],
    packages: Sequence[str],
) -> Measured:
    interval = evaluator.interval(values, task.fitness)
    assert interval is not None  # there is at least one value
    std = statistics.stdev(values) if len(values) > 1 else None
    versions = ", ".join(_versions(task, packages))
    anchor = replace(anchor, fitness=interval.mean, std=std, seeds=len(values), versions=versions)
    return Measured(task.name, anchor, interval, _further(task, beside))


def _further(task: Task, beside: Sequence[Mapping[str, float | None]]) -> dict[str, Interval]:
    """Return each further figure over episodes or policies; one that has no value in some is left out."""
    found = {}
    for name, expression in task.expressions.items():
        values = [value for one in beside if (value := one.get(name)) is not None]
        over = evaluator.interval(values, expression) if len(values) == len(beside) else None
        if over is not None:
            found[name] = over
    return found


def _versions(task: Task, packages: Sequence[str]) -> Iterator[str]:
    """Yield the packages that a figure depends on, with their versions."""
    family = env_families.family_of(task.env.env_id)
    own = [package.name for package in family.packages] if family else []
    for name in dict.fromkeys((*packages, *own)):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            yield f"{name} {importlib.metadata.version(name)}"


# ---------------------------------------------------------------- into a card


def write(anchors: Sequence[Anchor], card: Path) -> None:
    """Put anchors into a card, in place of those of the same policies; the rest of the file stays as it is.

    Raises:
        TaskError: if the file cannot be read or written.
    """
    try:
        text = replaced(card.read_text(encoding="utf-8"), anchors)
        records.write_text(card, text)
    except OSError as error:
        raise TaskError(f"cannot write the anchors into {str(card)!r}: {error.strerror}") from error


def replaced(text: str, anchors: Sequence[Anchor]) -> str:
    """Return a card's text with these anchors at its end, and without earlier ones of the same policies."""
    policies = {anchor.policy for anchor in anchors}
    tables = re.split(r"(?m)^(?=\[)", text)
    kept = [table for table in tables if _policy(table) not in policies]
    return "".join(kept).rstrip("\n") + "\n" + "".join(f"\n{_table(anchor)}" for anchor in anchors)


def _policy(table: str) -> str | None:
    """Return which policy's anchor a part of a card is; None where it is none."""
    if not re.match(r"\[\[\s*anchors\s*\]\]", table):
        return None
    return str(tomllib.loads(table)["anchors"][0]["policy"])


def _table(anchor: Anchor) -> str:
    fields = [f'policy = "{anchor.policy}"', f"fitness = {_figure(anchor.fitness)}"]
    if anchor.std is not None:
        fields.append(f"std = {_figure(anchor.std)}")
    if anchor.env_steps:
        fields.append(f"env_steps = {anchor.env_steps:_}")
    fields += [f"seeds = {anchor.seeds}", f"versions = {json.dumps(anchor.versions)}"]
    return "\n".join(["[[anchors]]", *fields]) + "\n"


def _figure(value: float) -> str:
    """Return a number with four significant digits, as a TOML float.

    >>> _figure(-0.337312), _figure(3.0), _figure(12345.6)
    ('-0.3373', '3.0', '12350.0')
    """
    return repr(float(f"{value:.4g}"))
