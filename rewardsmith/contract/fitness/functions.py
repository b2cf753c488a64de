"""Functions of the fitness language, by name.

over time (the first axis)   all any count diff first last max mean min rotations std sum
element by element           abs arccos arcsin atan2 clip cos exp max min sin sqrt tan wrap
over the last axis           angle distance norm
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rewardsmith.contract.shaping import wrap_angle

Array = NDArray[np.float64]


def count_rotations(angle: Array, when: Array | None = None) -> Array:
    """Return the signed number of turns from the first value to the last, however the angle is wrapped.

    The sign is the angle's: positive where it grows. The count begins with the value after the first step, as every
    signal does; with `when`, with the first value of each stretch.

    Args:
        angle: (T, ...) in rad.
        when: (T,); then the turns within each unbroken stretch of steps where it holds, one number per stretch
            (stretches, ...), a single 0 if there is no stretch.

    Raises:
        ValueError: if `when` has another length.
    """
    unwrapped = np.unwrap(angle, axis=0)
    if when is None:
        return np.asarray((unwrapped[-1] - unwrapped[0]) / (2.0 * np.pi))
    if when.shape != angle.shape[:1]:
        raise ValueError(f"rotations(angle, when): when has shape {when.shape}, not {angle.shape[:1]}")
    borders = np.flatnonzero(np.diff(np.concatenate(([False], when != 0, [False]))))
    if not len(borders):
        return np.zeros((1, *angle.shape[1:]))
    first, last = borders[::2], borders[1::2] - 1
    return np.asarray((unwrapped[last] - unwrapped[first]) / (2.0 * np.pi))


def measure_angle(a: Array, b: Array | None = None) -> Array:
    """Return the angle between vectors in [0, pi]; of one vector in a plane its direction in (-pi, pi].

    >>> measure_angle(np.array([0.0, 2.0])).round(3), measure_angle(np.array([1.0, 0.0]), np.array([0.0, 3.0])).round(3)
    (np.float64(1.571), np.float64(1.571))

    Args:
        a: (..., k); alone (..., 2), measured from the first component towards the second.
        b: (..., k).

    Raises:
        ValueError: if a single vector has another length than 2.
    """
    if b is not None:
        cosine = np.sum(a * b, axis=-1) / (_measure_norm(a) * _measure_norm(b))
        return np.asarray(np.arccos(np.clip(cosine, -1.0, 1.0)))
    if a.shape[-1:] != (2,):
        raise ValueError(f"angle(v) takes vectors of 2 components, not shape {a.shape}; angle(a, b) takes any length")
    return np.asarray(np.arctan2(a[..., 1], a[..., 0]))


def measure_distance(a: Array, b: Array) -> Array:
    """Return the Euclidean distance over the last axis; of two series of numbers the size of their difference."""
    difference = a - b
    return np.abs(difference) if max(a.ndim, b.ndim) < 2 and 0 in (a.ndim, b.ndim) else _measure_norm(difference)


def _measure_norm(x: Array) -> Array:
    return np.asarray(np.sqrt(np.sum(np.square(x), axis=-1)))


def _count_nonzero(x: Array) -> Array:
    return np.asarray(np.count_nonzero(x, axis=0), dtype=np.float64)


def _make_extreme(over_time: Callable[..., Any], of_two: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function that is an extreme over time of one value, and element by element of several."""
    return lambda *values: over_time(values[0], axis=0) if len(values) == 1 else functools.reduce(of_two, values)


OLD_FUNCTIONS: Mapping[str, tuple[Callable[..., Any], int, int]] = {
    "abs": (np.abs, 1, 1),
    "all": (lambda x: np.all(x, axis=0), 1, 1),
    "any": (lambda x: np.any(x, axis=0), 1, 1),
    "clip": (np.clip, 3, 3),
    "count": (_count_nonzero, 1, 1),
    "diff": (lambda x: np.diff(x, axis=0), 1, 1),
    "exp": (np.exp, 1, 1),
    "first": (lambda x: x[0], 1, 1),
    "last": (lambda x: x[-1], 1, 1),
    "max": (_make_extreme(np.max, np.maximum), 1, 9),
    "mean": (lambda x: np.mean(x, axis=0), 1, 1),
    "min": (_make_extreme(np.min, np.minimum), 1, 9),
    "norm": (_measure_norm, 1, 1),
    "rotations": (count_rotations, 1, 2),
    "sqrt": (np.sqrt, 1, 1),
    "std": (lambda x: np.std(x, axis=0), 1, 1),
    "sum": (lambda x: np.sum(x, axis=0), 1, 1),
}
"""The functions of the first version; no signal may have the name of one."""

FUNCTIONS: Mapping[str, tuple[Callable[..., Any], int, int]] = {
    **OLD_FUNCTIONS,
    "angle": (measure_angle, 1, 2),
    "arccos": (lambda x: np.arccos(np.clip(x, -1.0, 1.0)), 1, 1),
    "arcsin": (lambda x: np.arcsin(np.clip(x, -1.0, 1.0)), 1, 1),
    "atan2": (np.arctan2, 2, 2),
    "cos": (np.cos, 1, 1),
    "distance": (measure_distance, 2, 2),
    "sin": (np.sin, 1, 1),
    "tan": (np.tan, 1, 1),
    "wrap": (wrap_angle, 1, 1),
}
"""Name to the function and its least and greatest number of arguments. A signal may have the name of a newer function,
`angle` for instance: followed by a bracket it is the function, else the signal."""

SIGNATURES: Mapping[str, str] = {
    "angle": "angle(v) or angle(a, b)",
    "atan2": "atan2(y, x)",
    "clip": "clip(x, low, high)",
    "distance": "distance(a, b)",
    "rotations": "rotations(angle, when)",
}
"""Functions of which the number of values does not tell the order; the others are written `name(x)`."""
