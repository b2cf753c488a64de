"""The provider `subgoals`: how many subgoals of a list an episode has reached so far, in their order.

Each subgoal is a condition over the signals of a state, in our own language; it is computed by this module, so that
nothing of it has to be sealed. A subgoal counts from the first state in which it holds after the one before it was
reached; several may be reached in the same state.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rewardsmith.contract.errors import TaskError
from rewardsmith.contract.fitness.state_condition import StateCondition
from rewardsmith.contract.learned_signals import SubgoalOptions, read_options
from rewardsmith.worker.learned_signals.base import Array, Bools, Moments, ProviderContext


class SubgoalProvider:
    """Source of the number of subgoals reached; see `base.SignalProvider`."""

    frame_stride: int | None = None

    def __init__(self, context: ProviderContext) -> None:
        """Parse the conditions.

        Raises:
            TaskError: if there are none yet, or one cannot be asked of a state of these signals.
        """
        signal = context.signal
        options = read_options(SubgoalOptions, signal)
        if options.subgoals == "auto":
            raise TaskError(
                f"learned signal {signal.name!r}: its subgoals are not written yet; a search with a language model"
                " writes them (--model), or list them: subgoals = [{ text = ..., condition = ... }]"
            )
        self._conditions = options.parse_conditions(f"learned signal {signal.name!r}")
        for condition in self._conditions:
            condition.try_on(context.available)
        self.reads = tuple(dict.fromkeys(name for condition in self._conditions for name in condition.names))
        self._reached: NDArray[np.intp] = np.zeros(context.n, np.intp)

    def compute_values(self, moments: Moments) -> Array:
        """Return the number of subgoals reached at each moment (m,)."""
        holds = np.stack([self._compute_condition(condition, moments) for condition in self._conditions])
        values = np.empty(moments.m)
        for piece in moments.iter_pieces():
            reached = 0 if piece.begins else int(self._reached[piece.env])
            values[piece.moments] = count_reached(holds[:, piece.moments], reached)
            self._reached[piece.env] = int(values[piece.moments.stop - 1])
        return values

    def close(self) -> None:
        """Do nothing: it holds nothing."""

    def _compute_condition(self, condition: StateCondition, moments: Moments) -> Bools:
        if not condition.names:  # a truth that depends on no signal
            return np.full(moments.m, bool(condition.compute({})))
        return condition.compute(moments.signals)


def count_reached(holds: Bools, reached: int) -> Array:
    """Return how many subgoals are reached at each moment of a piece of an episode.

    >>> count_reached(np.array([[False, True, False], [True, False, True]]), 0)
    array([0., 1., 2.])

    Args:
        holds: (k, t): whether each subgoal's condition holds at each moment.
        reached: number of subgoals that the episode had reached before.
    """
    count, length = holds.shape
    values = np.full(length, float(reached))
    begin = 0
    for subgoal in range(reached, count):
        found = np.flatnonzero(holds[subgoal, begin:])
        if not found.size:
            break
        begin += int(found[0])
        values[begin:] = subgoal + 1.0
    return values
