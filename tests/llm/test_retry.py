from __future__ import annotations

import email.utils
import time

import pytest

from rewardsmith.llm import retry


def test_waits_double_up_to_a_bound_with_jitter() -> None:
    waits = [retry.compute_wait_s(attempt) for attempt in (0, 3, 50)]
    for wait, full in zip(waits, (1.0, 8.0, 60.0), strict=True):
        assert wait is not None
        assert full / 2 <= wait <= full


def test_the_servers_date_is_followed() -> None:
    wait = retry.read_wait_header_s({"retry-after": email.utils.formatdate(time.time() + 30, usegmt=True)})
    assert wait is not None
    assert 25 <= wait <= 31


def test_a_date_gone_by_means_now() -> None:
    assert retry.read_wait_header_s({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}) == 0.0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after": "20"}, 20.0),
        ({"retry-after": "20s"}, 20.0),
        ({"retry-after": "-1"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "1e400"}, None),
        ({"retry-after": "Wed, 21 Oct 99999 07:28:00 GMT"}, None),
        ({"retry-after": "²"}, None),
        ({}, None),
    ],
)
def test_the_wait_that_headers_ask_for_is_read_and_an_unreadable_one_is_none(
    headers: dict[str, str], seconds: float | None
) -> None:
    assert retry.read_wait_header_s(headers) == seconds


def test_more_than_the_largest_wait_is_given_up() -> None:
    assert [retry.compute_wait_s(0, requested_s) for requested_s in (300.0, 301.0)] == [300.0, None]
