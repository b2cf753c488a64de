"""Scripted motions: actions that follow the step alone, for boxes and for choices."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from rewardsmith.contract.records.fitness import Motion
from rewardsmith.worker.envs.base import ActionSpec

Array = NDArray[np.float64]

PERIOD_STEPS = 100
"""Period of the sine."""
UNBOUNDED = 1.0
"""Stands for a bound that is infinite: the spread of random actions there."""


def make_motion(motion: Motion, actions: ActionSpec) -> Callable[[int], Array]:
    """Return the function from a step, counted from 0, to its action (a,).

    >>> swing = make_motion("sine", ActionSpec((-1.0,), (3.0,)))
    >>> [round(float(swing(step)[0]), 3) for step in (0, 25, 50, 75)]
    [1.0, 3.0, 1.0, -1.0]
    >>> [int(make_motion("sine", ActionSpec((0.0,), (2.0,), 3))(step)[0]) for step in (0, 25, 75)]
    [1, 2, 0]
    """
    low = np.array([bound if math.isfinite(bound) else -UNBOUNDED for bound in actions.low])
    high = np.array([bound if math.isfinite(bound) else UNBOUNDED for bound in actions.high])
    if motion == "none":
        still = np.clip(np.zeros(actions.width), low, high)
        return lambda step: still
    if motion == "largest":
        return lambda step: high

    def swing(step: int) -> Array:
        """Return the middle of the bounds plus a sine of half their distance; a choice is the nearest one."""
        action: Array = 0.5 * (low + high) + 0.5 * (high - low) * math.sin(2.0 * math.pi * step / PERIOD_STEPS)
        return action if actions.n is None else np.round(action)

    return swing
