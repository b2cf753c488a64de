"""Rewards of a rollout: from the reward process in one call, or the environment's own."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rewardsmith import sandbox
from rewardsmith.contract.errors import RewardFailed
from rewardsmith.contract.records import Limits
from rewardsmith.contract.reward_program import RewardProgram, Scores, Transitions
from rewardsmith.worker.envs.base import BatchedEnv, Layout
from rewardsmith.worker.training.rollout import Rollout

Array = NDArray[np.float64]

LARGEST_REWARD = 1e9
"""Bound of a transition's total. Return normalisation takes any scale, but one spike beyond this is a division by
nearly nothing, and would drown every other reward of the training."""


@dataclass(frozen=True)
class Scored:
    """The rewards of a rollout."""

    total: Array
    """(T, n)"""
    terms: Mapping[str, float] = field(default_factory=dict)
    """Mean of each term over the rollout, before its weight."""


class Scorer(Protocol):
    """Gives rollouts their rewards."""

    waited_s: float
    """Wall time spent waiting for the reward process."""

    def score(self, rollout: Rollout) -> Scored:
        """Return the rewards of a rollout.

        Raises:
            RewardFailed: if the program misbehaves.
        """
        ...

    def close(self) -> None:
        """End the reward process."""
        ...


class OwnReward:
    """The environment's own reward, for baselines."""

    waited_s = 0.0

    def score(self, rollout: Rollout) -> Scored:
        """Return the environment's own rewards."""
        return Scored(rollout.own.copy())

    def close(self) -> None:
        """Do nothing: there is no process."""


class ProgramReward:
    """A program in its reward process, asked once per rollout; one with memory is walked through the steps there."""

    def __init__(self, program: RewardProgram, env: BatchedEnv, limits: Limits) -> None:
        """Open the reward process in the background: it is ready before the first rollout is full."""
        self._program, self._gathered = program, env.layout
        # What the fitness alone reads is gathered too; the reward process is not even told its name.
        shapes = {s.name: s.shape for s in env.layout.signals if s.name in program.signals}
        layout = sandbox.Layout(shapes, (env.actions.width,))
        opener = ThreadPoolExecutor(1)
        self._process = opener.submit(sandbox.open_process, program, layout, limits)
        opener.shutdown(wait=False)
        self._memory: Mapping[str, Array] = {name: np.full(env.n, value) for name, value in program.memory.items()}
        self.waited_s = 0.0

    def score(self, rollout: Rollout) -> Scored:
        """Return the program's totals; see `Scorer.score`.

        Raises:
            RewardFailed: if the program misbehaves.
            SandboxUnavailable: if programs cannot be sealed on this machine.
            WorkerFailed: if the reward process cannot be started or is lost.
        """
        began = time.perf_counter()
        process, transitions = self._process.result(), self._transitions(rollout)
        if self._memory:
            scores = process.walk(transitions, rollout.ended, self._memory)
            self._memory = scores.memory
        else:
            scores = process.score(transitions)
        self.waited_s += time.perf_counter() - began
        _check_size(self._program, scores)
        means = {name: float(term.mean()) for name, term in scores.terms.items()}
        return Scored(scores.total.reshape(rollout.steps, rollout.n), means)

    def close(self) -> None:
        """End the reward process."""
        if self._process.exception() is None:
            self._process.result().close()

    def _transitions(self, rollout: Rollout) -> Transitions:
        reads, gathered = self._program.reads, self._gathered
        return Transitions(
            _flat(rollout.sent),
            before=_named(gathered, rollout.before, reads.get("before", ())),
            after=_named(gathered, rollout.after, reads.get("after", ())),
            start=_named(gathered, rollout.start, reads.get("start", ())),
        )


def _named(layout: Layout, packed: Array, names: tuple[str, ...]) -> Mapping[str, Array]:
    known = [name for name in names if name in layout.names]
    return layout.unpack(_flat(packed), known) if known else {}


def _flat(array: Array) -> Array:
    return array.reshape(-1, array.shape[-1])


def _check_size(program: RewardProgram, scores: Scores) -> None:
    """Refuse a spike.

    Raises:
        RewardFailed: if a total is beyond `LARGEST_REWARD`, with the largest term.
    """
    largest = float(np.abs(scores.total).max())
    if largest <= LARGEST_REWARD:
        return
    peaks = {name: float(np.abs(program.weight(name) * term).max()) for name, term in scores.terms.items()}
    name = max(peaks, key=lambda name: peaks[name])
    raise RewardFailed(
        f"the reward of a transition reaches {largest:.3g}, at most {LARGEST_REWARD:.0e} is allowed: "
        f"term {name!r} reaches {peaks[name]:.3g} with its weight; bound it, e.g. with np.clip or shaping.tolerance",
        code="not-finite",
    )
