"""Text from outside, made fit for a terminal."""

from __future__ import annotations

import re

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")


def plain(text: str) -> str:
    r"""Return the text without control characters: no escape sequence of a program reaches the terminal.

    >>> plain("red \x1b[31mherring")
    'red ?[31mherring'
    """
    return CONTROL.sub("?", text)


def figure(value: float | None, digits: int = 4) -> str:
    """Return a figure for a table: significant digits, and a dash where there is none.

    >>> figure(1234.567), figure(0.00123), figure(None)
    ('1235', '0.00123', '–')
    """
    if value is None:
        return "–"
    if value != 0 and abs(value) >= 10 ** (digits - 1):
        return f"{value:.0f}"
    return f"{value:.{digits}g}"


def duration(seconds: float) -> str:
    """Return a duration as people read it.

    >>> duration(8), duration(75), duration(3723)
    ('8 s', '1 min 15 s', '1 h 2 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
