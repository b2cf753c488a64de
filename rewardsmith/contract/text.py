"""Text for people: one format for values, one for counts with their noun, and text of others made one line."""

from __future__ import annotations


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
