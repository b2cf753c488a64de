"""Collects rollouts: n environments acted in for T steps, everything kept that scoring and learning need."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rewardsmith.worker.envs.base import BatchedEnv
from rewardsmith.worker.training.actor import Actor
from rewardsmith.worker.training.images import ImageScaling, observed_dtype
from rewardsmith.worker.training.running_stats import ObsScaling

Array = NDArray[np.float64]
Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]


class Final(NamedTuple):
    """The end of an episode inside a rollout."""

    step: int
    env: int
    obs: Array
    """(obs_dim,): the last observation, as the environment gave it."""
    truncated: bool
    """It was the time limit; else the environment's rule."""


class Rollout:
    """T steps of n environments; the same buffers are filled again and again."""

    def __init__(self, steps: int, env: BatchedEnv) -> None:
        """Allocate for T `steps` in the environments."""
        n, d, a, w = env.n, env.obs_dim, env.actions.width, env.layout.width
        self.steps, self.n = steps, n
        self.seen: Array = np.empty((steps, n, d), observed_dtype(env.image))
        """Observations that were acted on, as the environment gave them."""
        self.obs: Floats = np.empty((steps, n, d), np.uint8 if env.image else np.float32)
        """The same as the policy took them: scaled, or an image's bytes, channel first."""
        self.drawn: Floats = np.empty((steps, n, a), np.float32)
        """Actions as the policy drew them."""
        self.sent: Array = np.empty((steps, n, a))
        """Actions as the environment took them: inside its bounds."""
        self.before: Array = np.empty((steps, n, w))
        self.after: Array = np.empty((steps, n, w))
        self.start: Array = np.empty((steps, n, w))
        """Gathered signals before and after each action, and at the start of its episode."""
        self.own: Array = np.empty((steps, n))
        """The environment's own reward."""
        self.ended: Bools = np.empty((steps, n), np.bool_)
        self.finals: list[Final] = []
        self.last_obs: Floats = np.empty((n, d), self.obs.dtype)
        """What the next rollout acts on first, as the policy takes it."""
        self.choices = env.actions.n
        """Number of discrete actions; None for a box."""

    def rows(self, noise: Floats) -> Iterator[tuple[NDArray[Any], ...]]:
        """Return, step by step, the noise (n, ...) and what is written: views, which iteration makes fastest."""
        written = (self.seen, self.obs, self.drawn, self.sent, self.before, self.start, self.after, self.own)
        return zip(noise, *written, self.ended, strict=True)

    def truncations(self) -> list[Final]:
        """Return the ends by the time limit, whose values are bootstrapped."""
        return [final for final in self.finals if final.truncated]


class Collector:
    """Acts in the environments and fills rollouts."""

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
        self.broken = 0
        """How many episodes ended because the simulation broke; see `Step.broken`."""

    def collect(self, rollout: Rollout) -> None:
        """Fill a rollout, going on where the last one ended."""
        env, actor, scaling = self._env, self._actor, self._scaling
        rollout.finals.clear()
        obs = self._obs
        noise = actor.begin(self._rng, rollout.steps)
        for t, (random, seen, taken, drawn, sent, before, start, after, own, ended) in enumerate(rollout.rows(noise)):
            seen[...] = obs
            if self._first:
                scaling.update(obs)
            scaling.apply(obs, taken)
            actor.act(taken, random, drawn)
            np.maximum(drawn, self._low, out=sent)
            np.minimum(sent, self._high, out=sent)
            before[...] = env.current()
            start[...] = env.start()
            step = env.step(sent)
            obs = step.obs
            after[...] = step.after
            own[...] = step.own_reward
            np.logical_or(step.terminated, step.truncated, out=ended)
            for i in step.ended:
                self.broken += bool(step.broken[i])
                rollout.finals.append(Final(t, int(i), step.final_obs[i].copy(), bool(step.truncated[i])))
        self._obs = obs
        if not self._first:
            scaling.update(rollout.seen.reshape(-1, rollout.seen.shape[-1]))
        self._first = False
        rollout.last_obs[...] = scaling.applied(obs)
