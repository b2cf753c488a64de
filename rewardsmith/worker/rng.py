"""Random generators of a worker's jobs, each determined by a seed alone."""

from __future__ import annotations

import numpy as np

_ACTIONS = 1


def make_action_generator(seed: int) -> np.random.Generator:
    """Return the generator of an episode's random actions.

    An environment seeded with the same number draws from `default_rng(seed)`: this stream is another one.
    """
    return np.random.default_rng([seed, _ACTIONS])
