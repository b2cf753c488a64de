"""The one retry layer: which failures may pass, and how long to wait before the next attempt."""

from __future__ import annotations

import email.utils
import math
import random
import re
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

PASSING_STATUS = (408, 409, 425, 429)
"""Statuses that may pass, besides all of 5xx: a timeout, a lock, a rate limit."""
FINAL_STATUS = (501, 505)
"""Statuses of 5xx that do not pass: the server cannot do it."""
FINAL_CODES = ("insufficient_quota", "billing_hard_limit_reached", "billing_not_active")
"""Codes that come with a 429 and do not pass."""

FIRST_WAIT_S = 1.0
MAX_WAIT_S = 60.0
MAX_RETRY_AFTER_S = 300.0
"""A server that asks for a longer wait counts as down: a search should end rather than hang."""

_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION_PART = re.compile(
    r"\s*(\d{1,12}(?:\.\d{1,20})?)(?!\d)\s*(ms|milliseconds?|msecs?|h|hours?|hrs?|minutes?|mins?|m|seconds?|secs?|s)?"
    r"(?![a-z])(?=\d|\b|$)",
    re.IGNORECASE | re.ASCII,
)


def is_transient(status: int, code: str | None) -> bool:
    """Return whether a refusal with this status may pass when the same request is sent again.

    >>> is_transient(503, None), is_transient(429, "insufficient_quota"), is_transient(400, None)
    (True, False, False)
    """
    passing = status in PASSING_STATUS or (status >= 500 and status not in FINAL_STATUS)
    return passing and code not in FINAL_CODES


def compute_wait_s(attempt: int, requested_s: float | None = None) -> float | None:
    """Compute the seconds to wait after attempt number `attempt` (from 0); None where the server asks for too many.

    What the server asks for is followed; otherwise the wait doubles each time, with jitter, so that concurrent calls
    do not come back together.

    Args:
        attempt: that failed.
        requested_s: seconds that the server asks to wait; None where it does not say.
    """
    if requested_s is not None:
        return requested_s if requested_s <= MAX_RETRY_AFTER_S else None

    # Jitter needs no secure randomness, and no seed: it changes when a call is made, never what it says.
    return min(FIRST_WAIT_S * 2.0**attempt, MAX_WAIT_S) * random.uniform(0.5, 1.0)


def read_wait_header_s(headers: Mapping[str, str]) -> float | None:
    """Read the seconds that a response's headers ask to wait: given in milliseconds, in seconds or as a date."""
    milliseconds = _parse_number(headers.get("retry-after-ms", ""))
    if milliseconds is not None:
        return milliseconds / 1000.0
    value = headers.get("retry-after", "").strip()
    seconds = _parse_number(value)
    return parse_duration_s(value, None) if seconds is None and value[:1].isdigit() else _read_date_s(value, seconds)


def parse_duration_s(text: str, unit: str | None) -> float | None:
    """Parse the duration at the beginning of a text.

    >>> [parse_duration_s(text, None) for text in ("20s", "1m30.5s", "250 ms", "20")], parse_duration_s("20", "s")
    ([20.0, 90.5, 0.25, None], 20.0)

    Args:
        text: such as "1m30s" or "20 seconds, please".
        unit: of a number without one: "ms", "s", "m" or "h"; None if such a number is not a duration.
    """
    total, place, found = 0.0, 0, False
    while part := _DURATION_PART.match(text, place):
        name = (part[2] or "").lower()
        spelled = "ms" if name.startswith(("ms", "mil")) else name[:1] or (unit if not found else None)
        if not spelled:
            break
        total, place, found = total + float(part[1]) * _UNITS_S[spelled], part.end(), True
    return total if found else None


def _read_date_s(value: str, seconds: float | None) -> float | None:
    """Return the seconds that are named, or those until the date that is; None where it is neither."""
    if seconds is not None:
        return seconds
    try:
        date = email.utils.parsedate_tz(value)
        return None if date is None else max(0.0, email.utils.mktime_tz(date) - time.time())
    except (ValueError, OverflowError, IndexError, TypeError):
        return None


def _parse_number(text: str) -> float | None:
    """Return a finite number, not below 0; None if the text is not such a number."""
    try:
        number = float(text)
    except ValueError:
        return None
    return max(0.0, number) if math.isfinite(number) else None
