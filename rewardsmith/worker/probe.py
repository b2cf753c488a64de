"""Looks at an environment: its catalogue, and transitions under random actions for a program's dry run."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rewardsmith.contract.records import Probe, ProbeJob
from rewardsmith.worker.envs.base import BatchedEnv
from rewardsmith.worker.envs.catalogue import Survey, survey
from rewardsmith.worker.envs.make import make
from rewardsmith.worker.envs.mujoco_env import MujocoEnv
from rewardsmith.worker.rng import action_generator

Array = NDArray[np.float64]

ENVS = 4
"""Environments side by side, each with a seed of its own: at least so many episodes are seen."""


def run(job: ProbeJob, out: Path) -> Probe:
    """Do a probe job; writes `transitions.npz` into `out`.

    The transitions of one environment follow each other, so an episode's are together and in order of time.

    Raises:
        TaskError: if the environment or a signal of its card cannot be used.
    """
    found = survey(job.env)
    spec = replace(job.env, signals=found.signals, measures=found.measures)
    env = make(spec, ENVS, [signal.name for signal in found.signals])
    try:
        arrays = _record(env, job.seed, math.ceil(job.transitions / ENVS))
        _save({name: array[: job.transitions] for name, array in arrays.items()}, out / "transitions.npz")
        return _describe(env, found, job.transitions)
    finally:
        env.close()


def _save(arrays: dict[str, Any], path: Path) -> None:
    np.savez(path, allow_pickle=False, **arrays)


def _record(env: BatchedEnv, seed: int, steps: int) -> dict[str, Array]:
    """Return the arrays of `transitions.npz` for `steps` vector steps under random actions."""
    n, width = env.n, env.layout.width
    before, after, start = np.zeros((3, steps, n, width))
    action, index = np.zeros((steps, n, env.actions.width)), np.zeros((steps, n))
    terminated = np.zeros((steps, n))
    rngs = [action_generator(seed + row) for row in range(n)]
    env.reset([seed + row for row in range(n)])
    elapsed = np.zeros(n)
    for t in range(steps):
        action[t] = [env.actions.sample(rng) for rng in rngs]
        before[t], start[t], index[t] = env.current(), env.start(), elapsed
        step = env.step(action[t])
        after[t], terminated[t] = step.after, step.terminated
        elapsed += 1
        elapsed[step.ended] = 0
    arrays = {"action": _env_major(action), "step": _env_major(index), "terminated": _env_major(terminated)}
    for name, packed in {"before": before, "after": after, "start": start}.items():
        views = env.layout.unpack(_env_major(packed))
        arrays.update({f"{name}/{signal}": view for signal, view in views.items()})
    return arrays


def _env_major(array: Array) -> Array:
    """Return (steps, n, ...) as (n * steps, ...), one environment after the other."""
    steps, n, *rest = array.shape
    return np.ascontiguousarray(np.swapaxes(array, 0, 1)).reshape(steps * n, *rest)


def _describe(env: BatchedEnv, found: Survey, transitions: int) -> Probe:
    actions = env.actions
    return Probe(
        signals=found.signals,
        action_shape=(actions.width,),
        action_low=actions.low,
        action_high=actions.high,
        discrete_actions=actions.n,
        action_about=actions.describe(),
        observation_shape=env.image.given if env.image else (env.obs_dim,),
        max_episode_steps=env.max_episode_steps,
        transitions=transitions,
        measures=found.measures,
        info=found.info,
        observation_space=found.observation_space,
        action_space=found.action_space,
        batched=isinstance(env, MujocoEnv),
    )
