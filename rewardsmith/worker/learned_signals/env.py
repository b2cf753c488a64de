"""Environments with learned signals: columns after the simulator's, NaN while a rollout runs and filled at its end.

They are stepped as every `BatchedEnv` is; `fill_learned_columns` asks the providers, once per rollout.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rewardsmith.contract.records import Signal
from rewardsmith.worker.envs.base import Array, BatchedEnv, EnvStep, Indices, SignalLayout
from rewardsmith.worker.envs.wrapped import WrappedEnv
from rewardsmith.worker.learned_signals.arranged_moments import (
    ArrangedMoments,
    RecordedStep,
    compute_checked,
    hold_values,
)
from rewardsmith.worker.learned_signals.base import SignalProvider
from rewardsmith.worker.learned_signals.frames import FrameRecorder
from rewardsmith.worker.learned_signals.moment_times import BEFORE_ALL, time_of_start

MOST_FRAMES = 256
"""Pictures that are kept before the providers are asked: those of 224 x 224 pixels take 39 MB."""


class _Values(NamedTuple):
    """Values of the learned signals over T steps, each (T, n, width)."""

    before: Array
    after: Array
    start: Array


class LearnedSignalEnv(WrappedEnv):
    """n environments whose layout has learned signals after the simulator's; see `base.BatchedEnv`."""

    def __init__(
        self,
        env: BatchedEnv,
        shown: Sequence[str],
        providers: Mapping[Signal, SignalProvider],
        frames: FrameRecorder | None = None,
    ) -> None:
        """Wrap environments that gather all that the providers read.

        Args:
            env: the environments.
            shown: names of the simulator's signals that the layout has; the others are the providers' alone.
            providers: learned signal to its provider; this object closes them.
            frames: records the pictures of `env`, where a provider wants some.
        """
        super().__init__(env)
        self._providers, self._frames = providers, frames
        by_name = {signal.name: signal for signal in env.layout.signals}
        learned = SignalLayout(tuple(providers))
        self._layout = SignalLayout((*(by_name[name] for name in shown), *learned.signals))
        columns = env.layout.map_columns()
        numbers = [np.arange(columns[name].start, columns[name].stop) for name in shown]
        self._shown: Indices = np.concatenate(numbers) if numbers else np.empty(0, np.intp)
        self._learned = learned
        shape = (env.n, self._layout.width)
        self._packed, self._start, self._after = (np.full(shape, np.nan) for _ in range(3))

        # Steps whose moments no provider has seen yet, values of those that they have, and where each episode is.
        self._steps: list[RecordedStep] = []
        self._first: Array | None = None
        self._computed: list[_Values] = []
        self._last_values, self._start_values = np.full((2, env.n, learned.width), np.nan)

    @property
    def layout(self) -> SignalLayout:
        """The shown signals, and the learned ones after them."""
        return self._layout

    def reset(self, seeds: Sequence[int] | None = None) -> Array:
        """Start an episode everywhere; see `BatchedEnv.reset`. Steps whose columns nobody filled are forgotten."""
        self._steps.clear()
        self._computed.clear()
        if self._frames:
            self._frames.clear()
        obs = self._env.reset(seeds)
        self._first = self._env.read_signals().copy()
        return obs

    def step(self, actions: NDArray[np.floating]) -> EnvStep:
        """Act once everywhere; see `BatchedEnv.step`."""
        if self._frames:
            self._frames.rollout_step = len(self._steps)
        step = self._env.step(actions)
        started = self._env.read_signals()[step.ended]
        self._steps.append(RecordedStep(step.after.copy(), np.array(actions, np.float64), step.ended.copy(), started))
        if self._frames and len(self._frames.taken) >= MOST_FRAMES:
            self._ask_providers()
        return step._replace(after=self._show(step.after, self._after))

    def read_signals(self) -> Array:
        """Return the signals at the state that the next step acts on; the learned ones are NaN."""
        return self._show(self._env.read_signals(), self._packed)

    def read_start_signals(self) -> Array:
        """Return the signals at the start of each running episode; the learned ones are NaN."""
        return self._show(self._env.read_start_signals(), self._start)

    def close(self) -> None:
        """Close the providers and the environments."""
        for provider in self._providers.values():
            provider.close()
        if self._frames:
            self._frames.close()
        super().close()

    def take_values(self) -> _Values:
        """Return the values over the steps since the last call, or since the reset.

        Raises:
            WorkerFailed: if a provider fails.
        """
        self._ask_providers()
        parts, self._computed = self._computed, []
        return _Values(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))

    def list_remarks(self) -> tuple[str, ...]:
        """Return what a user should know of the providers, a line each; after a rollout."""
        remarks = (getattr(provider, "remark", None) for provider in self._providers.values())
        return tuple(remark for remark in remarks if remark)

    @property
    def learned_width(self) -> int:
        """Number of learned columns."""
        return self._learned.width

    def _show(self, packed: Array, out: Array) -> Array:
        out[:, : len(self._shown)] = packed[:, self._shown]
        return out

    def _ask_providers(self) -> None:
        """Have the values of the steps computed that no provider has seen yet."""
        if not self._steps:
            return
        arranged = ArrangedMoments(self._steps, self._first, self._env, self._frames)
        values = np.empty((arranged.m, self._learned.width))
        for (signal, provider), columns in zip(
            self._providers.items(), self._learned.map_columns().values(), strict=True
        ):
            moments = arranged.select_for(provider)
            found = compute_checked(signal, provider, moments).reshape(arranged.m, -1)
            values[:, columns] = hold_values(signal, found, moments, self._last_values[:, columns])
        self._computed.append(self._spread(arranged, values))
        self._steps, self._first = [], None
        if self._frames:
            self._frames.clear()

    def _spread(self, arranged: ArrangedMoments, values: Array) -> _Values:
        """Return the values of moments (m, width) as those before and after each step, and at its episode's start."""
        n, width = self.n, self._learned.width
        after = np.empty((len(self._steps), n, width))
        after.reshape(len(self._steps) * n, width)[arranged.cells] = values[arranged.is_after]
        before, start = np.empty_like(after), np.empty_like(after)
        started = dict(zip(arranged.start_keys, values[~arranged.is_after], strict=True))

        if self._first is not None:
            for row in range(n):
                self._last_values[row] = self._start_values[row] = started[BEFORE_ALL, row]
        for t, step in enumerate(self._steps):
            before[t], start[t] = self._last_values, self._start_values
            self._last_values[:] = after[t]
            for row in step.ended.tolist():
                self._last_values[row] = self._start_values[row] = started[time_of_start(t), row]
        return _Values(before, after, start)


def fill_learned_columns(
    env: BatchedEnv, after: Array, before: Array | None = None, start: Array | None = None
) -> None:
    """Fill the learned columns of packed signals; does nothing for environments without learned signals.

    Args:
        env: in which the steps were taken, since the reset or the last call.
        after: (T, n, width), signals after each step, written in place; there may be fewer rows than environments.
        before: before each step; the same.
        start: at the start of each step's episode; it may have fewer steps, the first ones.

    Raises:
        WorkerFailed: if a provider fails.
    """
    if not isinstance(env, LearnedSignalEnv):
        return
    values = env.take_values()
    first = env.layout.width - env.learned_width
    for array, filling in ((after, values.after), (before, values.before), (start, values.start)):
        if array is not None:
            array[..., first:] = filling[: len(array), : array.shape[1]]


def list_provider_remarks(env: BatchedEnv) -> tuple[str, ...]:
    """Return what a user should know of the providers of environments; nothing where there are none."""
    return env.list_remarks() if isinstance(env, LearnedSignalEnv) else ()
