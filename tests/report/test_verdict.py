"""Whether a program beat the environment's own reward is said as far as the intervals show it."""

from __future__ import annotations

import pytest

from rewardsmith.contract.records import Baselines, Candidate, Interval, Proposal, Result, Spent
from rewardsmith.report.tables import summary
from rewardsmith.report.text import verdict
from rewardsmith.search.steps.evaluator import interval


def result(program: Interval | None, own: Interval | None) -> Result:
    best = Candidate("g0c00", 0, 0, Proposal("", "test"), "ok", fitness=9.0)
    return Result("r", "t", "e", "f", best, (best,), program, Baselines(0.0, own), None, 1, Spent())


@pytest.mark.parametrize(
    ("program", "own", "said"),
    [
        (
            (5.0, 5.1, 5.2),
            (3.0, 3.1, 3.2),
            "better than the environment's own reward: the 95 % intervals do not overlap",
        ),
        (
            (3.0, 3.1, 3.2),
            (5.0, 5.1, 5.2),
            "worse than the environment's own reward: the 95 % intervals do not overlap",
        ),
        ((3.0, 5.0, 4.0), (3.0, 3.1, 3.2), "not told apart from the environment's own reward"),
        ((5.0,), (3.0,), "one training seed: no interval, so no verdict"),
        ((5.0, 5.1), (3.0, 3.1, 3.2), "a training gave no figure"),
        ((1.0, 1.0, 1.0), (0.0, 0.0, 0.0), "no verdict"),
    ],
)
def test_the_end_says_in_words_what_the_intervals_show(program, own, said):
    found = result(interval(program), interval(own))
    assert said in (verdict(found) or "")
    assert [line for line in summary(found) if said in line]


def test_nothing_is_said_where_one_of_the_two_was_not_measured():
    assert verdict(result(None, interval((1.0, 2.0)))) is None
    assert verdict(result(interval((1.0, 2.0)), None)) is None
