"""Rollouts: n environments acted in for T steps, with everything that scoring and learning need."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rewardsmith.contract.errors import RewardFailed
from rewardsmith.worker.envs.base import BatchedEnv
from rewardsmith.worker.learned_signals.env import fill_learned_columns
from rewardsmith.worker.training.actor import Actor
from rewardsmith.worker.training.images import ImageScaling, get_observation_dtype
from rewardsmith.worker.training.running_stats import ObsScaling

Array = NDArray[np.float64]
Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]


class EpisodeEnd(NamedTuple):
    """The end of an episode inside a rollout."""

    step: int
    env: int
    last_obs: Array
    """(obs_dim,): the last observation, as the environment gave it."""
    truncated: bool
    """Whether the time limit ended it; else the environment's rule did."""


def check_environment_reward(reward: Array) -> None:
    """Make sure that the environment rewards (T, n) of a rollout can be trained on.

    Raises:
        RewardFailed: if one is not finite.
    """
    wrong = reward[~np.isfinite(reward)]
    if wrong.size:
        raise RewardFailed(
            f"the environment reward cannot be trained on: it is {wrong[0]} in {wrong.size:,} of {reward.size:,} steps",
            code="not-finite",
        )


class RolloutStorage:
    """Buffers for T steps of n environments, filled again by each rollout."""

    def __init__(self, steps: int, env: BatchedEnv) -> None:
        """Allocate for T `steps` in the environments."""
        n, d, a, w = env.n, env.obs_dim, env.actions.width, env.layout.width
        self.steps, self.n = steps, n
        self.raw_obs: Array = np.empty((steps, n, d), get_observation_dtype(env.image))
        """Observations that were acted on, as the environment gave them."""
        self.obs: Floats = np.empty((steps, n, d), np.uint8 if env.image else np.float32)
        """The same as the policy took them: scaled, or an image's bytes, channel first."""
        self.actions: Floats = np.empty((steps, n, a), np.float32)
        """Actions as the policy drew them."""
        self.clipped_actions: Array = np.empty((steps, n, a))
        """Actions as the environment took them: inside its bounds."""
        self.before: Array = np.empty((steps, n, w))
        self.after: Array = np.empty((steps, n, w))
        self.start: Array = np.empty((steps, n, w))
        """Gathered signals before and after each action, and at the start of its episode."""
        self.environment_reward: Array = np.empty((steps, n))
        """(T, n)"""
        self.ended: Bools = np.empty((steps, n), np.bool_)
        self.episode_ends: list[EpisodeEnd] = []
        self.last_obs: Floats = np.empty((n, d), self.obs.dtype)
        """First observations of the next rollout, as the policy takes them."""
        self.discrete_actions = env.actions.n
        """Number of discrete actions; None for a box."""

    def iter_steps(self, noise: Floats) -> Iterator[tuple[NDArray[Any], ...]]:
        """Return views of each step: its noise (n, ...) and its row of every buffer, in the order of collection.

        Iterating over arrays is the fastest way to make such views.
        """
        observed = (self.raw_obs, self.obs, self.actions, self.clipped_actions, self.before, self.start)
        outcome = (self.after, self.environment_reward, self.ended)
        return zip(noise, *observed, *outcome, strict=True)

    def list_truncations(self) -> list[EpisodeEnd]:
        """Return the ends by the time limit, whose values are bootstrapped."""
        return [end for end in self.episode_ends if end.truncated]

    def mark_terminations(self) -> Bools:
        """Return (T, n): where the environment's rule ended an episode, not the time limit."""
        terminated = self.ended.copy()
        for end in self.list_truncations():
            terminated[end.step, end.env] = False
        return terminated


class RolloutCollector:
    """Collector of rollouts: it acts in the environments and fills the buffers."""

    def __init__(self, env: BatchedEnv, actor: Actor, scaling: ObsScaling | ImageScaling, seed: int) -> None:
        """Start an episode in every environment.

        Args:
            env: what to act in.
            actor: draws the actions; it follows the policy while that learns.
            scaling: of observations; it learns from what is collected.
            seed: of the environments and the exploration.
        """
        self._env, self._actor, self._scaling = env, actor, scaling
        sequence = np.random.SeedSequence(seed)
        resets, exploration = sequence.spawn(2)
        self._rng = np.random.default_rng(exploration)
        self.seeds = [int(word) for word in resets.generate_state(env.n)]
        self._obs = env.reset(self.seeds)
        self._low = np.array(env.actions.low)
        self._high = np.array(env.actions.high)
        self._first = True
        self.broken_episodes = 0
        """Number of episodes that ended because the simulation broke; see `EnvStep.broken`."""

    def collect_rollout(self, rollout: RolloutStorage) -> None:
        """Fill a rollout, going on where the last one ended."""
        env, actor, scaling = self._env, self._actor, self._scaling
        rollout.episode_ends.clear()
        next_obs = self._obs
        noise = actor.draw_noise(self._rng, rollout.steps)
        for t, views in enumerate(rollout.iter_steps(noise)):
            step_noise, raw_obs, obs, actions, clipped_actions, before, start, after, environment_reward, ended = views
            raw_obs[...] = next_obs
            if self._first:
                scaling.update(next_obs)
            scaling.scale_into(next_obs, obs)

            # Sample actions, and clip them to the bounds of the action space
            actor.act(obs, step_noise, actions)
            np.maximum(actions, self._low, out=clipped_actions)
            np.minimum(clipped_actions, self._high, out=clipped_actions)

            # Signals before and after the step
            before[...] = env.read_signals()
            start[...] = env.read_start_signals()
            step = env.step(clipped_actions)
            next_obs = step.obs
            after[...] = step.after
            environment_reward[...] = step.environment_reward

            np.logical_or(step.terminated, step.truncated, out=ended)
            for i in step.ended:
                self.broken_episodes += bool(step.broken[i])
                end = EpisodeEnd(t, int(i), step.final_obs[i].copy(), bool(step.truncated[i]))
                rollout.episode_ends.append(end)
        self._obs = next_obs
        fill_learned_columns(env, rollout.after, rollout.before, rollout.start)

        # The first rollout is normalised step by step; later ones by the statistics of all rollouts before them.
        if not self._first:
            scaling.update(rollout.raw_obs.reshape(-1, rollout.raw_obs.shape[-1]))
        self._first = False
        rollout.last_obs[...] = scaling.scale(next_obs)
