"""Any registered Gymnasium environment: n instances stepped in a loop, with the interface of `BatchedEnv`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from rewardsmith.contract.errors import TaskError
from rewardsmith.contract.records import EnvSpec
from rewardsmith.contract.signal_source import ENVIRONMENT_REWARD, Index, list_field_references, parse
from rewardsmith.worker.envs.base import NONE_ENDED, ActionSpec, Array, EnvStep, SignalLayout
from rewardsmith.worker.envs.env_faults import find_fault, reset_checked
from rewardsmith.worker.envs.flat_observation import FlatObservation
from rewardsmith.worker.envs.info_parts import MISSING, find_part, read_value
from rewardsmith.worker.envs.mujoco_fields import FieldMirror, find_rows, get_model, get_simulation, is_field
from rewardsmith.worker.envs.open_env import (
    open_env,
    read_actions,
    read_image,
    read_image_parts,
    read_step_time,
    sample_info,
)
from rewardsmith.worker.envs.signal_reader import SignalReader, refuse_row_name
from rewardsmith.worker.training.images import get_observation_dtype

SEED_RANGE = 2**31
"""Seeds given to an environment that is not Gymnasium's own are below it: many packages keep them in 32 bits."""


class GenericEnv:
    """n Gymnasium environments of one kind; see `base.BatchedEnv`."""

    def __init__(
        self, spec: EnvSpec, n: int, layout: SignalLayout, first: Any = None, others: Sequence[Any] = ()
    ) -> None:
        """Build the environments.

        Args:
            spec: the environment.
            n: how many.
            layout: the signals to gather.
            first: an environment of this spec that is already built, to be one of the n.
            others: further ones; the rest is built here.

        Raises:
            TaskError: if the environment cannot be built, its spaces cannot be used, or a signal cannot be read.
        """
        # The environments and their spaces
        first = open_env(spec) if first is None else first
        self._envs = [first, *others, *(open_env(spec) for _ in range(n - 1 - len(others)))]
        self.n = n
        self.actions: ActionSpec = read_actions(spec.env_id, first.action_space)
        space = first.observation_space
        self._flat = FlatObservation(space)
        self._vector = isinstance(space, spaces.Box) and len(space.shape) == 1
        self.obs_dim = self._flat.size
        self.image = read_image(space)
        self.image_parts = read_image_parts(self._flat)
        self._flat.check_size(spec.env_id, self.image is not None)
        self._seed_range = None if _is_gymnasium(first) else SEED_RANGE
        self.max_episode_steps = first.spec.max_episode_steps
        self.step_s: float | None = read_step_time(first.unwrapped)
        self.layout = layout

        # Buffers of a step, and the reader of the signals
        self._obs: Array = np.zeros((n, self.obs_dim), get_observation_dtype(self.image))
        self._own = np.zeros(n)
        self._ends = np.zeros((3, n), dtype=np.bool_)
        self._signals, self._start = np.zeros((n, layout.width)), np.zeros((n, layout.width))
        reader = SignalReader.from_layout(layout, self._resolve_row)
        self._fields = _FieldBuffers(spec.env_id, self._envs, reader, self._obs)
        self._simulated = _find_simulated_columns(layout)

    def reset(self, seeds: Sequence[int] | None = None) -> Array:
        """Start an episode everywhere; see `BatchedEnv.reset`."""
        for row in range(self.n):
            self._restart_row(row, None if seeds is None else int(seeds[row]))
        self._fields.pack_signals(self._signals)
        self._start[:] = self._signals
        return self._obs

    def step(self, actions: NDArray[np.floating]) -> EnvStep:
        """Act once everywhere; see `BatchedEnv.step`."""
        obs_before, signals_before = self._obs.copy(), self._signals.copy()
        terminated, truncated, broken = self._ends

        # Act, one environment after the other.
        for row, action in enumerate(self._convert_actions(actions)):
            obs, reward, terminated[row], truncated[row], info = self._envs[row].step(action)
            self._own[row] = self._fields.read_reward(reward)
            self._store_obs(row, obs)
            self._fields.note_row(row, info, self._own[row])
        truncated &= ~terminated
        self._fields.pack_signals(self._signals)

        # End the episodes whose physics is not finite; what `info` and the reward are does not end one.
        sound = np.isfinite(self._obs).all(axis=1) & np.isfinite(self._signals[:, self._simulated]).all(axis=1)
        np.logical_not(sound, out=broken)
        if not sound.all():
            self._end_broken_rows(obs_before, signals_before)

        # Start the next episodes; what the ended ones left is returned beside.
        ended_rows = np.flatnonzero(terminated | truncated)
        if not len(ended_rows):
            return EnvStep(self._obs, self._obs, terminated, truncated, self._own, self._signals, broken, NONE_ENDED)
        final_obs, after = self._obs.copy(), self._signals.copy()
        for row in ended_rows.tolist():
            self._restart_row(row, None)
        self._fields.pack_signals(self._signals, ended_rows)
        self._start[ended_rows] = self._signals[ended_rows]
        return EnvStep(self._obs, final_obs, terminated, truncated, self._own, after, broken, ended_rows)

    def read_signals(self) -> Array:
        """Return the signals at the state that the next step acts on."""
        return self._signals

    def read_start_signals(self) -> Array:
        """Return the signals at the start of each running episode."""
        return self._start

    @property
    def faults(self) -> Mapping[str, str]:
        """See `BatchedEnv.faults`."""
        return self._fields.faults

    def close(self) -> None:
        """Close the environments."""
        for env in self._envs:
            env.close()

    def _end_broken_rows(self, obs_before: Array, signals_before: Array) -> None:
        """End the episodes that broke, with the values before the step and no reward."""
        terminated, truncated, broken = self._ends
        self._obs[broken], self._signals[broken] = obs_before[broken], signals_before[broken]
        self._own[broken] = 0.0
        terminated |= broken
        truncated &= ~broken

    def _restart_row(self, row: int, seed: int | None) -> None:
        if seed is not None and self._seed_range is not None:
            seed %= self._seed_range
        obs, info = self._envs[row].reset(seed=seed)
        self._store_obs(row, obs)
        self._fields.clear_info(row)
        self._fields.note_row(row, info, 0.0)

    def _store_obs(self, row: int, obs: Any) -> None:
        if self._vector:
            self._obs[row] = obs
        else:
            self._flat.write_row(obs, self._obs[row])

    def _convert_actions(self, actions: NDArray[np.floating]) -> Iterable[Any]:
        """Return the actions (n, a) as the environments take them."""
        space = self._envs[0].action_space
        if self.actions.n is not None:
            numbers = actions[:, 0].astype(np.int64)
            return self._split_combinations(numbers) if self.actions.parts else (numbers + space.start).tolist()
        return actions.astype(space.dtype).reshape(-1, *space.shape)

    def _split_combinations(self, numbers: NDArray[np.int64]) -> Iterable[Any]:
        """Return the combinations of choices that have these numbers (n,)."""
        space = self._envs[0].action_space
        rows = np.stack(np.unravel_index(numbers, self.actions.parts), axis=1).reshape(-1, *space.shape)
        return (rows + getattr(space, "start", 0)).astype(space.dtype)

    def _resolve_row(self, field: str, name: str) -> Index:
        model = get_model(self._envs[0])
        return find_rows(model, field, name) if is_field(field) and model is not None else refuse_row_name(field, name)


class _FieldBuffers:
    """Buffers of the fields that a reader names, for n environments: MuJoCo's, `obs`, reward, `state`, `info`."""

    def __init__(self, env_id: str, envs: Sequence[Any], reader: SignalReader, obs: Array) -> None:
        self._env_id, self._envs, self._reader, self._obs = env_id, envs, reader, obs
        self.faults: dict[str, str] = {}
        """Entry of `info`, or `environment_reward`, to what it was in a step in which it was no number."""
        fields = reader.fields
        physical = [name for name in fields if is_field(name)]
        model = get_model(envs[0])
        if physical and model is None:
            raise TaskError(f"a signal reads {physical[0]!r}, but the environment has no MuJoCo model")
        self._mirror = FieldMirror(model, physical, len(envs)) if physical else None
        self._infos = {name.removeprefix("info."): name for name in fields if name.startswith("info.")}
        self._reads_state = "state" in fields
        self._buffers: dict[str, Array] = {"obs": obs, "environment_reward": np.zeros(len(envs))}
        self._allocate_probed(fields)
        self._shapes = {name: self._buffers[name].shape[1:] for name in self._infos.values()}
        self._copy = reader.bind_fields(self._get_buffer, () if model is None else model.body_rootid)

    def clear_info(self, row: int) -> None:
        """Drop what the `info` of an ended episode said."""
        for name in self._infos.values():
            self._buffers[name][row] = 0.0

    def note_row(self, row: int, info: dict[str, Any], environment_reward: float) -> None:
        """Note one environment's present values."""
        env = self._envs[row].unwrapped
        self._buffers["environment_reward"][row] = environment_reward
        simulation = None if self._mirror is None else get_simulation(self._envs[row])
        if self._mirror is not None and simulation is not None:
            self._mirror.copy_simulation(*simulation, row)
        if self._reads_state:
            self._buffers["state"][row] = np.ravel(env.state)
        for key, name in self._infos.items():
            value = info.get(key, MISSING) if "." not in key else find_part(info, key)
            if value is not MISSING:
                self._buffers[name][row] = self._read_entry(key, value, self._shapes[name])

    def read_reward(self, reward: Any) -> float:
        """Return the environment reward of a step; NaN where it is no number, which is noted."""
        if type(reward) is float and math.isfinite(reward):
            return reward
        fault = find_fault(reward) if np.size(reward) == 1 else f"an array of shape {np.shape(reward)}"
        if fault is None:
            return float(np.asarray(reward).item())
        self.faults.setdefault(ENVIRONMENT_REWARD, fault)
        return math.nan

    def _read_entry(self, key: str, value: Any, shape: tuple[int, ...]) -> Any:
        """Return the value of an entry of `info`; NaN where it is no number of that shape, which is noted."""
        if type(value) is float and not shape and math.isfinite(value):
            return value
        value = read_value(value)
        fault = find_fault(value, shape)
        if fault is None:
            return value
        self.faults.setdefault(key, fault)
        return math.nan

    def pack_signals(self, out: Array, rows: NDArray[np.intp] | None = None) -> None:
        """Copy the noted values into packed rows: all, or those given."""
        if rows is None:
            self._copy(out)
            return
        packed = np.empty_like(out)
        self._copy(packed)
        out[rows] = packed[rows]

    def _get_buffer(self, field: str) -> Array:
        if self._mirror is not None and is_field(field):
            return self._mirror.get_buffer(field)
        return self._buffers[field]

    def _allocate_probed(self, fields: Sequence[str]) -> None:
        """Make buffers for what has no shape until an environment has run; the probe is thrown away by a reset."""
        probed = [name for name in fields if name not in self._buffers and not is_field(name)]
        if not probed:
            return
        env = self._envs[0]
        info = sample_info(env, self._env_id).values if self._infos else reset_checked(env, self._env_id, seed=0)[1]
        for name in probed:
            self._buffers[name] = np.zeros((len(self._envs), *np.shape(_read_sample(env.unwrapped, info, name))))


def _read_sample(env: Any, info: dict[str, Any], name: str) -> Any:
    if name == "state":
        if getattr(env, "state", None) is None:
            raise TaskError("a signal reads `state`, but the environment has no such attribute")
        return np.ravel(env.state)
    key = name.removeprefix("info.")
    if name.startswith("info.") and key in info:
        fault = find_fault(info[key])
        if fault is not None:
            raise TaskError(f"info[{key}]: the environment reports no number there but {fault}")
        return info[key]
    if name.startswith("info."):
        reported = ", ".join(map(str, info)) or "nothing"
        raise TaskError(f"info[{key}]: the environment reports no {key!r}; it reports {reported}")
    fields = "obs, environment_reward, state, info and the fields of a MuJoCo model"
    raise TaskError(f"a signal reads {name!r}; there are {fields}")


def _find_simulated_columns(layout: SignalLayout) -> NDArray[np.bool_]:
    """Return which columns of packed signals come from the simulation: not from `info` or the environment reward."""
    simulated = np.ones(layout.width, np.bool_)
    for signal, columns in zip(layout.signals, layout.map_columns().values(), strict=True):
        fields = {ref.field for ref in list_field_references(parse(signal.source))}
        simulated[columns] = not fields & {"info", ENVIRONMENT_REWARD}
    return simulated


def _is_gymnasium(env: Any) -> bool:
    """Return whether an environment's class is Gymnasium's own: those take every seed."""
    return type(env.unwrapped).__module__.startswith("gymnasium.")
