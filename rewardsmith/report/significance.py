"""Welch's t-interval of the difference between two groups of training seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, variance

from rewardsmith.search.steps.evaluator import T_975

NORMAL_975 = 1.96


def difference_interval(first: Sequence[float], second: Sequence[float]) -> tuple[float, float]:
    """Return the 95 % confidence interval of `mean(first) - mean(second)`, with unequal variances (Welch, 1947).

    The degrees of freedom are rounded down, which widens the interval a little.

    >>> low, high = difference_interval([1.472, 1.699, 1.729], [0.890, 1.151, 1.213])
    >>> round(low, 2), round(high, 2)
    (0.14, 0.96)

    Args:
        first: at least two values, one per training seed; not all equal.
        second: the same for the other group.
    """
    errors = [variance(values) / len(values) for values in (first, second)]
    total = sum(errors)

    # Welch-Satterthwaite: degrees of freedom of the sum of two estimated variances.
    weights = [error**2 / (len(values) - 1) for error, values in zip(errors, (first, second), strict=True)]
    freedom = math.floor(total**2 / sum(weights) + 1e-9)
    quantile = T_975[freedom - 1] if freedom <= len(T_975) else NORMAL_975

    difference = fmean(first) - fmean(second)
    half = quantile * math.sqrt(total)
    return difference - half, difference + half
