"""Numbers that tell the environment reward under another name, found by comparing values.

A number is a *copy* of the reward if one is the other times a factor, plus a constant, limited to a range: coverage
divided by 0.95, between 0 and 1, for instance. Such an entry of `info`, or of a dict observation, is a privileged
signal, with two exceptions, which stay signals because a reward may be a plain quantity of the state:

- its key names a physical quantity, such as x_velocity or distance;
- it is an entry of `info` that stands in the observation too, which programs and policies read anyway.

A reward that hardly changes (CartPole's is always 1) is compared with nothing.
"""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

TOLERANCE = 1e-5
"""Largest difference between a number and the reward that it copies, as a share of the reward's range.

Above the rounding of float32.
"""
MIN_DISTINCT = 8
"""Least number of different values that lie inside the limits: through fewer, a line passes by chance."""
MIN_REPEATS = 5
"""How often each value of a reward that has only two must occur, for a flag to be its copy."""
_PHYSICAL = re.compile(
    r"(^|_)(x|y|z|pos|position|location|coordinates?|dist|distance|offset|gap|error|vel|velocity|speed|acc|acceleration"
    r"|angle|ang|theta|yaw|pitch|roll|heading|orientation|height|altitude|depth|length|width|force|torque|pressure"
    r"|power|energy|temperature|mass|level|fuel|time|step|steps|elapsed)(_|\d|$)",
    re.IGNORECASE,
)
_WORD_BORDERS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[^0-9A-Za-z]+")


def names_physical_quantity(key: str) -> bool:
    """Return whether a key says that a number is a plain quantity of the state.

    >>> [names_physical_quantity(key) for key in ("x_velocity", "xPosition", "distance to goal", "coverage")]
    [True, True, True, False]
    """
    return bool(_PHYSICAL.search(_WORD_BORDERS.sub("_", key)))


def is_reward_copy(values: Array, reward: Array) -> bool:
    """Return whether a number (n,) tells the reward (n,) up to a factor, a constant and limits."""
    known = np.isfinite(values) & np.isfinite(reward)
    values, reward = values[known], reward[known]
    if len(values) < 2 * MIN_REPEATS or not np.ptp(values) or not np.ptp(reward):
        return False
    return _is_limited_line(values, reward) or _is_limited_line(reward, values)


def is_same_number(values: Array, columns: Array) -> bool:
    """Return whether a number (n,) is one of the columns (n, k), up to the rounding of float32."""
    scale = TOLERANCE * max(float(np.ptp(values)), 1e-12)
    return bool((np.abs(columns - values[:, None]).max(axis=0, initial=0.0) <= scale).any())


def _is_limited_line(x: Array, y: Array) -> bool:
    """Return whether y is clip(a * x + b, min(y), max(y)) with one a other than 0."""
    low, high = y.min(), y.max()
    tolerance = TOLERANCE * (high - low)
    inside = (y > low + tolerance) & (y < high - tolerance)

    # A reward of two values, such as 0 and 1: a flag copies it, which has two values as well.
    if not inside.any():
        is_high = y > 0.5 * (low + high)
        repeats = min(int(is_high.sum()), int((~is_high).sum()))
        return repeats >= MIN_REPEATS and not np.ptp(x[is_high]) and not np.ptp(x[~is_high])

    # The line through the two outermost points inside the limits; every other point must lie on it.
    x_inside, y_inside = x[inside], y[inside]
    if len(np.unique(y_inside)) < MIN_DISTINCT or not np.ptp(x_inside):
        return False
    first, last = int(np.argmin(x_inside)), int(np.argmax(x_inside))
    slope = (y_inside[last] - y_inside[first]) / (x_inside[last] - x_inside[first])
    line = y_inside[first] + slope * (x - x_inside[first])
    return bool(slope) and bool((np.abs(np.clip(line, low, high) - y) <= tolerance).all())
