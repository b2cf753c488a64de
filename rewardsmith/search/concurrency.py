"""Concurrency of a search: a function called on several items at once, in daemon threads."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable, Iterable
from typing import TypeVar

In = TypeVar("In")
Out = TypeVar("Out")


def run_in_threads(function: Callable[[In], Out], items: Iterable[In]) -> list[Out | BaseException]:
    """Call a function on every item, each in its own thread; return its values, or the errors that it raised.

    The threads are daemons: an interrupt ends the process at once, whatever they wait for.

    >>> run_in_threads(lambda x: 6 // x, [1, 2])
    [6, 3]
    """
    items = list(items)
    outcomes: list[Out | BaseException] = [RuntimeError("never ran")] * len(items)

    def call(index: int) -> None:
        try:
            outcomes[index] = function(items[index])
        except BaseException as error:  # noqa: BLE001  carried to the caller's thread, which raises it
            outcomes[index] = error

    # Each thread gets the caller's context, by which the log knows the run that it works for.
    threads = [
        threading.Thread(target=contextvars.copy_context().run, args=(call, index), daemon=True)
        for index in range(len(items))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def results_or_raise(outcomes: Iterable[Out | BaseException]) -> list[Out]:
    """Return the values; raise the first that is an error."""
    values: list[Out] = []
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
        values.append(outcome)
    return values
