"""Text for people: formats of values and of counts with their noun, help with wrong names, text of others in a line."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

MAX_LISTED_NAMES = 12
"""Names that a message lists, at most."""


def pluralize(number: int, word: str, words: str | None = None) -> str:
    """Return a number with its noun.

    >>> pluralize(1, "program"), pluralize(2048, "environment step"), pluralize(0, "search", "searches")
    ('1 program', '2,048 environment steps', '0 searches')

    Args:
        number: how many.
        word: the noun for one.
        words: the noun for any other number; None puts an s behind `word`.
    """
    return f"{number:,} {word if number == 1 else words or f'{word}s'}"


def format_number(value: float | None, digits: int = 4) -> str:
    """Format a number for a table: significant digits, and a dash for None.

    >>> format_number(1234.567), format_number(0.00123), format_number(None)
    ('1235', '0.00123', '–')
    """
    if value is None:
        return "–"
    if value != 0 and abs(value) >= 10 ** (digits - 1):
        return f"{value:.0f}"
    return f"{value:.{digits}g}"


def suggest_names(name: str, known: Iterable[str], otherwise: str | None = None) -> str:
    """Return the part of a message that helps with a name that does not exist.

    >>> suggest_names("heigth", ["height", "pitch"])
    "did you mean 'height'?"
    >>> suggest_names("mass", ["height", "pitch"]), suggest_names("mass", [])
    ('there are height, pitch', 'there are none')

    Args:
        name: as it was written.
        known: the names that exist, in the order in which they are listed where none is near.
        otherwise: what to say where none is near; None lists the names.
    """
    names = list(known)
    near = difflib.get_close_matches(name, names, n=3)
    if near:
        return f"did you mean {' or '.join(map(repr, near))}?"
    if otherwise is not None:
        return otherwise
    more = f" and {len(names) - MAX_LISTED_NAMES} more" if len(names) > MAX_LISTED_NAMES else ""
    return f"there are {', '.join(names[:MAX_LISTED_NAMES]) or 'none'}{more}"


def flatten_text(text: str, limit: int = 600) -> str:
    r"""Return text of a program as one line that can neither pass for another line nor steer a terminal.

    Line breaks, control characters, and marks that nobody sees (text direction, zero width) become a space.

    >>> flatten_text("x\n\nrewardsmith: fitness 999\x1b[2J")
    'x rewardsmith: fitness 999 [2J'
    >>> flatten_text("a very long name", limit=7)
    'a very…'

    Args:
        text: of any length.
        limit: of the result, in characters.
    """
    # Text that is far longer than the limit is cut first: it need not be looked at as a whole.
    start = text[: 4 * limit]
    line = " ".join("".join(char if char.isprintable() else " " for char in start).split())
    if len(line) <= limit and len(start) == len(text):
        return line
    return line[: limit - 1].rstrip() + "…"
