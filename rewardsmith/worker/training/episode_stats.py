"""Statistics of training episodes and updates, for the points of the learning curve and the rungs."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from rewardsmith.contract.errors import FitnessError
from rewardsmith.contract.fitness import Fitness
from rewardsmith.contract.fitness.expression import Rollout as FitnessRollout
from rewardsmith.contract.known_values import average_known
from rewardsmith.contract.records import CurvePoint
from rewardsmith.worker.envs.base import SignalLayout
from rewardsmith.worker.training.reward_scoring import ScoredRollout
from rewardsmith.worker.training.rollout import EpisodeEnd, RolloutStorage

Array = NDArray[np.float64]

RECENT_EPISODES = 40
"""Number of last episodes whose mean fitness a rung reports."""


class EpisodeStatistics:
    """Episodes of n environments, followed across rollouts."""

    def __init__(self, n: int, layout: SignalLayout, fitness: Fitness) -> None:
        self._layout, self._fitness = layout, fitness
        self._returns: Array = np.zeros(n)
        self._running: list[list[tuple[Array, Array]]] = [[] for _ in range(n)]
        """For each environment, the signals (T, w) and actions (T, a) of its running episode, by rollout."""
        self._recent: deque[float] = deque(maxlen=RECENT_EPISODES)
        self._steps = 0
        self._finished: list[tuple[float, int, float | None]] = []
        """Return, length and fitness of the episodes that ended since the last point."""
        self._terms: dict[str, list[float]] = {}
        self._multipliers: dict[str, float] = {}
        self._weights: dict[str, float] = {}
        self._updates: list[tuple[float, float]] = []
        """approx_kl and clip_fraction of the updates since the last point."""

    def add_rollout(self, rollout: RolloutStorage, scored: ScoredRollout) -> None:
        """Add a scored rollout."""
        self._steps += rollout.steps * rollout.n
        self._multipliers, self._weights = dict(scored.multipliers), dict(scored.weights)
        for name, mean in scored.terms.items():
            self._terms.setdefault(name, []).append(mean)
        rewards = scored.total if scored.goal is None else scored.goal
        for i in range(rollout.n):
            # Episodes that ended inside the rollout
            begin = 0
            for episode_end in (episode_end for episode_end in rollout.episode_ends if episode_end.env == i):
                end = episode_end.step + 1
                self._finish_episode(rollout, rewards, slice(begin, end), episode_end)
                begin = end

            # The one that goes on
            self._returns[i] += rewards[begin:, i].sum()
            self._running[i].append((rollout.after[begin:, i].copy(), rollout.clipped_actions[begin:, i].copy()))

    def add_update(self, approx_kl: float, clip_fraction: float) -> None:
        """Add what PPO's update logs about the size of its step."""
        self._updates.append((float(approx_kl), float(clip_fraction)))

    def pop_curve_point(self) -> CurvePoint:
        """Return the point of the learning curve for everything that was added since the last one."""
        finished, self._finished = self._finished, []
        terms, self._terms = self._terms, {}
        updates, self._updates = self._updates, []
        return CurvePoint(
            env_steps=self._steps,
            episodes=len(finished),
            reward=average_known(reward for reward, _, _ in finished),
            length=average_known(length for _, length, _ in finished),
            fitness=average_known(fitness for _, _, fitness in finished),
            terms={name: float(np.mean(means)) for name, means in terms.items()},
            approx_kl=average_known(approx_kl for approx_kl, _ in updates),
            clip_fraction=average_known(clip_fraction for _, clip_fraction in updates),
            multipliers=self._multipliers,
            weights=self._weights,
        )

    def compute_recent_fitness(self) -> float | None:
        """Return the mean fitness of the last episodes; None before the first."""
        return average_known(self._recent)

    def _finish_episode(self, rollout: RolloutStorage, rewards: Array, steps: slice, end: EpisodeEnd) -> None:
        """Add the episode that ended, whose last steps are those of the rollout."""
        i = end.env
        pieces = [*self._running[i], (rollout.after[steps, i], rollout.clipped_actions[steps, i])]
        self._running[i] = []
        signals = np.concatenate([piece[0] for piece in pieces])
        actions = np.concatenate([piece[1] for piece in pieces])
        fitness = self._compute_fitness(signals, rollout.start[end.step, i], actions, not end.truncated)
        episode_return = float(self._returns[i] + rewards[steps, i].sum())
        self._finished.append((episode_return, len(actions), fitness))
        self._returns[i] = 0.0
        if fitness is not None:
            self._recent.append(fitness)

    def _compute_fitness(self, signals: Array, start: Array, actions: Array, terminated: bool) -> float | None:
        names = self._fitness.names
        episode = FitnessRollout(
            self._layout.unpack_signals(signals, names), self._layout.unpack_signals(start, names), actions, terminated
        )
        try:
            return self._fitness.evaluate(episode)
        except FitnessError:
            return None  # an episode of a step or two may have no value; the evaluation reports that
