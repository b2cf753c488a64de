"""A program is called better than the environment reward only where a test of the difference shows it."""

from __future__ import annotations

import pytest

from rewardsmith.contract.records import Baselines, Candidate, Interval, ModelUsage, Proposal, Result
from rewardsmith.report.result_lines import summarize_result
from rewardsmith.report.text import compare_with_baseline
from rewardsmith.search.intervals import confidence_interval


def result(program: Interval | None, own: Interval | None) -> Result:
    best = Candidate("g0c00", 0, 0, Proposal("", "test"), "ok", fitness=9.0)
    return Result("r", "t", "e", "f", best, (best,), program, Baselines(0.0, own), None, 1, ModelUsage())


@pytest.mark.parametrize(
    ("program", "baseline", "said"),
    [
        ((5.0, 5.1, 5.2), (3.0, 3.1, 3.2), "better than the environment reward: difference 2 [1.77, 2.23]"),
        ((3.0, 3.1, 3.2), (5.0, 5.1, 5.2), "worse than the environment reward: difference -2 [-2.23, -1.77]"),
        ((3.0, 5.0, 4.0), (3.0, 3.1, 3.2), "no significant difference from the environment reward (3 seeds each)"),
        ((1.472, 1.699, 1.729), (0.89, 1.151, 1.213), "better than the environment reward"),
        ((5.0,), (3.0,), "one training seed gives no interval"),
        ((5.0, 5.1), (3.0, 3.1, 3.2), "a training failed"),
        ((1.0, 1.0, 1.0), (0.0, 0.0, 0.0), "all training seeds gave the same value"),
    ],
)
def test_the_end_says_in_words_what_a_test_of_the_difference_shows(program, baseline, said):
    found = result(confidence_interval(program), confidence_interval(baseline))
    assert said in (compare_with_baseline(found) or "")
    assert [line for line in summarize_result(found) if said in line]


def test_nothing_is_said_where_one_of_the_two_was_not_measured():
    assert compare_with_baseline(result(None, confidence_interval((1.0, 2.0)))) is None
    assert compare_with_baseline(result(confidence_interval((1.0, 2.0)), None)) is None
