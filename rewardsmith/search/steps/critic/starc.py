"""How differently two rewards order policies: canonicalise, normalise, compare (STARC metrics).

After Skalse, Farnik, Motwani, Jenner, Gleave and Abate, "STARC: A General Framework For Quantifying Differences
Between Reward Functions" (ICLR 2024, arXiv:2309.15257). Two rewards order all policies alike if and only if they differ
by potential shaping, by a redistribution over next states and by a positive factor. The minimal canonicalisation takes
the first away: of all rewards that shaping makes of one, that of the least norm. Here it is worked out on samples:
the potentials are those that given features span, and what they can explain of a reward is projected out. With
one-hot features and every state-action pair of a finite problem this is the metric itself; with fewer features it takes
less away, and then two rewards can be told apart that order policies alike, never the other way round.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def canonical(reward: Array, before: Array, after: Array, gamma: float) -> Array:
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


def normalised(canonical_reward: Array, size: float) -> Array:
    """Return a canonical reward with norm 1, or 0 where nothing of it is left.

    Args:
        canonical_reward: (n,).
        size: norm of the reward before it was canonicalised: what is left counts from a billionth of it.
    """
    norm = float(np.linalg.norm(canonical_reward))
    return canonical_reward / norm if norm > 1e-9 * size else np.zeros_like(canonical_reward)


def distance(first: Array, second: Array) -> float:
    """Return half the distance of two normalised rewards, in [0, 1]; 0 for one order, 1 for the opposite one."""
    return min(1.0, 0.5 * float(np.linalg.norm(first - second)))
