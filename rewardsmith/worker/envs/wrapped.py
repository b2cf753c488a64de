"""Base of batched environments that stand around others, and are as these are in all that they do not change."""

from __future__ import annotations

from collections.abc import Mapping

from rewardsmith.worker.envs.base import ActionSpec, Array, BatchedEnv, SignalLayout
from rewardsmith.worker.training.images import Image, ImagePart


class WrappedEnv:
    """n environments around which a subclass stands; see `base.BatchedEnv`."""

    def __init__(self, env: BatchedEnv) -> None:
        self._env = env

    @property
    def n(self) -> int:
        """Number of environments."""
        return self._env.n

    @property
    def obs_dim(self) -> int:
        """Length of an observation vector."""
        return self._env.obs_dim

    @property
    def image(self) -> Image | None:
        """The image that an observation is, if it is one."""
        return self._env.image

    @property
    def image_parts(self) -> tuple[ImagePart, ...]:
        """See `BatchedEnv.image_parts`."""
        return self._env.image_parts

    @property
    def actions(self) -> ActionSpec:
        """The actions that `step` takes."""
        return self._env.actions

    @property
    def max_episode_steps(self) -> int | None:
        """Time limit in environment steps; None if there is no limit."""
        return self._env.max_episode_steps

    @property
    def step_s(self) -> float | None:
        """See `BatchedEnv.step_s`."""
        return self._env.step_s

    @property
    def faults(self) -> Mapping[str, str]:
        """See `BatchedEnv.faults`."""
        return self._env.faults

    @property
    def layout(self) -> SignalLayout:
        """The gathered signals."""
        return self._env.layout

    def read_signals(self) -> Array:
        """Return the signals at the state that the next step acts on."""
        return self._env.read_signals()

    def read_start_signals(self) -> Array:
        """Return the signals at the start of each running episode."""
        return self._env.read_start_signals()

    def close(self) -> None:
        """Close the environments."""
        self._env.close()
