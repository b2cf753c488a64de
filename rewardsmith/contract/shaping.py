"""Shaping functions that a reward program may call as `shaping.<name>`; pure NumPy, batched over axis 0.

tolerance      1 inside bounds, falling smoothly to `value_at_margin` at the margin (dm_control's shapes)
smooth_step    0 to 1 with zero slope at both ends
potential      the potential-based difference gamma * after - before (Ng, Harada & Russell, 1999)
distance       Euclidean distance of two batches of vectors
wrap_angle     an angle brought into [-pi, pi)
clip_surplus   what a value lacks of a threshold; beyond it nothing more is paid (Gao et al., 2024)
delta          the gain of a value in one step, so that an episode is paid its net gain (Gao et al., 2024)
kinesthetic    several components as one, their signed geometric mean (Lucy-SKG, 2023)

This module imports nothing but NumPy: the reward process carries it, and an exported file copies from it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def tolerance(
    x: ArrayLike,
    bounds: tuple[float, float] = (0.0, 0.0),
    margin: float = 0.0,
    sigmoid: str = "gaussian",
    value_at_margin: float = 0.1,
) -> Array:
    """Return 1 within the bounds and less outside: `value_at_margin` at the distance `margin`, 0 without a margin.

    Tassa et al., "DeepMind Control Suite", 2018 (arXiv:1801.00690), section 2: outside, the value is
    sigmoid(d) where d is the distance to the nearer bound in units of the margin, and sigmoid(1) is
    `value_at_margin`.

    >>> tolerance([0.0, 1.5, 2.5], bounds=(1.0, 2.0))
    array([0., 1., 0.])
    >>> tolerance([1.0, 0.0, -2.0], bounds=(1.0, 2.0), margin=1.0, sigmoid="linear").round(3)
    array([1. , 0.1, 0. ])

    Args:
        x: any shape, (n,) as a rule.
        bounds: (lower, upper), in the unit of `x`; either may be infinite.
        margin: how far outside the value falls to `value_at_margin`, in the unit of `x`; 0 is a hard edge.
        sigmoid: "gaussian", "hyperbolic", "long_tail", "reciprocal", "cosine", "linear", "quadratic" or
            "tanh_squared". "cosine", "linear" and "quadratic" reach 0; the others never do, "long_tail" and
            "reciprocal" most slowly.
        value_at_margin: in (0, 1); 0 too for the three that reach 0.

    Returns:
        Values in [0, 1], of the shape of `x`.

    Raises:
        ValueError: if the bounds are not in order, the margin is negative, the sigmoid has no such name or
            `value_at_margin` is outside its range.
    """
    lower, upper = bounds
    if not lower <= upper:
        raise ValueError(f"tolerance: bounds {bounds!r} must be (lower, upper) with lower <= upper")
    if not margin >= 0.0:
        raise ValueError(f"tolerance: margin {margin!r} must be 0 or more")
    x = np.asarray(x, dtype=np.float64)
    outside = np.maximum(np.maximum(lower - x, x - upper), 0.0)
    if margin == 0.0:
        return np.where(outside > 0.0, 0.0, 1.0)
    return np.where(outside > 0.0, _falling(outside / margin, sigmoid, value_at_margin), 1.0)


def _falling(d: Array, sigmoid: str, value: float) -> Array:
    """Return the sigmoid at distances `d` >= 0; it is 1 at 0 and `value` at 1."""
    lowest_allowed = sigmoid in ("cosine", "linear", "quadratic") and value == 0.0
    if not (0.0 < value < 1.0 or lowest_allowed):
        raise ValueError(f"tolerance: value_at_margin {value!r} must lie between 0 and 1 for the sigmoid {sigmoid!r}")
    if sigmoid == "gaussian":
        return np.asarray(value ** np.square(d))
    if sigmoid == "hyperbolic":
        decay = np.exp(-d * np.arccosh(1.0 / value))
        return np.asarray(2.0 * decay / (1.0 + np.square(decay)))
    if sigmoid == "long_tail":
        return np.asarray(1.0 / (1.0 + np.square(d) * (1.0 / value - 1.0)))
    if sigmoid == "reciprocal":
        return np.asarray(1.0 / (1.0 + d * (1.0 / value - 1.0)))
    if sigmoid == "cosine":
        return np.asarray((1.0 + np.cos(np.minimum(d * np.arccos(2.0 * value - 1.0), np.pi))) / 2.0)
    if sigmoid == "linear":
        return np.maximum(1.0 - d * (1.0 - value), 0.0)
    if sigmoid == "quadratic":
        return np.maximum(1.0 - np.square(d) * (1.0 - value), 0.0)
    if sigmoid == "tanh_squared":
        return np.asarray(1.0 - np.square(np.tanh(d * np.arctanh(np.sqrt(1.0 - value)))))
    names = "gaussian, hyperbolic, long_tail, reciprocal, cosine, linear, quadratic, tanh_squared"
    raise ValueError(f"tolerance: there is no sigmoid {sigmoid!r}; there are {names}")


def smooth_step(x: ArrayLike, low: float = 0.0, high: float = 1.0) -> Array:
    """Return 0 below `low`, 1 above `high`, and between them the cubic 3 t^2 - 2 t^3, flat at both ends.

    >>> smooth_step([-1.0, 0.5, 2.0])
    array([0. , 0.5, 1. ])

    Args:
        x: any shape, (n,) as a rule.
        low: where the step begins, in the unit of `x`.
        high: where it ends, above `low`.

    Raises:
        ValueError: if `low` is not below `high`.
    """
    if not low < high:
        raise ValueError(f"smooth_step: low {low!r} must be below high {high!r}")
    t = np.clip((np.asarray(x, dtype=np.float64) - low) / (high - low), 0.0, 1.0)
    return np.asarray(t * t * (3.0 - 2.0 * t))


def potential(before: ArrayLike, after: ArrayLike, gamma: float = 0.99) -> Array:
    """Return gamma * after - before: shaping by a potential, which leaves the best policy as it is.

    Ng, Harada & Russell, "Policy invariance under reward transformations", ICML 1999: F = gamma Phi(s') - Phi(s).
    The invariance holds for the discount factor of the training, and for a potential of 0 at a terminal state.

    >>> potential([1.0, 2.0], [2.0, 2.0], gamma=1.0)
    array([1., 0.])

    Args:
        before: the potential before the transition, (n,).
        after: the potential after it, (n,).
        gamma: the discount factor.
    """
    return np.asarray(gamma * np.asarray(after, dtype=np.float64) - np.asarray(before, dtype=np.float64))


def distance(a: ArrayLike, b: ArrayLike) -> Array:
    """Return the Euclidean distance of each pair of vectors.

    >>> distance([[3.0, 4.0], [1.0, 1.0]], [0.0, 0.0]).round(3)
    array([5.   , 1.414])
    >>> distance([1.0, -2.0], 0.0)
    array([1., 2.])

    Args:
        a: (n, k), or (n,) for distances on a line.
        b: the same, or one vector (k,) for all.

    Returns:
        (n,).
    """
    difference = np.asarray(a, dtype=np.float64) - np.asarray(b, dtype=np.float64)
    if difference.ndim < 2:
        return np.abs(difference)
    return np.asarray(np.sqrt(np.sum(np.square(difference), axis=-1)))


def wrap_angle(angle: ArrayLike) -> Array:
    """Return the same angle in [-pi, pi).

    >>> wrap_angle([0.0, 2.0 * np.pi, 1.5 * np.pi]).round(4)
    array([ 0.    ,  0.    , -1.5708])

    Args:
        angle: radians, any shape.
    """
    return np.asarray((np.asarray(angle, dtype=np.float64) + np.pi) % (2.0 * np.pi) - np.pi)


def clip_surplus(value: ArrayLike, threshold: float) -> Array:
    """Return min(value - threshold, 0): what the value lacks of a threshold, so that more than enough pays nothing.

    The clip mechanism of Gao et al., "On Designing Effective RL Reward at Training Time for LLM Reasoning", 2024
    (arXiv:2410.15115), section 4: a policy has no reason to collect a term beyond its threshold.

    >>> clip_surplus([0.2, 0.5, 3.0], threshold=0.5)
    array([-0.3,  0. ,  0. ])

    Args:
        value: any shape, (n,) as a rule.
        threshold: of what is enough, in the unit of `value`.

    Returns:
        Values of 0 or less, of the shape of `value`.
    """
    return np.asarray(np.minimum(np.asarray(value, dtype=np.float64) - threshold, 0.0))


def delta(before: ArrayLike, after: ArrayLike) -> Array:
    """Return after - before: the gain of a value in one step, so that an episode earns its net gain, however long.

    The delta mechanism of Gao et al., 2024 (arXiv:2410.15115), section 4, pays the difference of neighbouring steps, so
    that repeated steps add nothing up. Its return from a step on is bounded by the range of the value. It differs from
    `potential` in its discount of 1. For a value of the transition itself, keep the last one in memory.

    >>> delta([1.0, 2.0], [2.0, 2.0])
    array([1., 0.])

    Args:
        before: the value before the transition, (n,).
        after: the value after it, (n,).
    """
    return np.asarray(np.asarray(after, dtype=np.float64) - np.asarray(before, dtype=np.float64))


def kinesthetic(components: list[ArrayLike]) -> Array:
    """Return the signed geometric mean of several components: large only where all are, negative where one is.

    The kinesthetic reward combination of Moschopoulos et al., "Lucy-SKG: Learning to Play Rocket League Efficiently
    Using Deep Reinforcement Learning", 2023 (arXiv:2305.15801): sgn * (prod_i |r_i|)^(1/k), where sgn is 1 if every
    r_i >= 0 and -1 otherwise. A sum pays for one component alone; here a component near 0 takes the others with it.

    >>> kinesthetic([[1.0, 4.0, 0.0], [4.0, -1.0, 5.0]])
    array([ 2., -2.,  0.])

    Args:
        components: k of them, each (n,) or a number, in units in which their sizes are comparable.

    Returns:
        (n,).

    Raises:
        ValueError: if there is no component.
    """
    if not len(components):
        raise ValueError("kinesthetic: name at least one component, as in kinesthetic([speed, alignment])")
    stacked = np.stack(np.broadcast_arrays(*[np.asarray(one, dtype=np.float64) for one in components]))
    size = np.prod(np.abs(stacked), axis=0) ** (1.0 / len(stacked))
    return np.asarray(np.where(np.all(stacked >= 0.0, axis=0), size, -size))
