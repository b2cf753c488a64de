"""Means over values of which some are not known."""

from __future__ import annotations

from collections.abc import Iterable


def average_known(values: Iterable[float | None]) -> float | None:
    """Return the mean of the values that are known; None where none of them is.

    >>> average_known([1.0, None, 2.0]), average_known([None])
    (1.5, None)
    """
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
