"""Rewards of a rollout: from the reward process in one call, or from the environment."""

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
from rewardsmith.contract.records import TrainJob
from rewardsmith.contract.reward_program import RewardProgram, Scores, Transitions
from rewardsmith.contract.term_limits import parse_limits
from rewardsmith.sandbox.reference_scores import read_reference
from rewardsmith.worker.envs.base import BatchedEnv, SignalLayout
from rewardsmith.worker.training.learned_blend import LearnedBlend
from rewardsmith.worker.training.rollout import RolloutStorage, check_environment_reward
from rewardsmith.worker.training.score_checks import ScoreChecker
from rewardsmith.worker.training.term_multipliers import LimitedTotal

Array = NDArray[np.float64]

LARGEST_REWARD = 1e9
"""Bound of a transition's total. Return normalisation takes any scale, but one spike beyond this is a division by
nearly nothing, and would drown every other reward of the training."""


@dataclass(frozen=True)
class ScoredRollout:
    """The rewards of a rollout."""

    total: Array
    """(T, n)"""
    terms: Mapping[str, float] = field(default_factory=dict)
    """Mean of each term over the rollout, before its weight."""
    goal: Array | None = None
    """(T, n): the total of the terms without a limit, or under fixed weights; None where it is `total`."""
    multipliers: Mapping[str, float] = field(default_factory=dict)
    """Limit of a term to its multiplier, which the totals are made with."""
    weights: Mapping[str, float] = field(default_factory=dict)
    """Term to its learned weight, which the totals are made with; empty where weights are fixed."""


class RewardSource(Protocol):
    """Source of a rollout's rewards."""

    waited_s: float
    """Wall time spent waiting for the reward process."""
    layers: tuple[str, ...]
    """Layers of the seal that hold it; empty while it has not scored."""
    blend: LearnedBlend | None
    """Learned weights of the terms, which need the policy (`LearnedBlend.bind_policy`); None where they are fixed."""

    def score(self, rollout: RolloutStorage) -> ScoredRollout:
        """Return the rewards of a rollout.

        Raises:
            RewardFailed: if the program misbehaves.
        """
        ...

    def close(self) -> None:
        """End the reward process."""
        ...


class EnvironmentReward:
    """The environment reward, for baselines."""

    waited_s = 0.0
    layers: tuple[str, ...] = ()
    blend: LearnedBlend | None = None

    def score(self, rollout: RolloutStorage) -> ScoredRollout:
        """Return the rewards that the environments gave.

        Raises:
            RewardFailed: if one is not finite.
        """
        check_environment_reward(rollout.environment_reward)
        return ScoredRollout(rollout.environment_reward.copy())

    def close(self) -> None:
        """Do nothing: there is no process."""


class ProgramReward:
    """A program in its reward process, called once per rollout; one with memory goes through the steps there."""

    def __init__(self, program: RewardProgram, env: BatchedEnv, job: TrainJob) -> None:
        """Open the reward process in the background: it is ready before the first rollout is full.

        Args:
            program: the job's, parsed.
            env: whose transitions are scored.
            job: with the limits, the length of the training and the reference scores.
        """
        self._program, self._layout = program, env.layout
        # Signals that only the fitness reads are gathered too; the reward process does not get even their names.
        shapes = {s.name: s.shape for s in env.layout.signals if s.name in program.signals}
        layout = sandbox.ProgramLayout(shapes, (env.actions.width,))
        opener = ThreadPoolExecutor(1)
        self._process = opener.submit(sandbox.open_process, program, layout, job.limits)
        opener.shutdown(wait=False)
        reference = read_reference(job.reference, shapes, env.actions.width) if job.reference else None
        self._checker = ScoreChecker(program, job.env_steps, reference)
        self._memory: Mapping[str, Array] = {name: np.full(env.n, value) for name, value in program.memory.items()}
        limits = parse_limits(job.settings.constraints)
        self._limited = LimitedTotal(program, limits) if limits else None
        is_learned = job.settings.blend == "barfi"
        self.blend = LearnedBlend(program, job.env_steps, job.settings.gamma) if is_learned else None
        self.waited_s = 0.0
        self.layers: tuple[str, ...] = ()

    def score(self, rollout: RolloutStorage) -> ScoredRollout:
        """Return the program's totals; see `RewardSource.score`.

        Raises:
            RewardFailed: if the program misbehaves.
            SandboxUnavailable: if programs cannot be sealed on this machine.
            WorkerFailed: if the reward process cannot be started or is lost.
        """
        start_time = time.perf_counter()
        process, transitions = self._process.result(), self._make_transitions(rollout)
        self.layers = process.layers
        if self._memory:
            scores = process.walk(transitions, rollout.ended, self._memory)
            self._memory = scores.memory
        else:
            scores = process.score(transitions)
        self._checker.check_scores(process, transitions, rollout.ended, scores)
        self.waited_s += time.perf_counter() - start_time
        _check_magnitude(self._program, scores)

        # Totals by the weights, or by the multipliers of the limits
        means = {name: float(term.mean()) for name, term in scores.terms.items()}
        shape = (rollout.steps, rollout.n)
        if self.blend is not None:
            total = self.blend.compute_total(scores.terms, rollout)
            return ScoredRollout(total.reshape(shape), means, scores.total.reshape(shape), weights=self.blend.weights)
        if self._limited is None:
            return ScoredRollout(scores.total.reshape(shape), means)
        goal = self._limited.compute_goal(scores.terms)
        total = self._limited.compute_total(scores.terms, goal)
        return ScoredRollout(total.reshape(shape), means, goal.reshape(shape), self._limited.multipliers)

    def close(self) -> None:
        """End the reward process."""
        if self._process.exception() is None:
            self._process.result().close()

    def _make_transitions(self, rollout: RolloutStorage) -> Transitions:
        reads, layout = self._program.reads, self._layout
        return Transitions(
            _flatten_envs(rollout.clipped_actions),
            before=_unpack_signals(layout, rollout.before, reads.get("before", ())),
            after=_unpack_signals(layout, rollout.after, reads.get("after", ())),
            start=_unpack_signals(layout, rollout.start, reads.get("start", ())),
            terminated=rollout.mark_terminations().ravel() if "terminated" in self._program.arguments else None,
        )


def _unpack_signals(layout: SignalLayout, packed: Array, names: tuple[str, ...]) -> Mapping[str, Array]:
    gathered_names = [name for name in names if name in layout.names]
    return layout.unpack_signals(_flatten_envs(packed), gathered_names) if gathered_names else {}


def _flatten_envs(array: Array) -> Array:
    return array.reshape(-1, array.shape[-1])


def _check_magnitude(program: RewardProgram, scores: Scores) -> None:
    """Refuse a reward that is too large.

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
