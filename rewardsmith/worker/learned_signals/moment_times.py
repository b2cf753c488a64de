"""Times of a rollout's moments: numbers that put the states after its steps, and the starts between them, in order.

Steps count from 0. A start follows the step that ended the episode before it; -1 stands for none.
"""

from __future__ import annotations

from rewardsmith.worker.envs.base import Indices


def time_after(step: int) -> int:
    """Return the time of the state that a step leaves."""
    return 2 * step + 1


def time_of_start(step: int) -> int:
    """Return the time of the start that follows a step."""
    return 2 * step + 2


BEFORE_ALL = time_of_start(-1)
"""Time of a start before all steps."""


def number_moments(envs: Indices, times: Indices, steps: int) -> Indices:
    """Return a number for each of m moments, which orders them by environment, then by time.

    Args:
        envs: (m,).
        times: (m,).
        steps: of the rollout.
    """
    return envs * (time_of_start(steps) + 1) + times
