"""Anchors: the fitness of random actions, and of policies trained on the environment reward.

Both are measured as a search measures its baseline: on the same training seeds and held-out episodes, from which the
card's metrics are computed too. Results are kept in a cache, in folders named after everything that they depend on: a
repeated call returns at once, and an interrupted one goes on. `write_anchors` puts the anchors into a card.
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

from rewardsmith.contract import env_families, import_path, records
from rewardsmith.contract.errors import RunFailed, TaskError
from rewardsmith.contract.fitness import AuxiliaryMetrics, Fitness
from rewardsmith.contract.records import (
    CurvePoint,
    EnvSpec,
    EvaluateJob,
    Evaluation,
    Interval,
    Job,
    Signal,
    TrainJob,
)
from rewardsmith.executors import slots_for
from rewardsmith.executors.base import Executor, R
from rewardsmith.executors.local import LocalExecutor
from rewardsmith.executors.probe import run_probe
from rewardsmith.search.concurrency import results_or_raise, run_in_threads
from rewardsmith.search.intervals import confidence_interval
from rewardsmith.search.steps import evaluator, trainer
from rewardsmith.spec.card_format import current_policy
from rewardsmith.spec.config import Config
from rewardsmith.spec.task_cards import Anchor, Task

EPISODES = 100
"""Episodes of the random policy."""
SIMULATION = ("gymnasium", "mujoco")
TRAINING = ("stable-baselines3", "torch", "rewardsmith")
"""Packages that random actions depend on, and those that a training depends on as well."""

ReportProgress = Callable[[str], None]
"""Receives a line about the progress."""


@dataclass(frozen=True)
class MeasuredAnchor:
    """An anchor with its confidence interval."""

    task: str
    anchor: Anchor
    interval: Interval
    """Fitness over training seeds; over episodes for the random policy."""
    metrics: dict[str, Interval] = field(default_factory=dict)
    """Metrics of the task's card by name, over the same."""


def default_cache_folder(variables: Mapping[str, str] = os.environ) -> Path:
    """Return the folder in which measurements are kept.

    >>> default_cache_folder({"XDG_CACHE_HOME": "/var/cache"}).as_posix()
    '/var/cache/rewardsmith/baselines'
    """
    home = variables.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "rewardsmith" / "baselines"


def measure_anchors(
    task: Task, config: Config, cache: Path, report_progress: ReportProgress
) -> tuple[MeasuredAnchor, ...]:
    """Measure the random policy, and the environment reward's unless `search.final_seeds` is 0.

    Args:
        task: its environment and fitness are measured.
        config: the budget, the training's settings, the seeds and the episodes.
        cache: folder of earlier measurements; what it lacks is measured and put there.
        report_progress: called with lines about the progress, from several threads.

    Raises:
        UserError: if the environment or the fitness is wrong.
        RunFailed: if a training or an evaluation gives no figure.
    """
    module_folder = import_path.find_module_folder(task.env.modules, Path.cwd())
    executor = LocalExecutor(slots_for(config), config.limits.job_s, config.limits.memory_mib, module_folder)
    try:
        jobs = _AnchorJobs(executor, task, config, cache, report_progress)

        # Random actions: every episode is a value.
        episodes = jobs.evaluate_random().episodes
        random = _build_anchor(
            task,
            Anchor("random", 0.0),
            [episode.fitness for episode in episodes],
            [episode.metrics for episode in episodes],
            SIMULATION,
        )

        # The environment reward: every training seed is a value.
        seeds = trainer.training_seeds(config, trainer.FINAL_SEEDS, config.search.final_seeds)
        if not seeds:
            return (random,)
        evaluations = results_or_raise(run_in_threads(jobs.train_on_environment_reward, seeds))
        environment_reward = _build_anchor(
            task,
            Anchor("environment-reward", 0.0, env_steps=config.search.env_steps),
            [evaluation.fitness for evaluation in evaluations if evaluation.fitness is not None],
            [evaluation.metrics for evaluation in evaluations],
            (*SIMULATION, *TRAINING),
        )
        return random, environment_reward
    finally:
        executor.close()


class _AnchorJobs:
    """Trainings and evaluations of one task, each in a folder named after its job."""

    def __init__(
        self, executor: Executor, task: Task, config: Config, cache: Path, report_progress: ReportProgress
    ) -> None:
        self._executor, self._task, self._config, self._cache = executor, task, config, cache
        self._report_progress = report_progress
        names = Fitness.parse(task.fitness).names
        # A card's metrics are no part of a training: a new one is computed with the policies that are in the cache.
        self._env = _build_env_spec(task, names)
        self._evaluated = _build_env_spec(task, (*names, *AuxiliaryMetrics.parse(task.metric_expressions).names))

    def evaluate_random(self) -> Evaluation:
        """Return the evaluation of random actions."""
        seeds = evaluator.episode_seeds(self._config, evaluator.REPORT, EPISODES)
        return self._evaluate(None, seeds, "random", SIMULATION)

    def train_on_environment_reward(self, seed: int) -> Evaluation:
        """Train on the environment reward, and return the evaluation of the policy."""
        config, fitness, packages = self._config, self._task.fitness, (*SIMULATION, *TRAINING)
        train = TrainJob(self._env, None, fitness, seed, config.search.env_steps, config.training, config.sandbox)
        _, policy = self._run(train, f"train-s{seed}", packages)
        seeds = evaluator.episode_seeds(config, evaluator.REPORT, config.evaluation.final_episodes)
        return self._evaluate(policy, seeds, f"evaluate-s{seed}", packages)

    def _evaluate(self, policy: Path | None, seeds: tuple[int, ...], label: str, packages: Sequence[str]) -> Evaluation:
        path = None if policy is None else str(policy)
        job = EvaluateJob(
            self._evaluated,
            path,
            self._task.fitness,
            seeds,
            deterministic=self._config.evaluation.deterministic,
            metrics=self._task.metric_expressions,
        )
        return self._run(job, label, packages)[0]

    def _run(self, job: Job[R], label: str, packages: Sequence[str]) -> tuple[R, Path]:
        """Return a job's result and its folder.

        Raises:
            RunFailed: if it failed.
        """
        content = json.dumps([records.dump(job), *_list_versions(self._task, packages)], sort_keys=True)
        name = re.sub(r"[^A-Za-z0-9_.-]+", "_", self._task.name)
        out = self._cache / f"{name}-{label}-{hashlib.sha256(content.encode()).hexdigest()[:16]}"
        result = self._executor.run(job, out.resolve(), partial(self._report_point, label))
        if result.status != "ok":
            raise RunFailed(f"{self._task.name}, {label}: no result: {result.cause}")
        return result, out.resolve()

    def _report_point(self, label: str, point: CurvePoint) -> None:
        budget = self._config.search.env_steps
        steps = f"{point.env_steps:,} of {budget:,} steps"
        self._report_progress(f"{self._task.name}, environment reward, {label}: {steps}")


def _build_env_spec(task: Task, names: Sequence[str]) -> EnvSpec:
    """Return the environment with the named signals only, so that another edit of a card changes no job."""
    listed = (*task.env.signals, *task.env.list_learned(), *task.env.privileged_signals)
    card_names = {signal.name for signal in listed}
    source = task.env if card_names.issuperset(names) else run_probe(task.env)
    return replace(
        task.env,
        signals=_select_signals(source.signals, names),
        privileged_signals=_select_signals(source.privileged_signals, names),
    )


def _select_signals(signals: Iterable[Signal], names: Sequence[str]) -> tuple[Signal, ...]:
    """Return the named signals, without units and descriptions."""
    return tuple(replace(signal, unit="", meaning="") for signal in signals if signal.name in names)


def _build_anchor(
    task: Task,
    anchor: Anchor,
    values: Sequence[float],
    metrics: Sequence[Mapping[str, float | None]],
    packages: Sequence[str],
) -> MeasuredAnchor:
    interval = confidence_interval(values, task.fitness)
    assert interval is not None  # there is at least one value
    std = statistics.stdev(values) if len(values) > 1 else None
    versions = ", ".join(_list_versions(task, packages))
    anchor = replace(anchor, fitness=interval.mean, std=std, seeds=len(values), versions=versions)
    return MeasuredAnchor(task.name, anchor, interval, _summarize_metrics(task, metrics))


def _summarize_metrics(task: Task, metrics: Sequence[Mapping[str, float | None]]) -> dict[str, Interval]:
    """Return each metric over episodes or policies; one that has no value in some of them is left out."""
    intervals = {}
    for name, expression in task.metric_expressions.items():
        values = [value for row in metrics if (value := row.get(name)) is not None]
        if len(values) == len(metrics):
            interval = confidence_interval(values, expression)
            if interval is not None:
                intervals[name] = interval
    return intervals


def _list_versions(task: Task, packages: Sequence[str]) -> Iterator[str]:
    """Yield the packages that a measurement depends on, with their versions."""
    family = env_families.find_family(task.env.env_id)
    family_packages = [package.name for package in family.packages] if family else []
    for name in dict.fromkeys((*packages, *family_packages)):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            yield f"{name} {importlib.metadata.version(name)}"


# ---------------------------------------------------------------- into a card


def write_anchors(anchors: Sequence[Anchor], card: Path) -> None:
    """Write anchors into a card, in place of those of the same policies; the rest of the file stays as it is.

    Raises:
        TaskError: if the file cannot be read or written.
    """
    try:
        text = replace_anchors(card.read_text(encoding="utf-8"), anchors)
        records.write_text(card, text)
    except OSError as error:
        raise TaskError(f"cannot write the anchors into {str(card)!r}: {error.strerror}") from error


def replace_anchors(text: str, anchors: Sequence[Anchor]) -> str:
    """Return a card's text with these anchors at its end, and without earlier ones of the same policies."""
    policies = {anchor.policy for anchor in anchors}
    tables = re.split(r"(?m)^(?=\[)", text)
    kept = [table for table in tables if _read_policy(table) not in policies]
    return "".join(kept).rstrip("\n") + "\n" + "".join(f"\n{_format_anchor(anchor)}" for anchor in anchors)


def _read_policy(table: str) -> str | None:
    """Return the policy that a table of a card is the anchor of; None where it is no anchor."""
    if not re.match(r"\[\[\s*anchors\s*\]\]", table):
        return None
    return current_policy(str(tomllib.loads(table)["anchors"][0]["policy"]))


def _format_anchor(anchor: Anchor) -> str:
    fields = [f'policy = "{anchor.policy}"', f"fitness = {_format_number(anchor.fitness)}"]
    if anchor.std is not None:
        fields.append(f"std = {_format_number(anchor.std)}")
    if anchor.env_steps:
        fields.append(f"env_steps = {anchor.env_steps:_}")
    fields += [f"seeds = {anchor.seeds}", f"versions = {json.dumps(anchor.versions)}"]
    return "\n".join(["[[anchors]]", *fields]) + "\n"


def _format_number(value: float) -> str:
    """Return a number with four significant digits, as a TOML float.

    >>> _format_number(-0.337312), _format_number(3.0), _format_number(12345.6)
    ('-0.3373', '3.0', '12350.0')
    """
    return repr(float(f"{value:.4g}"))
