"""The evaluation job for tasks of mjlab: one episode per seed, all of them at once; positions are kept for films.

mjlab draws the numbers of all environments from one generator. So the generator is seeded by all seeds of the job
together: the same seeds give the same starts, on a CPU to the last bit, and an episode cannot be repeated alone. Films
are drawn from what was recorded.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rewardsmith.contract.errors import WorkerFailed
from rewardsmith.contract.fitness import AuxiliaryMetrics, Fitness
from rewardsmith.contract.records import EvaluateJob, Evaluation, Signal
from rewardsmith.worker.envs.base import SignalLayout
from rewardsmith.worker.evaluate import MeasuredEpisodes, Trajectory, load_policy
from rewardsmith.worker.mjlab import recorder
from rewardsmith.worker.mjlab.catalogue import count_observed
from rewardsmith.worker.mjlab.fields import SignalGatherer
from rewardsmith.worker.mjlab.learner import choose_layout, reads_environment_reward
from rewardsmith.worker.mjlab.policies import DevicePolicy
from rewardsmith.worker.mjlab.tasks import load_lab_task, make_lab_env, read_lab_actions
from rewardsmith.worker.rng import make_action_generator
from rewardsmith.worker.scripted_motions import make_motion

Array = NDArray[np.float64]
Act = Callable[[Any, int], torch.Tensor]
"""Observation and step to the actions (n, a)."""
STATES_FILE = "states.npz"
"""`<index>` (T + 1, nq): positions of an episode, the start first."""


def run(job: EvaluateJob, out: Path) -> Evaluation:
    """Do an evaluation job; writes `episodes.npz` and `states.npz` into `out`.

    Raises:
        TaskError: if the task or a signal cannot be used.
        FitnessError: if the fitness or a metric does not parse or names a signal that the task does not have.
        WorkerFailed: if the policy cannot be read or does not fit.
    """
    start_time = time.perf_counter()
    fitness, metrics = Fitness.parse(job.fitness), AuxiliaryMetrics.parse(job.metrics)
    task = load_lab_task(job.env)
    fitness = fitness.bind_environment(task.max_episode_steps, task.step_s)
    metrics = metrics.bind_environment(task.max_episode_steps, task.step_s)
    env = make_lab_env(task, len(job.seeds), mix_seeds(job.seeds))
    try:
        layout = choose_layout(task, env, job.record, (*fitness.names, *metrics.names))
        fitness.try_on(layout.signals)
        metrics.try_on(layout.signals)
        act = _choose_act(job, env, task.learner_config.clip_actions, task.device)
        trajectories, states, overflow = _run_episodes(job, env, layout, act, task.max_episode_steps)
    finally:
        env.close()
    np.savez(out / STATES_FILE, allow_pickle=False, **{str(index): state for index, state in enumerate(states)})
    measured = MeasuredEpisodes(trajectories, layout, fitness, metrics)
    return measured.evaluate(out, time.perf_counter() - start_time, (), [overflow] if overflow else [])


def mix_seeds(seeds: tuple[int, ...]) -> int:
    """Return the seed of the generator that all episodes share.

    >>> mix_seeds((1, 2)) == mix_seeds((1, 2)) != mix_seeds((2, 1))
    True
    """
    return int(np.random.SeedSequence(seeds).generate_state(1)[0] % 2**31)


def _choose_act(job: EvaluateJob, env: Any, clip: float | None, device: str) -> Act:
    """Return what acts: the job's motion or policy, else random actions.

    Raises:
        WorkerFailed: if the policy cannot be read or does not fit.
    """
    actions, n = read_lab_actions(env, clip), int(env.num_envs)
    if job.motion:
        motion = make_motion(job.motion, actions)
        return lambda obs, step: torch.from_numpy(np.tile(motion(step), (n, 1))).float().to(device)
    policy = load_policy(job)
    if policy is None:
        rngs = [make_action_generator(seed) for seed in job.seeds]
        return lambda obs, step: torch.from_numpy(np.stack([actions.sample(rng) for rng in rngs])).float().to(device)
    observed = count_observed(env)
    if policy.obs_dim != observed or policy.observed_names:
        raise WorkerFailed(
            f"the policy takes observations of {policy.obs_dim} numbers, and {job.env.env_id!r} gives {observed}: "
            "evaluate it on the task that it was trained on"
        )
    acting = DevicePolicy(policy, device)
    return lambda obs, step: acting.act(obs["actor"], job.deterministic)


def _run_episodes(
    job: EvaluateJob, env: Any, layout: SignalLayout, act: Act, limit: int
) -> tuple[list[Trajectory], list[NDArray[np.float32]], str | None]:
    """Run the first episode of every environment.

    Returns:
        The episodes, their positions, and an alarm about overflows of Warp's buffers.
    """
    # Positions are gathered behind the signals, which makes them those of the true last state too.
    positions = int(env.sim.mj_model.nq)
    states = Signal("positions", (positions,), "1", "", f"qpos[0:{positions}]")
    gatherer = SignalGatherer(env, SignalLayout((*layout.signals, states)))
    record = recorder.RewardRecorder(env, gatherer, reads_environment_reward(layout))
    obs, _ = env.reset()
    present = gatherer.gather_signals()
    history, sent = [present], list[torch.Tensor]()
    ended = torch.zeros(env.num_envs, dtype=torch.bool, device=env.device)
    lengths = torch.full((env.num_envs,), limit, device=env.device)
    terminated = torch.zeros_like(ended)

    # Rows whose episode has ended run on, and are ignored
    while len(sent) < limit and not bool(ended.all()):
        actions = act(obs, len(sent))
        obs, _, by_rule, by_limit, _ = env.step(actions)
        sent.append(actions)
        history.append(torch.where(torch.isfinite(record.after), record.after, history[-1]))
        is_last = (by_rule | by_limit) & ~ended
        lengths[is_last], terminated[is_last] = len(sent), by_rule[is_last]
        ended |= is_last

    width = layout.width
    recorded = torch.stack(history, dim=1).cpu().numpy()
    acted = torch.stack(sent, dim=1).cpu().numpy().astype(np.float64)
    trajectories, places = [], []
    for row, seed in enumerate(job.seeds):
        length = int(lengths[row])
        signals = recorded[row, :, :width].astype(np.float64)
        trajectories.append(
            Trajectory(seed, signals[1 : length + 1], signals[0], acted[row, :length], bool(terminated[row]))
        )
        places.append(recorded[row, : length + 1, width:])
    bits = record.overflows
    alarm = recorder.describe_overflows(int(np.bitwise_or.reduce(bits.cpu().numpy())), int((bits != 0).sum()))
    return trajectories, places, alarm
