"""The protocol of providers: a batch of moments in, the value of the signal at each of them out.

A moment is a state of one environment: the first of an episode, or the one after an action. A provider gets all moments
of a rollout at once, one environment after the other, each in the order of time. An episode may go on from the last
call: `Moments.iter_pieces` says so, and the provider keeps what it needs of it by the number of the environment.

    class Height:
        reads = ("height",)                # signals of the simulator that it wants
        frame_stride = None                # every how many steps it wants a picture; None: none

        def __init__(self, context): ...   # context.signal.options are its options; raise TaskError if one is wrong

        def compute_values(self, moments):
            return np.maximum(moments.signals["height"], 0.0)      # (m, *shape)

        def close(self): ...

A `remark` of its own, a line for people such as its speed, is shown before a search, after the random actions.
A value that is NaN stands for "as it was": the last one of the same episode is held. The first moment of an episode has
to have one. What a provider raises, but for a TaskError of its constructor, counts as a failure of the machine: the
job is tried again, and no program is blamed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from rewardsmith.contract.job_messages import JobMessage
from rewardsmith.contract.records import EnvSpec, LearnedSignal, Signal

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]
Indices = NDArray[np.intp]
Frame = NDArray[np.uint8]
"""(height, width, 3), RGB."""
Purpose = Literal["train", "evaluate", "probe", "film"]
"""Kinds of jobs that step environments."""


class Piece(NamedTuple):
    """Moments of one episode that follow each other."""

    env: int
    """Number of the environment, from 0."""
    moments: slice
    begins: bool
    """Whether the first of them is the first of the episode; else the episode goes on from the last call."""


@dataclass(frozen=True)
class Moments:
    """m moments of n environments: one environment after the other, each in the order of time."""

    signals: Mapping[str, Array]
    """Name to (m, *shape): what the provider reads."""
    actions: Array
    """(m, a): the action that led to each; 0 at an episode's first."""
    starts: Bools
    """(m,): the first of its episode."""
    envs: Indices
    """(m,): number of the environment; it does not fall."""
    frames: tuple[Frame, ...] = ()
    """Pictures, in the order of their moments: at an episode's start, at every `frame_stride`-th step, at its end."""
    frame_moments: Indices = field(default_factory=lambda: np.empty(0, np.intp))
    """(f,): the moment that each picture shows."""

    @property
    def m(self) -> int:
        """Number of moments."""
        return len(self.starts)

    def iter_pieces(self) -> Iterator[Piece]:
        """Yield the pieces of episodes, in order."""
        changes = np.flatnonzero(self.starts | np.diff(self.envs, prepend=-1).astype(np.bool_)).tolist()
        for begin, end in zip(changes, [*changes[1:], self.m], strict=True):
            yield Piece(int(self.envs[begin]), slice(begin, end), bool(self.starts[begin]))


@dataclass(frozen=True)
class JobUse:
    """Job for which environments are stepped, as far as providers are concerned."""

    purpose: Purpose = "train"
    send: Callable[[JobMessage], None] | None = None
    """Sends a message to the orchestrator; trainings have it alone."""


@dataclass(frozen=True)
class ProviderContext:
    """Surroundings of a provider in a job; the current folder is the job's."""

    signal: LearnedSignal
    env: EnvSpec
    available: tuple[Signal, ...]
    """Signals of the simulator that a program may read, and so a provider."""
    n: int
    """Number of environments."""
    use: JobUse = JobUse()


class SignalProvider(Protocol):
    """Source of a learned signal's values; made with a `ProviderContext` for the environments of one job."""

    @property
    def reads(self) -> tuple[str, ...]:
        """Names of the simulator's signals that it wants; they are gathered, and no program is shown them."""
        ...

    @property
    def frame_stride(self) -> int | None:
        """Every how many steps of an episode it wants a picture; None where it wants none."""
        ...

    def compute_values(self, moments: Moments) -> Array:
        """Return the values (m, *shape); NaN holds the last value of the same episode."""
        ...

    def close(self) -> None:
        """Release what it holds; called once, at the end of the job."""
        ...
