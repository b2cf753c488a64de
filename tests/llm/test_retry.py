from __future__ import annotations

import email.utils
import time

from rewardsmith.llm import retry


def test_waits_double_up_to_a_bound_with_jitter() -> None:
    waits = [retry.wait_s(attempt, {}) for attempt in (0, 3, 50)]
    for wait, full in zip(waits, (1.0, 8.0, 60.0), strict=True):
        assert wait is not None
        assert full / 2 <= wait <= full


def test_the_servers_date_is_followed() -> None:
    wait = retry.wait_s(0, {"retry-after": email.utils.formatdate(time.time() + 30, usegmt=True)})
    assert wait is not None
    assert 25 <= wait <= 31


def test_a_date_gone_by_means_now() -> None:
    assert retry.wait_s(0, {"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}) == 0.0


def test_an_unreadable_wish_is_ignored() -> None:
    wait = retry.wait_s(0, {"retry-after": "soon"})
    assert wait is not None
    assert wait <= 1.0
