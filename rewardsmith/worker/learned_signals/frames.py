"""Pictures of environments while they are stepped, for providers that look at them.

Each environment is wrapped in a `PictureTaker`, which draws before the environment is reset: the last picture of an
episode shows its true last state. Their trajectories are those of environments that nobody draws.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gymnasium

from rewardsmith.worker.learned_signals.base import Frame
from rewardsmith.worker.learned_signals.moment_times import time_after, time_of_start

if TYPE_CHECKING:
    from rewardsmith.worker.learned_signals.drawing import SimulationDrawer


@dataclass(frozen=True)
class TakenPicture:
    """A picture, and the moment that it shows."""

    env: int
    time: int
    """Time of the moment in the running rollout; see `moment_times`."""
    step: int
    """Step of its episode; 0 at the start."""
    is_last: bool
    """Whether the episode ended there."""
    frame: Frame

    def shows_every(self, stride: int) -> bool:
        """Return whether it belongs to the pictures at every so many steps."""
        return self.is_last or self.step % stride == 0


class FrameRecorder:
    """Pictures of n environments since the last rollout."""

    def __init__(self, strides: Sequence[int]) -> None:
        """Take pictures at the steps of every stride, at starts and at ends."""
        self._strides = tuple(strides)
        self.taken: list[TakenPicture] = []
        self.rollout_step = -1
        """Step of the rollout that is taken; -1 before the first."""
        self.drawer: SimulationDrawer | None = None
        """The process that draws, where there is one."""

    def close(self) -> None:
        """End the process that draws."""
        if self.drawer is not None:
            self.drawer.close()

    def clear(self) -> None:
        """Forget all pictures; the next step is the first."""
        self.taken.clear()
        self.rollout_step = -1

    def wants(self, step: int, is_last: bool) -> bool:
        """Return whether a step of an episode is drawn."""
        return is_last or any(step % stride == 0 for stride in self._strides)

    def add(self, env: int, step: int, is_last: bool, frame: Frame) -> None:
        """Keep a picture of the present moment, which is a step of its episode; 0 is the start."""
        time = time_after(self.rollout_step) if step else time_of_start(self.rollout_step)
        self.taken.append(TakenPicture(env, time, step, is_last, frame))


class PictureTaker(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Wrapper that draws its environment at the steps that a recorder wants."""

    def __init__(self, env: Any, number: int, recorder: FrameRecorder, draw: Callable[[Any], Frame]) -> None:
        """Wrap an environment.

        Args:
            env: the environment.
            number: of it, from 0.
            recorder: keeps the pictures.
            draw: draws an environment in its present state.
        """
        super().__init__(env)
        self._number, self._recorder, self._draw = number, recorder, draw
        self._step = 0

    def reset(self, **options: Any) -> tuple[Any, dict[str, Any]]:
        """Start an episode."""
        result = self.env.reset(**options)
        self._step = 0
        self._recorder.add(self._number, 0, False, self._draw(self.env))
        return result

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Act, and draw the result where it is wanted."""
        outcome = self.env.step(action)
        self._step += 1
        is_last = bool(outcome[2] or outcome[3])
        if self._recorder.wants(self._step, is_last):
            self._recorder.add(self._number, self._step, is_last, self._draw(self.env))
        return outcome
