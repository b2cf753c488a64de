"""Random generators of a worker's jobs, each a function of a seed alone."""

from __future__ import annotations

import numpy as np

_ACTIONS = 1


def action_generator(seed: int) -> np.random.Generator:
    """Return the generator of an episode's random actions.

    An environment seeded with the same number draws from `default_rng(seed)`: this stream is another one.
    """
    return np.random.default_rng([seed, _ACTIONS])
