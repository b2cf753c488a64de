"""Any registered Gymnasium environment: n instances stepped in a loop, behind the common interface."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from rewardsmith.contract.errors import TaskError
from rewardsmith.contract.records import EnvSpec
from rewardsmith.contract.signal_source import Index
from rewardsmith.worker.envs.base import NONE_ENDED, Actions, Array, Layout, Step
from rewardsmith.worker.envs.mujoco_fields import Mirror, is_field, model_of, row_of, simulation_of
from rewardsmith.worker.envs.open_env import first_info, open_env, read_actions, read_image
from rewardsmith.worker.envs.signal_reader import Reader, no_names
from rewardsmith.worker.training.images import observed_dtype


class GenericEnv:
    """n Gymnasium environments of one kind; see `base.BatchedEnv`."""

    def __init__(self, spec: EnvSpec, n: int, layout: Layout, first: Any = None) -> None:
        """Build the environments.

        Args:
            spec: the environment.
            n: how many.
            layout: the signals to gather.
            first: an environment of this spec that is already built, to be one of the n.

        Raises:
            TaskError: if the environment cannot be built, its spaces cannot be used, or a signal cannot be read.
        """
        first = open_env(spec) if first is None else first
        self._envs = [first, *(open_env(spec) for _ in range(n - 1))]
        self.n = n
        self.actions: Actions = read_actions(spec.env_id, first.action_space)
        self._space = first.observation_space
        if not self._space.is_np_flattenable:
            raise TaskError(f"{spec.env_id!r}: observations of {type(self._space).__name__} have no fixed length")
        self._vector = isinstance(self._space, spaces.Box) and len(self._space.shape) == 1
        self.obs_dim = int(spaces.flatdim(self._space))
        self.image = read_image(self._space)
        self.max_episode_steps = first.spec.max_episode_steps
        self.layout = layout
        self._obs: Array = np.zeros((n, self.obs_dim), observed_dtype(self.image))
        self._own = np.zeros(n)
        self._ends = np.zeros((3, n), dtype=np.bool_)
        self._signals, self._start = np.zeros((n, layout.width)), np.zeros((n, layout.width))
        self._fields = _Fields(self._envs, Reader.of(layout, self._resolve), self._obs)

    def reset(self, seeds: Sequence[int] | None = None) -> Array:
        """Start an episode everywhere; see `BatchedEnv.reset`."""
        for row in range(self.n):
            self._restart(row, None if seeds is None else int(seeds[row]))
        self._fields.pack(self._signals)
        self._start[:] = self._signals
        return self._obs

    def step(self, actions: NDArray[np.floating]) -> Step:
        """Act once everywhere; see `BatchedEnv.step`."""
        before_obs, before = self._obs.copy(), self._signals.copy()
        terminated, truncated, broken = self._ends
        for row, action in enumerate(self._outgoing(actions)):
            obs, self._own[row], terminated[row], truncated[row], info = self._envs[row].step(action)
            self._store(row, obs)
            self._fields.take(row, info, self._own[row])
        truncated &= ~terminated
        self._fields.pack(self._signals)
        sound = np.isfinite(self._obs).all(axis=1) & np.isfinite(self._signals).all(axis=1) & np.isfinite(self._own)
        np.logical_not(sound, out=broken)
        if not sound.all():
            self._mend(before_obs, before)
        ended_rows = np.flatnonzero(terminated | truncated)
        if not len(ended_rows):
            return Step(self._obs, self._obs, terminated, truncated, self._own, self._signals, broken, NONE_ENDED)
        final_obs, after = self._obs.copy(), self._signals.copy()
        for row in ended_rows.tolist():
            self._restart(row, None)
        self._fields.pack(self._signals, ended_rows)
        self._start[ended_rows] = self._signals[ended_rows]
        return Step(self._obs, final_obs, terminated, truncated, self._own, after, broken, ended_rows)

    def current(self) -> Array:
        """Return the signals at the state that the next step acts on."""
        return self._signals

    def start(self) -> Array:
        """Return the signals at the start of each running episode."""
        return self._start

    def close(self) -> None:
        """Close the environments."""
        for env in self._envs:
            env.close()

    def _mend(self, before_obs: Array, before: Array) -> None:
        terminated, truncated, broken = self._ends
        self._obs[broken], self._signals[broken] = before_obs[broken], before[broken]
        self._own[broken] = 0.0
        terminated |= broken
        truncated &= ~broken

    def _restart(self, row: int, seed: int | None) -> None:
        obs, info = self._envs[row].reset(seed=seed)
        self._store(row, obs)
        self._fields.forget(row)
        self._fields.take(row, info, 0.0)

    def _store(self, row: int, obs: Any) -> None:
        if self._vector:
            self._obs[row] = obs
        else:
            flat: Any = spaces.flatten(self._space, obs)
            self._obs[row] = flat

    def _outgoing(self, actions: NDArray[np.floating]) -> Iterable[Any]:
        """Return the actions (n, a) as the environments take them."""
        space = self._envs[0].action_space
        if self.actions.n is not None:
            numbers = actions[:, 0].astype(np.int64)
            return self._combined(numbers) if self.actions.parts else (numbers + space.start).tolist()
        return actions.astype(space.dtype).reshape(-1, *space.shape)

    def _combined(self, numbers: NDArray[np.int64]) -> Iterable[Any]:
        """Return the combinations of choices that have these numbers (n,)."""
        space = self._envs[0].action_space
        rows = np.stack(np.unravel_index(numbers, self.actions.parts), axis=1).reshape(-1, *space.shape)
        return (rows + getattr(space, "start", 0)).astype(space.dtype)

    def _resolve(self, field: str, name: str) -> Index:
        model = model_of(self._envs[0])
        return row_of(model, field, name) if is_field(field) and model is not None else no_names(field, name)


class _Fields:
    """The fields that a reader names, of n environments: observation, own reward, `state`, `info`, MuJoCo's."""

    def __init__(self, envs: Sequence[Any], reader: Reader, obs: Array) -> None:
        self._envs, self._reader, self._obs = envs, reader, obs
        fields = reader.fields
        physical = [name for name in fields if is_field(name)]
        model = model_of(envs[0])
        if physical and model is None:
            raise TaskError(f"a signal reads {physical[0]!r}, but the environment has no MuJoCo model")
        self._mirror = Mirror(model, physical, len(envs)) if physical else None
        self._infos = {name.removeprefix("info."): name for name in fields if name.startswith("info.")}
        self._reads_state = "state" in fields
        self._buffers: dict[str, Array] = {"obs": obs, "own_reward": np.zeros(len(envs))}
        self._allocate(fields)
        self._copy = reader.bind(self._get, () if model is None else model.body_rootid)

    def forget(self, row: int) -> None:
        """Drop what the `info` of an ended episode said."""
        for name in self._infos.values():
            self._buffers[name][row] = 0.0

    def take(self, row: int, info: dict[str, Any], own_reward: float) -> None:
        """Note one environment's present values."""
        env = self._envs[row].unwrapped
        self._buffers["own_reward"][row] = own_reward
        simulation = None if self._mirror is None else simulation_of(self._envs[row])
        if self._mirror is not None and simulation is not None:
            self._mirror.read(*simulation, row)
        if self._reads_state:
            self._buffers["state"][row] = np.ravel(env.state)
        for key, name in self._infos.items():
            if key in info:
                self._buffers[name][row] = info[key]

    def pack(self, out: Array, rows: NDArray[np.intp] | None = None) -> None:
        """Copy the noted values into packed rows: all, or those given."""
        if rows is None:
            self._copy(out)
            return
        packed = np.empty_like(out)
        self._copy(packed)
        out[rows] = packed[rows]

    def _get(self, field: str) -> Array:
        if self._mirror is not None and is_field(field):
            return self._mirror.get(field)
        return self._buffers[field]

    def _allocate(self, fields: Sequence[str]) -> None:
        """Make buffers for what has no shape until an environment has run; the probe is thrown away by a reset."""
        probed = [name for name in fields if name not in self._buffers and not is_field(name)]
        if not probed:
            return
        env = self._envs[0]
        info = first_info(env) if self._infos else env.reset(seed=0)[1]
        for name in probed:
            self._buffers[name] = np.zeros((len(self._envs), *np.shape(_sample(env.unwrapped, info, name))))


def _sample(env: Any, info: dict[str, Any], name: str) -> Any:
    if name == "state":
        if getattr(env, "state", None) is None:
            raise TaskError("a signal reads `state`, but the environment has no such attribute")
        return np.ravel(env.state)
    key = name.removeprefix("info.")
    if name.startswith("info.") and key in info:
        return info[key]
    if name.startswith("info."):
        raise TaskError(f"info[{key}]: the environment reports no {key!r}; it reports {', '.join(info) or 'nothing'}")
    raise TaskError(f"a signal reads {name!r}; there are obs, own_reward, state, info and the fields of a MuJoCo model")
