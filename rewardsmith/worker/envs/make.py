"""Builds n environments of a spec on the fastest path that is exact for it."""

from __future__ import annotations

from collections.abc import Sequence

from rewardsmith.errors import TaskError
from rewardsmith.records import EnvSpec, Signal
from rewardsmith.worker.envs.base import BatchedEnv
from rewardsmith.worker.envs.catalogue import catalogue
from rewardsmith.worker.envs.generic import GenericEnv
from rewardsmith.worker.envs.mujoco_env import MujocoEnv, rules_for
from rewardsmith.worker.envs.opening import open_env
from rewardsmith.worker.envs.reader import select


def make(spec: EnvSpec, n: int, gather: Sequence[str] = ()) -> BatchedEnv:
    """Build n environments that gather the named signals.

    Args:
        spec: the environment; its own signals are found first, then those of the derived catalogue.
        n: how many, at least 1.
        gather: names of signals; only these cost time.

    Raises:
        TaskError: if the environment cannot be built, or a signal is unknown or cannot be read.
    """
    if n < 1:
        raise TaskError(f"n must be at least 1, not {n}")
    layout = select(_signals(spec, gather), tuple(gather))
    env = open_env(spec)
    rules = rules_for(env)
    return GenericEnv(spec, n, layout, env) if rules is None else MujocoEnv(env, rules, n, layout)


def _signals(spec: EnvSpec, gather: Sequence[str]) -> tuple[Signal, ...]:
    known = {signal.name for signal in spec.signals}
    return spec.signals if known.issuperset(gather) else catalogue(spec)
