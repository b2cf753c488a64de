"""Moments of a rollout in the order in which providers get them, and what is made of the values that they return."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from rewardsmith.contract.errors import WorkerFailed
from rewardsmith.contract.records import Signal
from rewardsmith.worker.envs.base import Array, BatchedEnv, Indices
from rewardsmith.worker.envs.env_faults import describe_exception
from rewardsmith.worker.learned_signals.base import Moments, SignalProvider
from rewardsmith.worker.learned_signals.frames import FrameRecorder
from rewardsmith.worker.learned_signals.moment_times import BEFORE_ALL, number_moments, time_after, time_of_start


class RecordedStep(NamedTuple):
    """One vector step, as the simulator gave it."""

    after: Array
    action: Array
    ended: Indices
    started: Array
    """(e, width): the signals at the start of the episodes that follow those that ended."""


class ArrangedMoments:
    """The m moments of T steps of n environments, one environment after the other, each in the order of time."""

    def __init__(
        self, steps: Sequence[RecordedStep], first: Array | None, env: BatchedEnv, frames: FrameRecorder | None
    ) -> None:
        n, width, count = env.n, env.layout.width, len(steps)
        self._layout, self._frames, self._step_count = env.layout, frames, count
        after = np.stack([step.after for step in steps]).reshape(count * n, width)
        actions = np.stack([step.action for step in steps]).reshape(count * n, -1)

        # The starts: time and environment of each, and its signals
        starts = [] if first is None else [(BEFORE_ALL, row) for row in range(n)]
        starts += [(time_of_start(t), row) for t, step in enumerate(steps) for row in step.ended.tolist()]
        started = [] if first is None else [first]
        started += [step.started for step in steps if len(step.ended)]

        # All moments: those after steps, then the starts
        packed = np.concatenate([after, *started])
        step_times = np.repeat([time_after(t) for t in range(count)], n)
        times = np.concatenate([step_times, [time for time, _ in starts]]).astype(np.intp)
        rows = np.concatenate([np.tile(np.arange(n), count), [row for _, row in starts]]).astype(np.intp)

        # The same in order
        order = np.lexsort((times, rows))
        self.m = len(order)
        self._packed, self._envs, self._times = packed[order], rows[order], times[order]
        self.is_after = order < count * n
        """(m,): whether a moment is the state after a step; else it is a start."""
        self.cells = order[self.is_after]
        """(T * n,): index of each moment after a step in arrays (T, n, ...) whose first two axes are joined."""
        self.start_keys = [starts[index - count * n] for index in order[~self.is_after]]
        """Time and environment of each start."""
        self._actions = np.zeros((self.m, actions.shape[1]))
        self._actions[self.is_after] = actions[self.cells]

    def select_for(self, provider: SignalProvider) -> Moments:
        """Return the moments with the signals and the pictures that a provider wants."""
        signals = self._layout.unpack_signals(self._packed, provider.reads)
        moments = Moments(signals, self._actions, ~self.is_after, self._envs)
        stride = provider.frame_stride
        if stride is None or self._frames is None:
            return moments
        taken = sorted(
            (picture for picture in self._frames.taken if picture.shows_every(stride)), key=lambda p: (p.env, p.time)
        )
        envs = np.array([picture.env for picture in taken], np.intp)
        times = np.array([picture.time for picture in taken], np.intp)
        numbers = number_moments(self._envs, self._times, self._step_count)
        places = np.searchsorted(numbers, number_moments(envs, times, self._step_count))
        return Moments(
            signals, self._actions, ~self.is_after, self._envs, tuple(picture.frame for picture in taken), places
        )


def compute_checked(signal: Signal, provider: SignalProvider, moments: Moments) -> Array:
    """Return a provider's values (m, *shape).

    Raises:
        WorkerFailed: if it raises anything, or returns something else.
    """
    try:
        values = np.asarray(provider.compute_values(moments), np.float64)
    except Exception as error:
        raise WorkerFailed(f"the learned signal {signal.name!r} failed: {describe_exception(error)}") from error
    if values.shape != (moments.m, *signal.shape):
        raise WorkerFailed(
            f"the learned signal {signal.name!r} failed: its provider returned values of shape {values.shape}, not"
            f" {(moments.m, *signal.shape)}"
        )
    return values


def hold_values(signal: Signal, values: Array, moments: Moments, last: Array) -> Array:
    """Return the values (m, width) with the last one of the same episode in place of each NaN.

    Args:
        signal: for the message.
        values: of the moments.
        moments: in which pieces of episodes follow each other.
        last: (n, width): of each environment, before the first moment.

    Raises:
        WorkerFailed: if one is infinite, or an episode begins without one.
    """
    held = values.copy()
    if np.isnan(held).any():
        for piece in moments.iter_pieces():
            part = held[piece.moments]
            if not piece.begins:
                part[0] = np.where(np.isnan(part[0]), last[piece.env], part[0])
            # The place of the last number so far, in each column
            places = np.where(np.isnan(part), 0, np.arange(len(part))[:, None])
            part[:] = np.take_along_axis(part, np.maximum.accumulate(places, axis=0), axis=0)
    if not np.isfinite(held).all():
        returned = "infinity" if np.isinf(held).any() else "no number (NaN) at the start of an episode"
        raise WorkerFailed(
            f"the learned signal {signal.name!r} failed: its provider returned {returned}; finite numbers are allowed,"
            " and later in an episode NaN, which keeps the last number"
        )
    return held
