"""The Gymnasium MuJoCo v5 tasks, n at once: rules over arrays on batched physics, resets by the original itself."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from gymnasium.wrappers import OrderEnforcing, TimeLimit
from numpy.typing import NDArray

from rewardsmith.contract.signal_source import Index
from rewardsmith.worker.envs.base import NONE_ENDED, ActionSpec, Array, Bools, EnvStep, SignalLayout, count_step
from rewardsmith.worker.envs.mujoco_contact_rules import CONTACT_RULES
from rewardsmith.worker.envs.mujoco_fields import FieldMirror, find_rows, is_field
from rewardsmith.worker.envs.mujoco_physics import make_physics
from rewardsmith.worker.envs.mujoco_rules import RULES, StepRules
from rewardsmith.worker.envs.open_env import read_actions, read_step_time
from rewardsmith.worker.envs.signal_reader import SignalReader, refuse_row_name
from rewardsmith.worker.envs.thread_choice import ThreadChoice
from rewardsmith.worker.training.images import ImagePart

PLAIN_FIELDS = ("obs", "environment_reward")
"""Fields that sources can read in addition to those of the physics."""


def find_rules(env: Any) -> type[StepRules] | None:
    """Return the rules that restate an environment (as `gymnasium.make` gives it), None where there are none."""
    while isinstance(env, TimeLimit | OrderEnforcing):
        env = env.env
    if env is not env.unwrapped or env.render_mode is not None:
        return None
    return {**RULES, **CONTACT_RULES}.get(type(env))


class MujocoEnv:
    """n environments of one Gymnasium MuJoCo v5 task; see `base.BatchedEnv`."""

    image = None
    image_parts: tuple[ImagePart, ...] = ()
    faults: Mapping[str, str] = MappingProxyType({})

    def __init__(
        self, wrapped: Any, rules: type[StepRules], n: int, layout: SignalLayout, threads: ThreadChoice | None = None
    ) -> None:
        """Build the environments.

        Args:
            wrapped: one of them, as `gymnasium.make` gives it; it becomes theirs.
            rules: what `find_rules` gives for it.
            n: how many.
            layout: the signals to gather.
            threads: chooses how many threads step the simulations; None takes one.

        Raises:
            TaskError: if a signal cannot be read.
        """
        # One instance of the original starts every episode, with the generator of the row that starts.
        self._original = original = wrapped.unwrapped
        self.n = n
        self.actions: ActionSpec = read_actions(wrapped.spec.id, original.action_space)
        self.obs_dim = int(original.observation_space.shape[0])
        self.max_episode_steps = wrapped.spec.max_episode_steps
        self.step_s: float | None = read_step_time(original)
        self.layout = layout
        self._limit = math.inf if self.max_episode_steps is None else self.max_episode_steps
        self._rngs: list[np.random.Generator | None] = [None] * n
        self._obs, self._own, self._elapsed = np.zeros((n, self.obs_dim)), np.zeros(n), np.zeros(n)
        self._flat_obs = self._obs.ravel()
        self._obs_before = np.zeros((n, self.obs_dim))
        self._terminated, self._truncated = np.zeros(n, np.bool_), np.zeros(n, np.bool_)
        self._never: Bools = np.zeros(n, np.bool_)
        self._bind_rules(rules, threads)

    def _bind_rules(self, rules: type[StepRules], threads: ThreadChoice | None) -> None:
        reader = SignalReader.from_layout(self.layout, self._resolve_row)
        fields = [name for name in reader.fields if is_field(name)]
        model = self._original.model
        self._physics = make_physics(model, self.n, self._original.frame_skip, rules.fields, fields, threads)
        self._rules = rules(self._original, self._physics.stepped_buffer)
        self._mirror, self._first_obs = FieldMirror(model, fields, 1), np.zeros((1, self.obs_dim))
        shape = (self.n, self.layout.width)
        self._signals, self._signals_before, self._start = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        roots = model.body_rootid
        self._gather = reader.bind_fields(make_getter(self._physics.current_buffer, self._obs, self._own), roots)
        self._gather_one = reader.bind_fields(make_getter(self._mirror.get_buffer, self._first_obs, np.zeros(1)), roots)

    def reset(self, seeds: Sequence[int] | None = None) -> Array:
        """Start an episode everywhere; see `BatchedEnv.reset`."""
        for row in range(self.n):
            self._restart_row(row, None if seeds is None else int(seeds[row]))
        return self._obs

    def step(self, actions: NDArray[np.floating]) -> EnvStep:
        """Act once everywhere; see `BatchedEnv.step`."""
        obs, own, terminated, truncated = self._obs, self._own, self._terminated, self._truncated

        # Act, and judge the state that the step leaves, as the original does.
        sent = actions.astype(np.float32)
        self._obs_before[:], self._signals_before[:] = obs, self._signals
        self._rules.begin_step()
        self._physics.step(sent)
        self._rules.write_observations(obs)
        self._rules.write_rewards(sent, own, terminated)

        # Gather the signals at the present state.
        self._physics.refresh_current()
        self._gather(self._signals)
        broken = self._end_broken_rows()

        # Cut at the time limit, and start the next episodes.
        ended = count_step(self._elapsed, self._limit, terminated, truncated)
        if not ended.size:
            return EnvStep(obs, obs, terminated, truncated, own, self._signals, broken, NONE_ENDED)
        final_obs, after = obs.copy(), self._signals.copy()
        for row in ended.tolist():
            self._restart_row(row, None)
        return EnvStep(obs, final_obs, terminated, truncated, own, after, broken, ended)

    def read_signals(self) -> Array:
        """Return the signals at the state that the next step acts on."""
        return self._signals

    def read_start_signals(self) -> Array:
        """Return the signals at the start of each running episode."""
        return self._start

    def close(self) -> None:
        """Close the original."""
        self._original.close()

    def _end_broken_rows(self) -> Bools:
        """End the episodes whose physics diverged, with the values before the step; return which."""
        diverged = self._physics.find_diverged()
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

    def _restart_row(self, row: int, seed: int | None) -> None:
        original = self._original
        if seed is None:
            original.np_random = self._rngs[row] or np.random.default_rng()
        obs, _ = original.reset(seed=seed)
        self._rngs[row] = original.np_random
        self._obs[row] = self._first_obs[0] = obs
        self._elapsed[row] = 0.0
        self._physics.restore_row(row, original.data)
        if self.layout.width:
            self._mirror.copy_simulation(original.model, original.data, 0)
            self._gather_one(self._signals[row : row + 1])
            self._start[row] = self._signals[row]

    def _resolve_row(self, field: str, name: str) -> Index:
        return find_rows(self._original.model, field, name) if is_field(field) else refuse_row_name(field, name)


def make_getter(get: Callable[[str], Array], obs: Array, own: Array) -> Callable[[str], Array]:
    """Return the function from a field that sources read to its buffer: the physics' own, or one of `PLAIN_FIELDS`.

    Args:
        get: gives the buffers (n, ...) of the physics.
        obs: (n, obs_dim), the observations.
        own: (n,), the environment's own rewards.
    """
    plain = dict(zip(PLAIN_FIELDS, (obs, own), strict=True))
    return lambda name: plain[name] if name in plain else get(name)
