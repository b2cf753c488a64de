"""Environments whose policy observes named signals in place of the environment's own vector."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rewardsmith.contract.errors import TaskError
from rewardsmith.contract.observation import find_observation_fault
from rewardsmith.contract.records import Signal
from rewardsmith.worker.envs.base import Array, BatchedEnv, EnvStep
from rewardsmith.worker.envs.wrapped import WrappedEnv
from rewardsmith.worker.training.images import ImagePart


class SignalObservationEnv(WrappedEnv):
    """n environments that give the policy the values of signals, one after the other; see `base.BatchedEnv`."""

    def __init__(self, env: BatchedEnv, names: Sequence[str]) -> None:
        """Wrap environments that gather the signals.

        Args:
            env: the environments.
            names: signals that the policy observes, in this order.

        Raises:
            TaskError: if a signal is a picture, or is not gathered.
        """
        fault = find_observation_fault(names, env.layout.signals)
        if fault:
            raise TaskError(f"the policy's observation: {fault}")
        super().__init__(env)
        columns = env.layout.map_columns()
        self._columns = np.concatenate([np.arange(columns[name].start, columns[name].stop) for name in names])
        shape = (env.n, len(self._columns))
        self._obs, self._final_obs = np.zeros(shape), np.zeros(shape)

    @property
    def obs_dim(self) -> int:
        """Length of an observation: the numbers of the signals."""
        return len(self._columns)

    @property
    def image(self) -> None:
        """None: the values of signals are no image."""

    @property
    def image_parts(self) -> tuple[ImagePart, ...]:
        """No image lies among the values of signals."""
        return ()

    def reset(self, seeds: Sequence[int] | None = None) -> Array:
        """Start an episode everywhere; see `BatchedEnv.reset`."""
        self._env.reset(seeds)
        return self._observe(self._env.read_signals(), self._obs)

    def step(self, actions: NDArray[np.floating]) -> EnvStep:
        """Act once everywhere; see `BatchedEnv.step`."""
        step = self._env.step(actions)
        obs = self._observe(self._env.read_signals(), self._obs)
        final_obs = self._observe(step.after, self._final_obs) if len(step.ended) else obs
        return step._replace(obs=obs, final_obs=final_obs)

    def _observe(self, packed: Array, out: Array) -> Array:
        """Write the observed columns of packed signals (n, width) to `out`; a value that is no number counts as 0."""
        np.take(packed, self._columns, axis=1, out=out)
        # An entry of `info` may be no number in some step: the environment's faults tell it, and the policy goes on.
        np.nan_to_num(out, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
        return out


def list_observed_signals(env: BatchedEnv, names: Sequence[str]) -> tuple[Signal, ...]:
    """Return the gathered signals of these names, in this order."""
    by_name = {signal.name: signal for signal in env.layout.signals}
    return tuple(by_name[name] for name in names)
