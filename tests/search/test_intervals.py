"""Confidence intervals: Student's quantiles at every number of values, and the coverage that follows."""

from __future__ import annotations

import math
import random

import pytest

from rewardsmith.search.intervals import confidence_interval, difference_interval, find_t_quantile

TABLE = {
    **{1: 12.7062, 2: 4.3027, 3: 3.1824, 4: 2.7764, 5: 2.5706, 6: 2.4469, 7: 2.3646, 8: 2.3060, 9: 2.2622, 10: 2.2281},
    **{15: 2.1314, 16: 2.1199, 17: 2.1098, 20: 2.0860, 30: 2.0423, 60: 2.0003, 120: 1.9799, 1_000_000: 1.9600},
}
"""Degrees of freedom to the 0.975 quantile (Abramowitz and Stegun, 1964, table 26.10)."""


@pytest.mark.parametrize(("freedom", "quantile"), TABLE.items())
def test_the_quantile_is_that_of_the_tables(freedom: int, quantile: float) -> None:
    assert find_t_quantile(freedom) == pytest.approx(quantile, abs=0.0003)


def test_the_quantile_falls_with_every_further_value() -> None:
    quantiles = [find_t_quantile(freedom) for freedom in range(1, 200)]
    assert quantiles == sorted(quantiles, reverse=True)
    assert quantiles[-1] > 1.96


def test_the_interval_of_seventeen_values_has_the_quantile_of_sixteen_degrees_of_freedom() -> None:
    values = [float(value) for value in range(17)]
    interval = confidence_interval(values)
    deviation = math.sqrt(sum((value - 8.0) ** 2 for value in values) / 16)
    assert interval is not None
    assert interval.high == pytest.approx(8.0 + 2.1199 * deviation / math.sqrt(17), abs=1e-3)
    assert interval.low == pytest.approx(16.0 - interval.high)


def test_one_value_has_no_interval_and_no_value_nothing() -> None:
    one = confidence_interval([2.0])
    assert one is not None
    assert (one.mean, one.low, one.high) == (2.0, None, None)
    assert confidence_interval([]) is None


def test_equal_groups_have_the_degrees_of_freedom_of_both() -> None:
    first, second = [float(value) for value in range(11)], [value + 1.0 for value in range(11)]
    low, high = difference_interval(first, second)
    # 20 degrees of freedom; the variance of each group is 11.
    assert (low, high) == pytest.approx((-1.0 - 2.086 * math.sqrt(2.0), -1.0 + 2.086 * math.sqrt(2.0)), abs=2e-3)


@pytest.mark.parametrize("count", [6, 17])
def test_nineteen_of_twenty_intervals_hold_the_mean(count: int) -> None:
    rng, held = random.Random(count), 0
    for _ in range(4_000):
        interval = confidence_interval([rng.gauss(3.0, 2.0) for _ in range(count)])
        assert interval is not None
        assert interval.low is not None
        assert interval.high is not None
        held += interval.low <= 3.0 <= interval.high
    assert held / 4_000 == pytest.approx(0.95, abs=0.01)
