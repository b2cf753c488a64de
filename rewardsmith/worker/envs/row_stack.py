"""n environments of one row each, stepped as one; for those that can only be filmed one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from rewardsmith.worker.envs.base import Array, BatchedEnv, EnvStep


class RowStack:
    """Environments of one row each, with the interface of `BatchedEnv`."""

    def __init__(self, rows: Sequence[BatchedEnv]) -> None:
        """Take over the environments, which are of one kind."""
        self._rows, first = rows, rows[0]
        self.n, self.layout, self.obs_dim, self.actions = len(rows), first.layout, first.obs_dim, first.actions
        self.image, self.image_parts = first.image, first.image_parts
        self.step_s, self.max_episode_steps = first.step_s, first.max_episode_steps

    @property
    def faults(self) -> Mapping[str, str]:
        """See `BatchedEnv.faults`."""
        return {name: fault for row in self._rows for name, fault in row.faults.items()}

    def reset(self, seeds: Sequence[int] | None = None) -> Array:
        """Start an episode everywhere; see `BatchedEnv.reset`."""
        given = [None] * self.n if seeds is None else [[seed] for seed in seeds]
        return np.concatenate([row.reset(seed) for row, seed in zip(self._rows, given, strict=True)])

    def step(self, actions: NDArray[np.floating]) -> EnvStep:
        """Act once everywhere; see `BatchedEnv.step`."""
        steps = [row.step(actions[index : index + 1]) for index, row in enumerate(self._rows)]
        joined = [np.concatenate(arrays) for arrays in zip(*(step[:-1] for step in steps), strict=True)]
        ended = np.flatnonzero([bool(step.ended.size) for step in steps])
        return EnvStep._make([*joined, ended])

    def read_signals(self) -> Array:
        """Return the signals at the state that the next step acts on."""
        return np.concatenate([row.read_signals() for row in self._rows])

    def read_start_signals(self) -> Array:
        """Return the signals at the start of each running episode."""
        return np.concatenate([row.read_start_signals() for row in self._rows])

    def close(self) -> None:
        """Close the environments."""
        for row in self._rows:
            row.close()
