"""STARC metrics, the distance of two rewards by how they order policies: canonicalise, normalise, compare.

After Skalse, Farnik, Motwani, Jenner, Gleave and Abate, "STARC: A General Framework For Quantifying Differences
Between Reward Functions" (ICLR 2024, arXiv:2309.15257). Two rewards order all policies alike if and only if they differ
by potential shaping, by a redistribution over next states and by a positive factor. The minimal canonicalisation
removes potential shaping: of all rewards that differ by it, it takes the one of the least norm. Here it is computed on
samples: the potentials are those that given features span, and the part of a reward that they explain is projected
out. With one-hot features and every state-action pair of a finite problem this is the metric itself. With fewer
features it removes less: two rewards that order policies alike may then have a distance above 0, never the reverse.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def canonicalize_reward(reward: Array, before: Array, after: Array, gamma: float) -> Array:
    """Return the reward of the least norm among those that potential shaping makes of `reward`.

    Args:
        reward: (n,), of n transitions; an expectation over next states where they are random.
        before: (n, p), the features of which potentials are made, in the states before.
        after: (n, p), the same in the states after: 0 where the episode is over, an expectation where they are random.
        gamma: discount factor, in [0, 1].

    Returns:
        (n,).
    """
    shaping = gamma * after - before
    potential, *_ = np.linalg.lstsq(shaping, reward, rcond=None)
    return np.asarray(reward - shaping @ potential)


def normalize_reward(canonical_reward: Array, size: float) -> Array:
    """Return a canonical reward with norm 1, or 0 where canonicalisation left nothing of it.

    Args:
        canonical_reward: (n,).
        size: norm of the reward before it was canonicalised; a rest below a billionth of it is rounding.
    """
    norm = float(np.linalg.norm(canonical_reward))
    return canonical_reward / norm if norm > 1e-9 * size else np.zeros_like(canonical_reward)


def measure_distance(first: Array, second: Array) -> float:
    """Return half the distance of two normalised rewards, in [0, 1]; 0 for the same order, 1 for the opposite."""
    return min(1.0, 0.5 * float(np.linalg.norm(first - second)))
