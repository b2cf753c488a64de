"""Choice of the number of threads that step the simulations of one training; it changes the time, and no result.

Threads of a batch wait for the slowest of them at each step. Where another program has the core that one of them needs,
a step on two threads takes several times as long as on one (benchmarks/RESULTS.md). So more threads than one are tried
against one, now and then, and are kept while they are faster.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Protocol

ROUND = 256
"""Steps between two looks at the free cores; a rollout with the default settings."""
TRIAL_STEPS = 8
"""Steps on one thread, and as many on several, of which the median times are compared."""
ROUNDS_BETWEEN_TRIALS = 16
"""Trials cost 0.7 % of the simulation even where a step on several threads takes 15 times as long, as was measured."""


class ThreadChoice(Protocol):
    """Tells before each step how many threads to use, and is told afterwards how long the step took."""

    def count_threads(self) -> int:
        """Return the number of threads of the next step."""
        ...

    def add_time(self, seconds: float) -> None:
        """Take the wall time of the step."""
        ...


class FixedThreads:
    """The same number of threads for every step."""

    def __init__(self, count: int) -> None:
        """Take the number.

        Args:
            count: at least 1.
        """
        self._count = count

    def count_threads(self) -> int:
        """Return the number."""
        return self._count

    def add_time(self, seconds: float) -> None:
        """Do nothing."""


class FreeCoreThreads:
    """As many threads as there are free cores, where these are faster than one thread."""

    def __init__(self, most: int, count_free_cores: Callable[[], int]) -> None:
        """Begin with one thread.

        Args:
            most: largest number of threads, that of the simulations.
            count_free_cores: cores that the training may use now, its own included.
        """
        self._most, self._count_free_cores = most, count_free_cores
        self._several, self._chosen = 1, 1
        self._step, self._rounds_to_trial, self._is_trial = 0, 0, False
        self._time_alone = 0.0
        self._times: tuple[list[float], list[float]] = ([], [])
        """Times of steps in this round: on one thread, and on several."""

    def count_threads(self) -> int:
        """Return the number of threads of the next step."""
        if self._step == 0:
            self._begin_round()
        if self._is_trial:
            return self._several if self._step % 2 else 1
        return self._chosen

    def add_time(self, seconds: float) -> None:
        """Take the wall time of the step; decide at the end of a trial, and again at the end of the round."""
        is_threaded = self._several > 1 and (self._step % 2 == 1 if self._is_trial else self._chosen > 1)
        self._times[is_threaded].append(seconds)
        self._step += 1
        if self._is_trial and (self._step == 2 * TRIAL_STEPS or self._is_hopeless()):
            self._is_trial = False
            self._time_alone = statistics.median(self._times[0])
            self._choose_faster()
        if self._step == ROUND:
            self._step = 0
            if self._chosen > 1:
                self._choose_faster()

    def _begin_round(self) -> None:
        """Look how many cores are free; try them where their number has changed, and now and then."""
        self._times = ([], [])
        free = max(1, min(self._most, self._count_free_cores()))
        if free != self._several:
            self._several, self._chosen, self._rounds_to_trial = free, 1, 0
        if free > 1:
            self._is_trial = self._rounds_to_trial == 0
            self._rounds_to_trial = (self._rounds_to_trial or ROUNDS_BETWEEN_TRIALS) - 1

    def _is_hopeless(self) -> bool:
        """Return whether the steps on several threads took longer than a whole trial on one; the first warms up."""
        alone, together = self._times
        return sum(together[1:]) > TRIAL_STEPS * statistics.median(alone)

    def _choose_faster(self) -> None:
        """Take several threads if they were faster in this round than one thread was in the last trial."""
        self._chosen = self._several if statistics.median(self._times[1]) < self._time_alone else 1
