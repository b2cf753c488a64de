"""Steps of a recorded episode that are shown, in tables and as frames.

Step 0 is the start, and the last step is the episode's length.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from rewardsmith.contract.records import Episode

QUARTERS = (0.25, 0.5, 0.75)
BEFORE_END = (1, 3, 10)
"""Steps before the end that are shown of an episode that ended by the environment's rule."""


def select_telling_steps(
    episode: Episode, signals: Mapping[str, NDArray[np.float64]], reward: NDArray[np.float64] | None, most: int
) -> list[int]:
    """Return the steps that tell the most: ends and quarters, what came before a fall, the extremes; ascending.

    Args:
        episode: the recorded episode of T steps.
        signals: name to (1 + T,): the value at the start and after each step.
        reward: (T,): the program's reward of each step; None where it could not be scored.
        most: how many steps at most; the less telling ones go first.
    """
    last = episode.length
    steps = [0, last, *(round(part * last) for part in QUARTERS)]
    if episode.terminated:
        steps += [last - before for before in BEFORE_END]
    if reward is not None:
        steps += [1 + int(np.argmax(reward)), 1 + int(np.argmin(reward))]
    for values in signals.values():
        steps += [int(np.argmax(values)), int(np.argmin(values))]
    within = dict.fromkeys(step for step in steps if 0 <= step <= last)
    return sorted(list(within)[:most])


def spread_steps(steps: Sequence[int], count: int) -> list[int]:
    """Return `count` of the steps, evenly along the episode, with the first and the last among them.

    >>> spread_steps([0, 10, 50, 90, 100], 3)
    [0, 50, 100]
    >>> spread_steps([0, 4], 5), spread_steps([0, 10, 20], 1)
    ([0, 4], [20])
    """
    if count < 2:
        return list(steps[-1:]) if count else []
    targets = np.linspace(steps[0], steps[-1], count)
    return sorted({min(steps, key=lambda step: abs(step - target)) for target in targets})
