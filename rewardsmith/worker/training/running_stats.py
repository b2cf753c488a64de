"""Running mean and variance, and the scalings of observations and rewards that rest on them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rewardsmith.worker.training.images import ImagePart
from rewardsmith.worker.training.policy import VARIANCE_FLOOR

Array = NDArray[np.float64]

CLIP_OBS = 10.0
"""Bound of normalised observations."""
CLIP_REWARD = 10.0
"""Bound of normalised rewards."""


class RunningMeanStd:
    """Running mean and variance by Chan's parallel update; 0 and 1 before the first value.

    >>> statistics = RunningMeanStd(())
    >>> statistics.update(np.array([1.0, 3.0])); statistics.update(np.array([5.0]))
    >>> float(statistics.mean), round(float(statistics.var), 3)
    (3.0, 2.667)
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.count = 0
        self.mean: Array = np.zeros(shape)
        self.var: Array = np.ones(shape)

    def update(self, values: Array) -> None:
        """Add values (n, *shape)."""
        n, mean, variance = len(values), values.mean(axis=0), values.var(axis=0)
        total = self.count + n
        shift = mean - self.mean
        squares = self.var * self.count + variance * n + shift**2 * (self.count * n / total)
        self.mean = self.mean + shift * (n / total)
        self.var = squares / total
        self.count = total


class ObsScaling:
    """Scaling of observations: normalised by the running mean and variance, clipped, float32."""

    def __init__(self, n: int, obs_dim: int, enabled: bool) -> None:
        self.enabled = enabled
        self.statistics = RunningMeanStd((obs_dim,))
        self._factor: Array = np.ones(obs_dim)
        self._scratch: Array = np.empty((n, obs_dim))

    def restore(self, mean: Array, var: Array, count: int) -> None:
        """Take over the statistics of `count` earlier observations, mean and variance (obs_dim,)."""
        statistics = self.statistics
        statistics.mean, statistics.var, statistics.count = mean.copy(), var.copy(), count
        self._factor = 1.0 / np.sqrt(statistics.var + VARIANCE_FLOOR)

    def update(self, obs: Array) -> None:
        """Add observations (n, obs_dim) to the statistics."""
        if self.enabled:
            self.statistics.update(obs)
            self._factor = 1.0 / np.sqrt(self.statistics.var + VARIANCE_FLOOR)

    def scale_into(self, obs: Array, out: NDArray[np.float32]) -> None:
        """Write the observations (n, obs_dim) of the n environments as the policy takes them to `out`."""
        if not self.enabled:
            out[...] = obs
            return
        scratch = self._scratch
        np.subtract(obs, self.statistics.mean, out=scratch)
        np.multiply(scratch, self._factor, out=scratch)
        np.maximum(scratch, -CLIP_OBS, out=scratch)
        np.minimum(scratch, CLIP_OBS, out=out, casting="same_kind")

    def scale(self, obs: Array) -> NDArray[np.float32]:
        """Return observations (..., obs_dim) as the policy takes them."""
        if not self.enabled:
            return obs.astype(np.float32)
        scaled = (obs - self.statistics.mean) * self._factor
        return np.clip(scaled, -CLIP_OBS, CLIP_OBS).astype(np.float32)


class PictureScaling(ObsScaling):
    """Scaling of observations with images among the numbers: bytes are divided by 255, without statistics."""

    def __init__(self, n: int, obs_dim: int, parts: Sequence[ImagePart], normalizes: bool) -> None:
        """Begin without observations.

        Args:
            n: how many environments.
            obs_dim: length of an observation.
            parts: the images.
            normalizes: whether the other numbers are normalised by their statistics.
        """
        super().__init__(n, obs_dim, True)
        self._fixed = np.full(obs_dim, not normalizes)
        self._variance = np.ones(obs_dim)
        for part in parts:
            self._fixed[part.columns], self._variance[part.columns] = True, 255.0**2
        self._keep_fixed()

    def restore(self, mean: Array, var: Array, count: int) -> None:
        """See `ObsScaling.restore`."""
        super().restore(mean, var, count)
        self._keep_fixed()

    def update(self, obs: Array) -> None:
        """See `ObsScaling.update`."""
        super().update(obs)
        self._keep_fixed()

    def _keep_fixed(self) -> None:
        statistics = self.statistics
        statistics.mean = np.where(self._fixed, 0.0, statistics.mean)
        statistics.var = np.where(self._fixed, self._variance, statistics.var)
        self._factor = 1.0 / np.sqrt(statistics.var + VARIANCE_FLOOR)


class RewardScaling:
    """Scaling of rewards: divided by the running standard deviation of the discounted return, and clipped.

    As VecNormalize of stable-baselines3 does it, but without its floor and its initial variance of 1, so that a
    program's scale makes no difference at all; and the variance is that of whole rollouts.
    """

    def __init__(self, n: int, gamma: float, enabled: bool) -> None:
        self._enabled = enabled
        self._gamma = gamma
        self._statistics = RunningMeanStd(())
        self._returns: Array = np.zeros(n)

    def scale(self, rewards: Array, ended: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Return a rollout's rewards (T, n) scaled, after its returns were added to the statistics.

        Args:
            rewards: (T, n), as the program gave them.
            ended: (T, n), where an episode ended with the transition.
        """
        if not self._enabled:
            return rewards.astype(np.float32)
        # Discounted returns, from the first step to each step; 0 again where an episode ended
        returns = np.empty_like(rewards)
        carried = self._returns
        for reward, row, is_going_on in zip(rewards, returns, ~ended, strict=True):
            np.multiply(carried, self._gamma, out=row)
            row += reward
            carried = row * is_going_on
        self._returns = carried

        self._statistics.update(returns.ravel())
        deviation = float(np.sqrt(self._statistics.var))
        if deviation == 0.0:
            return np.clip(rewards, -CLIP_REWARD, CLIP_REWARD).astype(np.float32)
        return np.clip(rewards / deviation, -CLIP_REWARD, CLIP_REWARD).astype(np.float32)
