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
from rewardsmith.errors import RewardFailed
from rewardsmith.program import RewardProgram, Transitions
from rewardsmith.records import Limits
from rewardsmith.worker.envs.base import BatchedEnv, Layout
from rewardsmith.worker.rollout import Rollout

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
    """A program in its reward process; a program with memory is asked step by step, any other once per rollout."""

    def __init__(self, program: RewardProgram, env: BatchedEnv, limits: Limits) -> None:
        """Open the reward process in the background: it is ready before the first rollout is full."""
        self._program, self._gathered = program, env.layout
        layout = sandbox.Layout({s.name: s.shape for s in env.layout.signals}, (env.actions.width,))
        opener = ThreadPoolExecutor(1)
        self._process = opener.submit(sandbox.open_process, program, layout, limits)
        opener.shutdown(wait=False)
        self._memory = {name: np.full(env.n, value) for name, value in program.memory.items()}
        self.waited_s = 0.0

    def score(self, rollout: Rollout) -> Scored:
        """Return the program's totals; see `Scorer.score`.

        Raises:
            RewardFailed: if the program misbehaves.
            SandboxUnavailable: if programs cannot be sealed on this machine.
            WorkerFailed: if the reward process cannot be started or is lost.
        """
        began = time.perf_counter()
        score = self._score_steps if self._memory else self._score_whole
        scored = score(self._process.result(), rollout)
        self.waited_s += time.perf_counter() - began
        return scored

    def close(self) -> None:
        """End the reward process."""
        if self._process.exception() is None:
            self._process.result().close()

    def _score_whole(self, process: sandbox.RewardProcess, rollout: Rollout) -> Scored:
        scores = process.score(self._transitions(rollout, slice(None)))
        _check_size(scores.total, scores.terms)
        means = {name: float(term.mean()) for name, term in scores.terms.items()}
        return Scored(scores.total.reshape(rollout.steps, rollout.n), means)

    def _score_steps(self, process: sandbox.RewardProcess, rollout: Rollout) -> Scored:
        total = np.empty((rollout.steps, rollout.n))
        sums: dict[str, float] = {}
        for t in range(rollout.steps):
            scores = process.score(self._transitions(rollout, slice(t, t + 1)), self._memory)
            _check_size(scores.total, scores.terms)
            total[t] = scores.total
            for name, term in scores.terms.items():
                sums[name] = sums.get(name, 0.0) + float(term.mean())
            for name, value in scores.memory.items():
                self._memory[name] = np.where(rollout.ended[t], self._program.memory[name], value)
        return Scored(total, {name: value / rollout.steps for name, value in sums.items()})

    def _transitions(self, rollout: Rollout, steps: slice) -> Transitions:
        reads, gathered = self._program.reads, self._gathered
        return Transitions(
            _flat(rollout.sent[steps]),
            before=_named(gathered, rollout.before[steps], reads.get("before", ())),
            after=_named(gathered, rollout.after[steps], reads.get("after", ())),
            start=_named(gathered, rollout.start[steps], reads.get("start", ())),
        )


def _named(layout: Layout, packed: Array, names: tuple[str, ...]) -> Mapping[str, Array]:
    known = [name for name in names if name in layout.names]
    return layout.unpack(_flat(packed), known) if known else {}


def _flat(array: Array) -> Array:
    return array.reshape(-1, array.shape[-1])


def _check_size(total: Array, terms: Mapping[str, Array]) -> None:
    """Refuse a spike.

    Raises:
        RewardFailed: if a total is beyond `LARGEST_REWARD`, with the largest term.
    """
    if not (np.abs(total) > LARGEST_REWARD).any():
        return
    name = max(terms, key=lambda name: float(np.abs(terms[name]).max()))
    peak = float(np.abs(terms[name]).max())
    raise RewardFailed(
        f"the reward of a transition reaches {np.abs(total).max():.3g}, at most {LARGEST_REWARD:.0e} is allowed: "
        f"term {name!r} reaches {peak:.3g}; bound it, e.g. with np.clip or shaping.tolerance",
        code="not-finite",
    )
