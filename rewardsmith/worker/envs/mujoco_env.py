"""The Gymnasium MuJoCo v5 tasks, n at once: rules over arrays on batched physics, resets by the original itself."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from gymnasium.wrappers import OrderEnforcing, TimeLimit
from numpy.typing import NDArray

from rewardsmith.contract.signal_source import Index
from rewardsmith.worker.envs.base import NONE_ENDED, Actions, Array, Bools, Layout, Step
from rewardsmith.worker.envs.mujoco_contact_rules import CONTACT_RULES
from rewardsmith.worker.envs.mujoco_fields import Mirror, is_field, row_of
from rewardsmith.worker.envs.mujoco_physics import physics
from rewardsmith.worker.envs.mujoco_rules import RULES, Rules
from rewardsmith.worker.envs.open_env import read_actions
from rewardsmith.worker.envs.signal_reader import Reader, no_names

PLAIN = ("obs", "own_reward")
"""What signals and measures can read beside the fields of the physics."""


def rules_for(env: Any) -> type[Rules] | None:
    """Return the rules that restate an environment (as `gymnasium.make` gives it), None where there are none."""
    while isinstance(env, TimeLimit | OrderEnforcing):
        env = env.env
    if env is not env.unwrapped or env.render_mode is not None:
        return None
    return {**RULES, **CONTACT_RULES}.get(type(env))


class MujocoEnv:
    """n environments of one Gymnasium MuJoCo v5 task; see `base.BatchedEnv`."""

    image = None

    def __init__(self, wrapped: Any, rules: type[Rules], n: int, layout: Layout) -> None:
        """Build the environments.

        Args:
            wrapped: one of them, as `gymnasium.make` gives it; it becomes theirs.
            rules: what `rules_for` gives for it.
            n: how many.
            layout: the signals to gather.

        Raises:
            TaskError: if a signal cannot be read.
        """
        # One instance of the original starts every episode, with the generator of the row that starts.
        self._original = original = wrapped.unwrapped
        self.n = n
        self.actions: Actions = read_actions(wrapped.spec.id, original.action_space)
        self.obs_dim = int(original.observation_space.shape[0])
        self.max_episode_steps = wrapped.spec.max_episode_steps
        self.layout = layout
        self._limit = math.inf if self.max_episode_steps is None else self.max_episode_steps
        self._rngs: list[np.random.Generator | None] = [None] * n
        self._obs, self._own, self._elapsed = np.zeros((n, self.obs_dim)), np.zeros(n), np.zeros(n)
        self._flat_obs = self._obs.ravel()
        self._obs_before = np.zeros((n, self.obs_dim))
        self._terminated, self._truncated = np.zeros(n, np.bool_), np.zeros(n, np.bool_)
        self._never: Bools = np.zeros(n, np.bool_)
        self._bind(rules)

    def _bind(self, rules: type[Rules]) -> None:
        reader = Reader.of(self.layout, self._resolve)
        fields = [name for name in reader.fields if is_field(name)]
        model = self._original.model
        self._physics = physics(model, self.n, self._original.frame_skip, rules.fields, fields)
        self._rules = rules(self._original, self._physics.stepped)
        self._mirror, self._first_obs = Mirror(model, fields, 1), np.zeros((1, self.obs_dim))
        shape = (self.n, self.layout.width)
        self._signals, self._signals_before, self._start = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        roots = model.body_rootid
        self._gather = reader.bind(_getter(self._physics.current, self._obs, self._own), roots)
        self._gather_one = reader.bind(_getter(self._mirror.get, self._first_obs, np.zeros(1)), roots)

    def reset(self, seeds: Sequence[int] | None = None) -> Array:
        """Start an episode everywhere; see `BatchedEnv.reset`."""
        for row in range(self.n):
            self._restart(row, None if seeds is None else int(seeds[row]))
        return self._obs

    def step(self, actions: NDArray[np.floating]) -> Step:
        """Act once everywhere; see `BatchedEnv.step`."""
        obs, own, terminated, truncated = self._obs, self._own, self._terminated, self._truncated
        sent = actions.astype(np.float32)
        self._obs_before[:], self._signals_before[:] = obs, self._signals
        self._rules.begin()
        self._physics.step(sent)
        self._rules.observe(obs)
        self._rules.judge(sent, own, terminated)
        self._physics.refresh()
        self._gather(self._signals)
        broken = self._mend()
        self._elapsed += 1.0
        np.greater_equal(self._elapsed, self._limit, out=truncated)
        truncated &= ~terminated
        ended = (terminated | truncated).nonzero()[0]
        if not ended.size:
            return Step(obs, obs, terminated, truncated, own, self._signals, broken, NONE_ENDED)
        final_obs, after = obs.copy(), self._signals.copy()
        for row in ended.tolist():
            self._restart(row, None)
        return Step(obs, final_obs, terminated, truncated, own, after, broken, ended)

    def current(self) -> Array:
        """Return the signals at the state that the next step acts on."""
        return self._signals

    def start(self) -> Array:
        """Return the signals at the start of each running episode."""
        return self._start

    def close(self) -> None:
        """Close the original."""
        self._original.close()

    def _mend(self) -> Bools:
        """End the episodes whose physics diverged, with the values before the step; return which."""
        diverged = self._physics.diverged()
        # One product finds a value that is not finite anywhere; one that overflows is looked at below.
        if diverged is None and math.isfinite(self._flat_obs.dot(self._flat_obs)):
            return self._never
        broken: Bools = np.logical_not(np.isfinite(self._obs).all(axis=1))
        if diverged is not None:
            broken |= diverged
        self._obs[broken], self._signals[broken] = self._obs_before[broken], self._signals_before[broken]
        self._own[broken] = 0.0
        self._terminated |= broken
        return broken

    def _restart(self, row: int, seed: int | None) -> None:
        original = self._original
        if seed is None:
            original.np_random = self._rngs[row] or np.random.default_rng()
        obs, _ = original.reset(seed=seed)
        self._rngs[row] = original.np_random
        self._obs[row] = self._first_obs[0] = obs
        self._elapsed[row] = 0.0
        self._physics.restore(row, original.data)
        if self.layout.width:
            self._mirror.read(original.model, original.data, 0)
            self._gather_one(self._signals[row : row + 1])
            self._start[row] = self._signals[row]

    def _resolve(self, field: str, name: str) -> Index:
        return row_of(self._original.model, field, name) if is_field(field) else no_names(field, name)


def _getter(get: Callable[[str], Array], obs: Array, own: Array) -> Callable[[str], Array]:
    plain = dict(zip(PLAIN, (obs, own), strict=True))
    return lambda name: plain[name] if name in plain else get(name)
