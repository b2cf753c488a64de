"""The evaluation job: a policy's fitness and metrics on held-out seeds; no reward program is involved."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rewardsmith.contract.errors import FitnessError, WorkerFailed
from rewardsmith.contract.fitness import AuxiliaryMetrics, Fitness, Rollout
from rewardsmith.contract.records import Episode, EvaluateJob, Evaluation, PolicyJob, RenderJob
from rewardsmith.contract.records.fitness import Motion
from rewardsmith.contract.robots import select_evaluation_options
from rewardsmith.contract.text import pluralize
from rewardsmith.sandbox.recorded import EpisodeFile
from rewardsmith.worker.envs.base import MAX_STEPS, BatchedEnv, SignalLayout
from rewardsmith.worker.envs.env_faults import describe_faults
from rewardsmith.worker.envs.make import make_envs
from rewardsmith.worker.learned_signals.base import JobUse
from rewardsmith.worker.learned_signals.env import fill_learned_columns
from rewardsmith.worker.rng import make_action_generator
from rewardsmith.worker.scripted_motions import make_motion
from rewardsmith.worker.training import policy as policies
from rewardsmith.worker.user_actor import UserActor

Array = NDArray[np.float64]
Act = Callable[[Array], Array]
"""Observations (n, obs_dim) to actions (n, a)."""

PARALLEL = 16
"""Largest number of episodes that run at once; the results do not depend on it."""


@dataclass(frozen=True)
class Trajectory:
    """A recorded episode."""

    seed: int
    after: Array
    """(T, width): the signals after each step."""
    start: Array
    """(width,): the signals at the start."""
    actions: Array
    """(T, a)."""
    terminated: bool


@dataclass(frozen=True)
class MeasuredEpisodes:
    """Recorded episodes with the expressions that measure them."""

    trajectories: Sequence[Trajectory]
    layout: SignalLayout
    fitness: Fitness
    metrics: AuxiliaryMetrics

    def evaluate(self, out: Path, wall_s: float, faults: Sequence[str] = (), remarks: Sequence[str] = ()) -> Evaluation:
        """Write `episodes.npz` into `out`, and return the results.

        Args:
            out: the job's folder.
            wall_s: that the episodes took.
            faults: what may be why a fitness has no value, a line each.
            remarks: what the user should know about the episodes, a line each.
        """
        start_time = time.perf_counter()
        rollouts = [make_rollout(trajectory, self.layout) for trajectory in self.trajectories]
        EpisodeFile.in_folder(out).write(rollouts)
        metrics_by_episode, problems = _measure_metrics(self.metrics, rollouts)
        try:
            fitness_values = [self.fitness.evaluate(rollout) for rollout in rollouts]
        except FitnessError as error:
            # The cause reaches prompts: its first line says what is wrong, the next ones quote the expression.
            cause = "; ".join([f"fitness: {error.cause}", *faults])
            return Evaluation("failed", (), None, wall_s + time.perf_counter() - start_time, cause)

        episodes = []
        for trajectory, value, metric_values in zip(self.trajectories, fitness_values, metrics_by_episode, strict=True):
            length = len(trajectory.actions)
            episodes.append(Episode(trajectory.seed, value, length, trajectory.terminated, metric_values))
        return Evaluation(
            status="ok",
            episodes=tuple(episodes),
            fitness=float(np.mean(fitness_values)),
            wall_s=wall_s + time.perf_counter() - start_time,
            cause="; ".join([*problems, *remarks]) or None,
            metrics=_average_metrics(self.metrics, metrics_by_episode),
        )


def run(job: EvaluateJob, out: Path) -> Evaluation:
    """Do an evaluation job; writes `episodes.npz` into `out`.

    Raises:
        TaskError: if the environment or a signal cannot be used.
        FitnessError: if the fitness or a metric does not parse or names a signal that the environment does not have.
        WorkerFailed: if the policy cannot be read or does not fit the environment.
    """
    start_time = time.perf_counter()
    # Check the expressions against the catalogue before any environment is made
    fitness, metrics = Fitness.parse(job.fitness), AuxiliaryMetrics.parse(job.metrics)
    if job.env.signals:
        listed = (*job.env.signals, *job.env.list_learned(), *job.env.privileged_signals)
        signal_names = [signal.name for signal in listed]
        fitness.check_signals(signal_names)
        metrics.check_signals(signal_names)
    policy = load_policy(job)
    observation = policy.observed_names if policy else ()
    n_envs = 1 if job.actor else min(PARALLEL, len(job.seeds))
    spec = select_evaluation_options(job.env)
    measured = (*fitness.names, *metrics.names)
    env = make_envs(spec, n_envs, job.record, measured, observation=observation, use=JobUse("evaluate"))
    fitness = fitness.bind_environment(env.max_episode_steps, env.step_s)
    metrics = metrics.bind_environment(env.max_episode_steps, env.step_s)
    fitness.try_on(env.layout.signals)
    metrics.try_on(env.layout.signals)

    # Run the episodes and record them
    try:
        trajectories = record_trajectories(env, job, policy)
    finally:
        env.close()
    measured_episodes = MeasuredEpisodes(trajectories, env.layout, fitness, metrics)
    faults, remarks = describe_faults(env.faults), _describe_cut_episodes(env, trajectories)
    return measured_episodes.evaluate(out, time.perf_counter() - start_time, faults, remarks)


def load_policy(job: PolicyJob[Any]) -> policies.Policy | None:
    """Read the policy of a job; None where random actions are taken.

    Raises:
        WorkerFailed: if it cannot be read.
    """
    return None if job.policy is None else policies.load(Path(job.policy))


def record_trajectories(env: BatchedEnv, job: EvaluateJob, policy: policies.Policy | None = None) -> list[Trajectory]:
    """Run one episode per seed, env.n at a time.

    Args:
        env: which gives the observations that the policy takes.
        job: with the seeds.
        policy: from `load_policy`; None acts by the job's motion, else at random.

    Raises:
        WorkerFailed: if the policy does not fit the environment.
    """
    if policy is not None and policy.obs_dim != env.obs_dim:
        raise WorkerFailed(
            f"the policy takes observations of {policy.obs_dim} numbers, and {job.env.env_id!r} gives {env.obs_dim}: "
            "evaluate it on the environment that it was trained on"
        )
    trajectories: list[Trajectory] = []
    actor = UserActor(job.env.env_id, job.actor, env.actions) if job.actor else None
    for first in range(0, len(job.seeds), env.n):
        seeds = job.seeds[first : first + env.n]
        rngs = [make_action_generator(seed) for seed in seeds]
        if actor:
            act = actor.begin_episode()
        else:
            act = _follow_motion(env, job.motion) if job.motion else _make_act(env, policy, rngs, job.deterministic)
        trajectories += _run_episodes(env, seeds, act)
    return trajectories


def record_rendered_episode(env: BatchedEnv, job: RenderJob, seed: int, policy: policies.Policy | None) -> Trajectory:
    """Run one episode of the policy of a render job, as an evaluation under the same seed does.

    Raises:
        WorkerFailed: if the policy does not fit the environment.
    """
    evaluation = EvaluateJob(job.env, job.policy, job.fitness, (seed,), deterministic=job.deterministic)
    (trajectory,) = record_trajectories(env, evaluation, policy)
    return trajectory


def _make_act(
    env: BatchedEnv, policy: policies.Policy | None, rngs: Sequence[np.random.Generator], deterministic: bool
) -> Act:
    """Return the function that acts on the first len(rngs) rows; every row draws from its own generator."""
    if policy is None:
        return lambda obs: np.stack([env.actions.sample(rng) for rng in rngs])
    loaded = policy
    if deterministic:
        return lambda obs: loaded.act(obs[: len(rngs)])
    return lambda obs: np.concatenate([loaded.act(obs[i : i + 1], False, rng) for i, rng in enumerate(rngs)])


def _follow_motion(env: BatchedEnv, motion: Motion) -> Act:
    """Return the function that acts by a scripted motion, in every row alike; it counts the steps."""
    make_action, steps = make_motion(motion, env.actions), itertools.count()
    return lambda obs: make_action(next(steps))


def _run_episodes(env: BatchedEnv, seeds: Sequence[int], act: Act) -> list[Trajectory]:
    """Run the first episode of each seed; rows beyond the seeds, and those that have ended, run on and are ignored."""
    count = len(seeds)
    # The last batch may be smaller than env.n: its spare rows repeat a seed.
    obs = env.reset([*seeds, *[seeds[0]] * (env.n - count)])
    start = env.read_start_signals()[:count].copy()
    actions = np.zeros((env.n, env.actions.width))
    history: list[tuple[Array, Array]] = []
    lengths, terminated = np.zeros(count, dtype=int), np.zeros(count, dtype=bool)

    # Step until the first episode of every seed has ended
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

    # Cut each seed's steps to the length of its episode
    after, acted = (np.stack(arrays, axis=1) for arrays in zip(*history, strict=True))
    fill_learned_columns(env, after.swapaxes(0, 1), start=start[None])
    return [
        Trajectory(seed, after[i, : lengths[i]], start[i], acted[i, : lengths[i]], bool(terminated[i]))
        for i, seed in enumerate(seeds)
    ]


def _describe_cut_episodes(env: BatchedEnv, trajectories: Sequence[Trajectory]) -> list[str]:
    """Return a line if episodes that the environment would not have ended were cut."""
    cut = sum(len(trajectory.actions) >= MAX_STEPS for trajectory in trajectories)
    if env.max_episode_steps is not None or not cut:
        return []
    episodes = f"{cut} of {pluralize(len(trajectories), 'episode')}"
    return [f"no time limit is registered for the environment: cut after {MAX_STEPS:,} steps were {episodes}"]


def make_rollout(trajectory: Trajectory, layout: SignalLayout) -> Rollout:
    """Return a recorded episode as a fitness expression sees it."""
    return Rollout(
        layout.unpack_signals(trajectory.after),
        layout.unpack_signals(trajectory.start),
        trajectory.actions,
        trajectory.terminated,
    )


def _measure_metrics(
    metrics: AuxiliaryMetrics, rollouts: Sequence[Rollout]
) -> tuple[list[dict[str, float | None]], list[str]]:
    """Return the metrics of each episode, and why some have no value.

    A metric that fails does not fail the evaluation. The problems are one line each, at most one for each metric.
    """
    problems: dict[str, str] = {}
    metrics_by_episode: list[dict[str, float | None]] = [{} for _ in rollouts]
    for name in metrics.expressions:
        for rollout, values in zip(rollouts, metrics_by_episode, strict=True):
            try:
                values[name] = metrics.evaluate(name, rollout)
            except FitnessError as error:
                values[name] = None
                problems.setdefault(name, error.cause)
    return metrics_by_episode, list(problems.values())


def _average_metrics(
    metrics: AuxiliaryMetrics, metrics_by_episode: Sequence[dict[str, float | None]]
) -> dict[str, float | None]:
    """Return each metric's mean; None where an episode has no value, as the mean of the others is not comparable."""
    means: dict[str, float | None] = {}
    for name in metrics.expressions:
        values = [episode[name] for episode in metrics_by_episode]
        known_values = [value for value in values if value is not None]
        means[name] = float(np.mean(known_values)) if len(known_values) == len(values) else None
    return means
