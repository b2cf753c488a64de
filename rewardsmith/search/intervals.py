"""95 % confidence intervals by Student's t: of a mean, and of the difference between two means."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist, fmean, variance

from rewardsmith.contract.fitness import is_bounded_unit
from rewardsmith.contract.fitness.judged import JUDGED_FITNESS
from rewardsmith.contract.records import Interval

_T_975 = (12.7062, 4.3027, 3.1824, 2.7764, 2.5706)
"""0.975 quantile of Student's t for 1 to 5 degrees of freedom, where the expansion is too coarse."""
_NORMAL_975 = NormalDist().inv_cdf(0.975)


def find_t_quantile(freedom: int) -> float:
    """Return the 0.975 quantile of Student's t, with an error below 0.0002.

    From 6 degrees of freedom: the expansion around the normal quantile (Abramowitz and Stegun, 1964, 26.7.5).

    >>> [round(find_t_quantile(freedom), 3) for freedom in (1, 5, 6, 16, 120)]
    [12.706, 2.571, 2.447, 2.12, 1.98]

    Args:
        freedom: degrees of freedom, from 1.
    """
    if freedom <= len(_T_975):
        return _T_975[freedom - 1]

    x, square = _NORMAL_975, _NORMAL_975**2
    terms = (
        (square + 1) / 4,
        (5 * square**2 + 16 * square + 3) / 96,
        (3 * square**3 + 19 * square**2 + 17 * square - 15) / 384,
        (79 * square**4 + 776 * square**3 + 1482 * square**2 - 1920 * square - 945) / 92160,
    )
    step = 1.0 / freedom
    return x + sum(x * term * step**power for power, term in enumerate(terms, start=1))


def confidence_interval(values: Sequence[float], expression: str | None = None) -> Interval | None:
    """Return the mean with its 95 % confidence interval by Student's t; None without values.

    >>> confidence_interval([1.0, 2.0, 3.0])
    Interval(mean=2.0, low=-0.484..., high=4.484..., values=(1.0, 2.0, 3.0))
    >>> confidence_interval([0.25, 0.75], "any(success)")
    Interval(mean=0.5, low=0.0, high=1.0, values=(0.25, 0.75))

    Args:
        values: one per training seed, or per episode.
        expression: that the values come from, or `JUDGED_FITNESS`; the interval of one that lies in [0, 1] is cut to
            [0, 1].
    """
    n = len(values)
    if n == 0:
        return None
    mean = sum(values) / n
    if n == 1:
        return Interval(mean, None, None, tuple(values))

    deviation = math.sqrt(sum((value - mean) ** 2 for value in values) / (n - 1))
    half_width = find_t_quantile(n - 1) * deviation / math.sqrt(n)
    low, high = mean - half_width, mean + half_width
    if expression is not None and (expression == JUDGED_FITNESS or is_bounded_unit(expression)):
        low, high = max(low, 0.0), min(high, 1.0)
    return Interval(mean, low, high, tuple(values))


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

    difference = fmean(first) - fmean(second)
    half_width = find_t_quantile(freedom) * math.sqrt(total)
    return difference - half_width, difference + half_width
