"""Providers of learned signals for tests: named in a spec as "fakes.learned_providers:CountingProvider"."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from rewardsmith.worker.learned_signals.base import Array, Moments, ProviderContext


class CountingProvider:
    """The steps of an episode so far, times the option `factor`; it counts what is asked of it."""

    opened: ClassVar[int] = 0
    calls: ClassVar[int] = 0
    frame_stride = None

    def __init__(self, context: ProviderContext) -> None:
        type(self).opened += 1
        self.reads = tuple(context.signal.options.get("reads", ()))  # type: ignore[arg-type]
        self._factor = float(context.signal.options.get("factor", 1.0))  # type: ignore[arg-type]
        self._steps = np.zeros(context.n)

    def compute_values(self, moments: Moments) -> Array:
        type(self).calls += 1
        values = np.empty(moments.m)
        for piece in moments.iter_pieces():
            length = piece.moments.stop - piece.moments.start
            first = 0 if piece.begins else self._steps[piece.env] + 1
            values[piece.moments] = first + np.arange(length)
            self._steps[piece.env] = first + length - 1
        return self._factor * values

    def close(self) -> None:
        pass


class CopyingProvider(CountingProvider):
    """The first number of the signal that it reads."""

    def compute_values(self, moments: Moments) -> Array:
        return moments.signals[self.reads[0]].reshape(moments.m, -1)[:, 0]


class SparseProvider(CountingProvider):
    """A number at every third step of an episode, and none between."""

    def compute_values(self, moments: Moments) -> Array:
        steps = super().compute_values(moments)
        return np.where(steps % 3 == 0, steps, np.nan)


class FailingProvider(CountingProvider):
    """Fails in every call."""

    def compute_values(self, moments: Moments) -> Array:
        raise RuntimeError("the model is out of order")


class InfiniteProvider(CountingProvider):
    """Gives infinity."""

    def compute_values(self, moments: Moments) -> Array:
        return np.full(moments.m, np.inf)


class FrameProvider(CountingProvider):
    """The brightness of the last picture, taken at every third step."""

    frame_stride = 3  # type: ignore[assignment]

    def compute_values(self, moments: Moments) -> Array:
        values = np.full(moments.m, np.nan)
        values[moments.frame_moments] = [float(frame.mean()) for frame in moments.frames]
        return values
