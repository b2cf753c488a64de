"""Runs a policy on held-out seeds, measures its fitness and the further figures; it never sees a program."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rewardsmith.contract.errors import FitnessError, WorkerFailed
from rewardsmith.contract.fitness.expression import Fitness, Rollout
from rewardsmith.contract.fitness.metrics import Figures
from rewardsmith.contract.records import Episode, EvaluateJob, Evaluation
from rewardsmith.worker.envs.base import BatchedEnv, Layout
from rewardsmith.worker.envs.make import make
from rewardsmith.worker.rng import action_generator
from rewardsmith.worker.training import policy as policies

Array = NDArray[np.float64]
Act = Callable[[Array], Array]
"""Observations (n, obs_dim) to actions (n, a)."""

PARALLEL = 16
"""Episodes side by side; the results do not depend on it."""
MAX_STEPS = 10_000
"""Longest episode of an environment without a time limit."""


@dataclass(frozen=True)
class Recording:
    """One episode as it was."""

    seed: int
    after: Array
    """(T, width): the signals after each step."""
    start: Array
    """(width,): the signals at the start."""
    actions: Array
    """(T, a)."""
    terminated: bool


def run(job: EvaluateJob, out: Path) -> Evaluation:
    """Do an evaluation job; writes `episodes.npz` into `out`.

    Raises:
        TaskError: if the environment or a signal cannot be used.
        FitnessError: if the fitness or a figure does not parse or names what the environment does not have.
        WorkerFailed: if the policy cannot be read or does not fit the environment.
    """
    begun = time.perf_counter()
    fitness, figures = Fitness.parse(job.fitness), Figures.parse(job.figures)
    if job.env.signals:
        known = [signal.name for signal in (*job.env.signals, *job.env.measures)]
        fitness.check(known)
        figures.check(known)
    env = make(job.env, min(PARALLEL, len(job.seeds)), job.record, (*fitness.names, *figures.names))
    fitness.try_on(env.layout.signals)
    figures.try_on(env.layout.signals)
    try:
        recordings = record(env, job)
    finally:
        env.close()
    _save(recordings, env.layout, out / "episodes.npz")
    rollouts = [_rollout(recording, env.layout) for recording in recordings]
    beside, missing = _further(figures, rollouts)
    try:
        measured = [fitness.evaluate(rollout) for rollout in rollouts]
    except FitnessError as error:
        # The cause reaches prompts: its first line says what is wrong, the next ones quote the expression.
        return Evaluation("failed", (), None, time.perf_counter() - begun, str(error).partition("\n")[0])
    episodes = tuple(
        Episode(recording.seed, value, len(recording.actions), recording.terminated, found)
        for recording, value, found in zip(recordings, measured, beside, strict=True)
    )
    mean, cause = float(np.mean(measured)), "; ".join(missing) or None
    return Evaluation("ok", episodes, mean, time.perf_counter() - begun, cause, _means(figures, beside))


def record(env: BatchedEnv, job: EvaluateJob) -> list[Recording]:
    """Run one episode per seed, env.n at a time.

    Raises:
        WorkerFailed: if the policy cannot be read or does not fit the environment.
    """
    policy = None if job.policy is None else policies.load(Path(job.policy))
    if policy is not None and policy.obs_dim != env.obs_dim:
        raise WorkerFailed(f"the policy takes {policy.obs_dim} observations, {job.env.env_id!r} has {env.obs_dim}")
    recordings: list[Recording] = []
    for first in range(0, len(job.seeds), env.n):
        seeds = job.seeds[first : first + env.n]
        rngs = [action_generator(seed) for seed in seeds]
        recordings += _episodes(env, seeds, _actor(env, policy, rngs, job.deterministic))
    return recordings


def _actor(
    env: BatchedEnv, policy: policies.Policy | None, rngs: Sequence[np.random.Generator], deterministic: bool
) -> Act:
    """Return what acts on the first len(rngs) rows; every row draws from its own generator."""
    if policy is None:
        return lambda obs: np.stack([env.actions.sample(rng) for rng in rngs])
    known = policy
    if deterministic:
        return lambda obs: known.act(obs[: len(rngs)])
    return lambda obs: np.concatenate([known.act(obs[i : i + 1], False, rng) for i, rng in enumerate(rngs)])


def _episodes(env: BatchedEnv, seeds: Sequence[int], act: Act) -> list[Recording]:
    """Run the first episode of each seed; rows beyond the seeds, and those that are done, run along unheeded."""
    count = len(seeds)
    # The last batch may be smaller than env.n: its spare rows repeat a seed.
    obs = env.reset([*seeds, *[seeds[0]] * (env.n - count)])
    start = env.start()[:count].copy()
    actions = np.zeros((env.n, env.actions.width))
    history: list[tuple[Array, Array]] = []
    lengths, terminated = np.zeros(count, dtype=int), np.zeros(count, dtype=bool)
    limit = env.max_episode_steps or MAX_STEPS
    while len(history) < limit and not lengths.all():
        actions[:count] = act(obs)
        step = env.step(actions)
        obs = step.obs
        history.append((step.after[:count].copy(), actions[:count].copy()))
        for row in step.ended:
            if row < count and not lengths[row]:
                lengths[row], terminated[row] = len(history), step.terminated[row]
    lengths[lengths == 0] = len(history)
    after, acted = (np.stack(arrays, axis=1) for arrays in zip(*history, strict=True))
    return [
        Recording(seed, after[i, : lengths[i]], start[i], acted[i, : lengths[i]], bool(terminated[i]))
        for i, seed in enumerate(seeds)
    ]


def _rollout(recording: Recording, layout: Layout) -> Rollout:
    return Rollout(
        layout.unpack(recording.after), layout.unpack(recording.start), recording.actions, recording.terminated
    )


def _further(figures: Figures, rollouts: Sequence[Rollout]) -> tuple[list[dict[str, float | None]], list[str]]:
    """Return the figures of each episode, and why some have no value: a figure that fails costs no policy its fitness.

    The complaints are one line each, at most one a figure.
    """
    complaints: dict[str, str] = {}
    found: list[dict[str, float | None]] = [{} for _ in rollouts]
    for name in figures.parsed:
        for rollout, values in zip(rollouts, found, strict=True):
            try:
                values[name] = figures.evaluate(name, rollout)
            except FitnessError as error:
                values[name] = None
                complaints.setdefault(name, str(error).partition("\n")[0])
    return found, list(complaints.values())


def _means(figures: Figures, episodes: Sequence[dict[str, float | None]]) -> dict[str, float | None]:
    """Return each figure's mean; None where an episode has no value: the others' mean would be another figure."""
    means: dict[str, float | None] = {}
    for name in figures.parsed:
        values = [value for found in episodes if (value := found[name]) is not None]
        means[name] = float(np.mean(values)) if len(values) == len(episodes) else None
    return means


def _save(recordings: Sequence[Recording], layout: Layout, path: Path) -> None:
    arrays: dict[str, Array] = {}
    for index, recording in enumerate(recordings):
        arrays[f"{index}/action"] = recording.actions
        for name, values in layout.unpack(recording.after).items():
            arrays[f"{index}/{name}"] = values
        for name, value in layout.unpack(recording.start).items():
            arrays[f"{index}/start/{name}"] = value
    np.savez(path, allow_pickle=False, **arrays)
