"""Keeps account of training episodes: what the points of the learning curve and the rungs report."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from rewardsmith.contract.errors import FitnessError
from rewardsmith.contract.fitness.expression import Fitness
from rewardsmith.contract.fitness.expression import Rollout as FitnessRollout
from rewardsmith.contract.records import CurvePoint
from rewardsmith.worker.envs.base import Layout
from rewardsmith.worker.training.reward_scoring import Scored
from rewardsmith.worker.training.rollout import Final, Rollout

Array = NDArray[np.float64]

RECENT = 40
"""Over how many of the last episodes a rung's fitness is the mean."""


class Episodes:
    """Follows the episodes of n environments across rollouts."""

    def __init__(self, n: int, layout: Layout, fitness: Fitness) -> None:
        self._layout, self._fitness = layout, fitness
        self._returns: Array = np.zeros(n)
        self._running: list[list[tuple[Array, Array]]] = [[] for _ in range(n)]
        """For each environment, the signals (T, w) and actions (T, a) of its running episode, by rollout."""
        self._recent: deque[float] = deque(maxlen=RECENT)
        self._steps = 0
        self._since: list[tuple[float, int, float | None]] = []
        """Return, length and fitness of the episodes that ended since the last point."""
        self._terms: dict[str, list[float]] = {}

    def take(self, rollout: Rollout, scored: Scored) -> None:
        """Take in a scored rollout."""
        self._steps += rollout.steps * rollout.n
        for name, mean in scored.terms.items():
            self._terms.setdefault(name, []).append(mean)
        for i in range(rollout.n):
            begin = 0
            for final in (final for final in rollout.finals if final.env == i):
                end = final.step + 1
                self._finish(rollout, scored, slice(begin, end), final)
                begin = end
            self._returns[i] += scored.total[begin:, i].sum()
            self._running[i].append((rollout.after[begin:, i].copy(), rollout.sent[begin:, i].copy()))

    def point(self) -> CurvePoint:
        """Return the point of the learning curve for what was taken in since the last one."""
        ended, self._since = self._since, []
        terms, self._terms = self._terms, {}
        return CurvePoint(
            env_steps=self._steps,
            episodes=len(ended),
            reward=_mean(reward for reward, _, _ in ended),
            length=_mean(length for _, length, _ in ended),
            fitness=_mean(fitness for _, _, fitness in ended if fitness is not None),
            terms={name: float(np.mean(means)) for name, means in terms.items()},
        )

    def recent_fitness(self) -> float | None:
        """Return the mean fitness of the last episodes; None before the first."""
        return _mean(self._recent)

    def _finish(self, rollout: Rollout, scored: Scored, steps: slice, final: Final) -> None:
        i = final.env
        pieces = [*self._running[i], (rollout.after[steps, i], rollout.sent[steps, i])]
        self._running[i] = []
        signals = np.concatenate([piece[0] for piece in pieces])
        actions = np.concatenate([piece[1] for piece in pieces])
        fitness = self._measure(signals, rollout.start[final.step, i], actions, not final.truncated)
        self._since.append((float(self._returns[i] + scored.total[steps, i].sum()), len(actions), fitness))
        self._returns[i] = 0.0
        if fitness is not None:
            self._recent.append(fitness)

    def _measure(self, signals: Array, start: Array, actions: Array, terminated: bool) -> float | None:
        names = self._fitness.names
        episode = FitnessRollout(
            self._layout.unpack(signals, names), self._layout.unpack(start, names), actions, terminated
        )
        try:
            return self._fitness.evaluate(episode)
        except FitnessError:
            return None  # an episode of a step or two may have no such figure; the evaluation will say so


def _mean(values: Iterable[float]) -> float | None:
    known = list(values)
    return sum(known) / len(known) if known else None
