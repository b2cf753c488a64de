"""Statistics over many runs: compared with rliable's, and their own properties."""

from __future__ import annotations

import json

import pytest
from fakes.paths import FIXTURES

from rewardsmith.api.sweep import statistics
from rewardsmith.api.sweep.statistics import Estimate

KNOWN = json.loads((FIXTURES / "rliable.json").read_text(encoding="utf-8"))


def agrees(found: Estimate | None, known: list[float]) -> None:
    """Assert that an estimate is rliable's, its interval as far as two bootstraps agree."""
    assert found is not None
    assert found.value == pytest.approx(known[0])
    assert (found.low, found.high) == pytest.approx(known[1:], abs=0.02)


def test_means_with_their_intervals_are_rliables() -> None:
    agrees(statistics.interquartile_mean(KNOWN["first"]), KNOWN["interquartile_mean"])
    agrees(statistics.mean_over_tasks(KNOWN["first"]), KNOWN["mean"])


def test_the_probability_of_improvement_is_rliables() -> None:
    found = statistics.probability_of_improvement(KNOWN["first"], KNOWN["second"])
    agrees(found, KNOWN["probability_of_improvement"])


def test_the_performance_profile_is_rliables() -> None:
    found = statistics.performance_profile(KNOWN["first"], KNOWN["thresholds"])
    assert found == pytest.approx(KNOWN["performance_profile"])


def test_a_sure_winner_always_wins_and_ties_count_half() -> None:
    better = statistics.probability_of_improvement({"a": [2, 3], "b": [5]}, {"a": [1, 1], "b": [4]})
    equal = statistics.probability_of_improvement({"a": [1, 1]}, {"a": [1, 1]})
    assert better == Estimate(1.0, 1.0, 1.0)
    assert equal == Estimate(0.5, 0.5, 0.5)


def test_only_shared_tasks_are_compared() -> None:
    found = statistics.probability_of_improvement({"a": [2], "b": [0]}, {"a": [1], "c": [9]})
    assert found == Estimate(1.0, None, None)
    assert statistics.probability_of_improvement({"a": [2]}, {"b": [1]}) is None


def test_tasks_may_have_different_numbers_of_runs() -> None:
    found = statistics.mean_over_tasks({"a": [1.0, 3.0], "b": [4.0]})
    assert found.value == pytest.approx(3.0)
    assert found.low == pytest.approx(2.5)
    assert found.high == pytest.approx(3.5)


def test_the_interquartile_mean_leaves_outliers_out() -> None:
    calm = statistics.interquartile_mean({"a": [1, 2, 3, 4]}).value
    assert statistics.interquartile_mean({"a": [-1e9, 2, 3, 1e9]}).value == calm == 2.5


def test_one_run_for_each_task_gives_a_figure_and_no_interval() -> None:
    alone = {"a": [0.2], "b": [0.8]}
    estimate = statistics.interquartile_mean(alone)
    assert (estimate.value, estimate.low, estimate.high) == (0.5, None, None)
    better = statistics.probability_of_improvement(alone, {"a": [0.1], "b": [0.9]})
    assert better is not None
    assert (better.value, better.low, better.high) == (0.5, None, None)
    assert statistics.interquartile_mean({"a": [0.2], "b": [0.8, 0.4]}).low is not None


def test_the_same_runs_give_the_same_interval() -> None:
    runs = KNOWN["first"]
    assert statistics.interquartile_mean(runs) == statistics.interquartile_mean(runs)


def test_no_run_is_refused() -> None:
    with pytest.raises(ValueError, match="no run"):
        statistics.mean_over_tasks({"a": []})
