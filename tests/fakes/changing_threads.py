"""A choice of threads that changes at each step, to show that no result depends on it."""

from __future__ import annotations


class ChangingThreads:
    """Another number of threads at each step; a `ThreadChoice`."""

    def __init__(self, most: int) -> None:
        self._numbers = (1, 3, 3, 2, 1, most)
        self._steps = 0

    def count_threads(self) -> int:
        return self._numbers[self._steps % len(self._numbers)]

    def add_time(self, seconds: float) -> None:
        self._steps += 1
