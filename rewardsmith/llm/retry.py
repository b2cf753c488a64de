"""The one retry layer: which failures may pass, and how long to wait before the next attempt."""

from __future__ import annotations

import email.utils
import random
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

PASSING_STATUS = (408, 409, 429)
"""Besides all of 5xx: a timeout, a lock, a rate limit."""
FINAL_CODES = ("insufficient_quota", "billing_hard_limit_reached", "billing_not_active")
"""Sent with a 429, but no waiting mends them."""

FIRST_WAIT_S = 1.0
MAX_WAIT_S = 60.0
MAX_RETRY_AFTER_S = 300.0
"""A server that asks for more is taken as down: a search should end orderly rather than stand still."""


def may_pass(status: int, code: str | None) -> bool:
    """Whether a refusal with this status may pass when the same request is sent again.

    >>> may_pass(503, None), may_pass(429, "insufficient_quota"), may_pass(400, None)
    (True, False, False)
    """
    return (status in PASSING_STATUS or status >= 500) and code not in FINAL_CODES


def wait_s(attempt: int, headers: Mapping[str, str]) -> float | None:
    """Return the seconds to wait after attempt number `attempt` (from 0); None where the server asks for too many.

    A `Retry-After` of the server is followed; otherwise the wait doubles each time, with jitter, so that concurrent
    calls do not come back together.
    """
    asked = _retry_after_s(headers)
    if asked is not None:
        return asked if asked <= MAX_RETRY_AFTER_S else None
    # Jitter needs no secure randomness, and no seed: it changes when a call is made, never what it says.
    return min(FIRST_WAIT_S * 2.0**attempt, MAX_WAIT_S) * random.uniform(0.5, 1.0)


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Return what `Retry-After` asks for, given in seconds or as a date; None where there is none."""
    value = headers.get("retry-after")
    if value is None:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        date = email.utils.parsedate_tz(value)
        return None if date is None else max(0.0, email.utils.mktime_tz(date) - time.time())
