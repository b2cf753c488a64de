"""How messages count things."""

from __future__ import annotations


def counted(number: int, word: str, words: str | None = None) -> str:
    """Return a number with its noun.

    >>> counted(1, "program"), counted(2048, "environment step"), counted(0, "search", "searches")
    ('1 program', '2,048 environment steps', '0 searches')

    Args:
        number: how many.
        word: the noun for one.
        words: the noun for any other number; None puts an s behind `word`.
    """
    return f"{number:,} {word if number == 1 else words or f'{word}s'}"
