"""Running mean and variance, and the scalings of observations and rewards that rest on them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rewardsmith.worker.training.policy import VARIANCE_FLOOR

Array = NDArray[np.float64]

CLIP_OBS = 10.0
"""Bound of normalised observations."""
CLIP_REWARD = 10.0
"""Bound of normalised rewards."""


class Moments:
    """Mean and variance of everything seen so far, by Chan's parallel update; of nothing: 0 and 1.

    >>> moments = Moments(())
    >>> moments.update(np.array([1.0, 3.0])); moments.update(np.array([5.0]))
    >>> float(moments.mean), round(float(moments.variance), 3)
    (3.0, 2.667)
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.count = 0
        self.mean: Array = np.zeros(shape)
        self.variance: Array = np.ones(shape)

    def update(self, values: Array) -> None:
        """Take in values (n, *shape)."""
        n, mean, variance = len(values), values.mean(axis=0), values.var(axis=0)
        total = self.count + n
        shift = mean - self.mean
        squares = self.variance * self.count + variance * n + shift**2 * (self.count * n / total)
        self.mean = self.mean + shift * (n / total)
        self.variance = squares / total
        self.count = total


class ObsScaling:
    """Observations as the policy takes them: normalised by the moments of all before, clipped, float32."""

    def __init__(self, n: int, obs_dim: int, on: bool) -> None:
        self.on = on
        self.moments = Moments((obs_dim,))
        self._factor: Array = np.ones(obs_dim)
        self._scratch: Array = np.empty((n, obs_dim))

    def update(self, obs: Array) -> None:
        """Take in observations (n, obs_dim)."""
        if self.on:
            self.moments.update(obs)
            self._factor = 1.0 / np.sqrt(self.moments.variance + VARIANCE_FLOOR)

    def apply(self, obs: Array, out: NDArray[np.float32]) -> None:
        """Write the observations (n, obs_dim) of the n environments as the policy takes them to `out`."""
        if not self.on:
            out[...] = obs
            return
        scratch = self._scratch
        np.subtract(obs, self.moments.mean, out=scratch)
        np.multiply(scratch, self._factor, out=scratch)
        np.maximum(scratch, -CLIP_OBS, out=scratch)
        np.minimum(scratch, CLIP_OBS, out=out, casting="same_kind")

    def applied(self, obs: Array) -> NDArray[np.float32]:
        """Return observations (..., obs_dim) as the policy takes them."""
        if not self.on:
            return obs.astype(np.float32)
        scaled = (obs - self.moments.mean) * self._factor
        return np.clip(scaled, -CLIP_OBS, CLIP_OBS).astype(np.float32)


class RewardScaling:
    """Rewards divided by the running standard deviation of the discounted return, and clipped.

    As VecNormalize of stable-baselines3 does it, but without its floor and its initial variance of 1, so that a
    program's scale makes no difference at all; and the variance is that of whole rollouts.
    """

    def __init__(self, n: int, gamma: float, on: bool) -> None:
        self._on = on
        self._gamma = gamma
        self._moments = Moments(())
        self._returns: Array = np.zeros(n)

    def scaled(self, rewards: Array, ended: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Return a rollout's rewards (T, n) scaled, its own returns counted in.

        Args:
            rewards: (T, n), as the program gave them.
            ended: (T, n), where an episode ended with the transition.
        """
        if not self._on:
            return rewards.astype(np.float32)
        returns = np.empty_like(rewards)
        carried, going = self._returns, ~ended
        for reward, row, on in zip(rewards, returns, going, strict=True):
            np.multiply(carried, self._gamma, out=row)
            row += reward
            carried = row * on
        self._returns = carried
        self._moments.update(returns.ravel())
        deviation = float(np.sqrt(self._moments.variance))
        if deviation == 0.0:
            return np.clip(rewards, -CLIP_REWARD, CLIP_REWARD).astype(np.float32)
        return np.clip(rewards / deviation, -CLIP_REWARD, CLIP_REWARD).astype(np.float32)
