"""Doing several things at once, each in a thread that an interrupt need not wait for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import TypeVar

In = TypeVar("In")
Out = TypeVar("Out")


def together(function: Callable[[In], Out], items: Iterable[In]) -> list[Out | BaseException]:
    """Call `function` on every item, each in a thread of its own; return its values, or what it raised.

    The threads are daemons: an interrupt leaves at once, whatever they wait for.

    >>> together(lambda x: 6 // x, [1, 2])
    [6, 3]
    """
    items = list(items)
    outcomes: list[Out | BaseException] = [RuntimeError("never ran")] * len(items)

    def call(index: int) -> None:
        try:
            outcomes[index] = function(items[index])
        except BaseException as error:  # noqa: BLE001  carried to the caller's thread, which raises it
            outcomes[index] = error

    threads = [threading.Thread(target=call, args=(index,), daemon=True) for index in range(len(items))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def raised(outcomes: Iterable[Out | BaseException]) -> list[Out]:
    """Return the values; raise the first that is an error."""
    values: list[Out] = []
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
        values.append(outcome)
    return values
