"""Limits of terms: how they are written, what contradicts, and when one counts as kept."""

from __future__ import annotations

import pytest

from rewardsmith.contract.errors import ConfigError
from rewardsmith.contract.records import CurvePoint
from rewardsmith.contract.term_limits import describe_missed_limit, parse_limit, parse_limits
from rewardsmith.report.trackers import point_scalars


@pytest.mark.parametrize(
    ("text", "written"),
    [("effort <= 0.3", "effort <= 0.3"), (" effort>=-1e-2 ", "effort >= -0.01"), ("a_1 <= 2", "a_1 <= 2")],
)
def test_a_limit_reads_back_as_it_is_written(text: str, written: str) -> None:
    assert parse_limit(text).text == written
    assert parse_limit(written) == parse_limit(text)


@pytest.mark.parametrize("text", ["effort", "effort < 0.3", "effort <= much", "effort <= nan", "<= 3", "a b <= 3", ""])
def test_what_is_no_limit_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ConfigError, match=r'as in \["effort <= 0.3"\]'):
        parse_limit(text)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (("a <= 1", "a <= 2"), "limit the same term"),
        (("a >= 1", "b <= 3", "a <= 0.5"), "no value keeps both 'a >= 1' and 'a <= 0.5'"),
    ],
)
def test_limits_that_no_value_keeps_are_refused(texts: tuple[str, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_limits(texts)


def test_a_term_may_be_held_between_two_limits() -> None:
    assert [limit.sign for limit in parse_limits(["a >= 1", "a <= 2"])] == [-1.0, 1.0]


def test_a_limit_is_missed_where_the_last_mean_is_clearly_beyond_it() -> None:
    limit = parse_limit("effort <= 0.2")
    assert describe_missed_limit(limit, (0.5, 0.205), 3.0) is None
    line = describe_missed_limit(limit, (0.5, 0.3), 3.0)
    assert line is not None
    assert line.startswith("the limit 'effort <= 0.2' was not kept: the term's mean is 0.3 per step")
    assert describe_missed_limit(parse_limit("speed >= 2"), (0.0, 1.5), 1.0) is not None
    assert describe_missed_limit(parse_limit("speed >= 2"), (0.0, 2.5), 1.0) is None


def test_a_tracker_gets_a_name_without_signs() -> None:
    point = CurvePoint(100, 1, None, None, None, multipliers={"effort <= 0.2": 1.5, "effort >= 0.1": 0.5})
    assert point_scalars(point) == {"multipliers/effort_at_most": 1.5, "multipliers/effort_at_least": 0.5}
