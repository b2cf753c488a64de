"""Template of an exported file: the wrapper around its program. The exporter reads it as text; no module imports it.

The empty values stand for the constants that the exported file defines above the wrapper.
"""

from __future__ import annotations

import importlib
import sys
import types
from collections.abc import Callable, Mapping
from typing import Any

import gymnasium
import numpy as np

ENV_ID = ""
ENV_KWARGS: dict[str, Any] = {}
IMPORTS: tuple[str, ...] = ()
WRAPPERS: tuple[tuple[str, dict[str, Any]], ...] = ()
WEIGHTS: dict[str, float] = {}
MEMORY: dict[str, float] = {}
ARGUMENTS: tuple[str, ...] = ()
SIGNALS: Mapping[str, tuple[tuple[int, ...], Callable[[Callable[..., Any]], Any]]] = {}


def reward(**_: Any) -> Mapping[str, Any]:
    """Placeholder of the program."""
    return {}


# ---------------------------------------------------------------- the wrapper


class RewardWrapper(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Pays the program's reward instead of the environment's.

    `info["reward_terms"]` has each term before its weight, `info["environment_reward"]` the environment's reward.
    """

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        super().__init__(env)
        self._simulation = _Simulation(env)
        self._start = self._state = self._memory = types.SimpleNamespace()

    def reset(self, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
        """Start an episode, with a new memory."""
        obs, info = self.env.reset(**kwargs)
        self._simulation.forget_info()
        self._start = self._state = self._simulation.read_signals(obs, info)
        self._memory = types.SimpleNamespace(**{name: np.full(1, float(value)) for name, value in MEMORY.items()})
        return obs, info

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Take a step, and compute the program's reward for it."""
        obs, paid, terminated, truncated, info = self.env.step(action)
        before, self._state = self._state, self._simulation.read_signals(obs, info)
        values = {
            "before": before,
            "action": _action(self.env.action_space, action),
            "after": self._state,
            "terminated": np.array([bool(terminated)]),
            "start": self._start,
            "memory": self._memory,
        }
        terms = reward(**{name: values[name] for name in ARGUMENTS})
        numbers = {name: float(np.broadcast_to(term, (1,))[0]) for name, term in terms.items()}
        total = sum(WEIGHTS.get(name, 1.0) * number for name, number in numbers.items())
        info = {**info, "reward_terms": numbers, "environment_reward": paid}
        return obs, float(total), terminated, truncated, info


def make(**kwargs: Any) -> RewardWrapper:
    """Return the environment that the program was written for, with its reward."""
    for name in IMPORTS:
        imported = _import(name)
        if ":" in name:
            imported()
    env: Any = gymnasium.make(ENV_ID, **{**ENV_KWARGS, **kwargs})
    for name, arguments in WRAPPERS:
        env = _import(name)(env, **arguments)
    return RewardWrapper(env)


def _import(name: str) -> Any:
    """Return a module, or what "module:name" stands for."""
    module, _, attribute = name.partition(":")
    imported = importlib.import_module(module)
    return getattr(imported, attribute) if attribute else imported


def _action(space: Any, action: Any) -> Any:
    """Return the action as the program sees it, (1, a): inside its bounds; a choice is its number, counted from 0."""
    if isinstance(space, gymnasium.spaces.Discrete):
        return np.array([[float(action) - float(space.start)]])
    if isinstance(space, gymnasium.spaces.MultiDiscrete | gymnasium.spaces.MultiBinary):
        chosen = np.ravel(np.asarray(action) - getattr(space, "start", 0))
        parts = np.ravel(getattr(space, "nvec", np.full(chosen.shape, 2)))
        return np.array([[float(np.ravel_multi_index(chosen.tolist(), parts.tolist()))]])
    return np.clip(np.asarray(action, np.float64), space.low, space.high).reshape(1, -1)


# ---------------------------------------------------------------- reading signals

_ELEMENTS = {
    **dict.fromkeys(["qpos", "qvel", "qfrc_actuator"], "joint"),
    **dict.fromkeys(["xpos", "xquat", "xmat", "xipos", "subtree_com", "cvel", "xvelp", "xvelr", "cfrc_ext"], "body"),
    **dict.fromkeys(["act", "ctrl", "actuator_force"], "actuator"),
    **dict.fromkeys(["site_xpos", "site_xmat"], "site"),
    **dict.fromkeys(["ten_length", "ten_velocity"], "tendon"),
    **{"geom_xpos": "geom", "sensordata": "sensor", "time": "", "mocap_pos": ""},
}
"""MuJoCo's fields, each with the kind of model element that names its rows."""


class _Simulation:
    """Reads an environment's signals; those of MuJoCo on a copy of its state, where all of them are current."""

    def __init__(self, env: Any) -> None:
        self._env = env.unwrapped
        self._space = env.observation_space
        self._info: dict[str, Any] = {}
        self._obs: Any = None
        self._copy: Any = None
        self._copied = False

    def forget_info(self) -> None:
        """Drop the entries of the previous episode's `info`; each is 0 until it is reported again."""
        self._info.clear()

    def read_signals(self, obs: Any, info: dict[str, Any]) -> types.SimpleNamespace:
        """Return the present signals as attributes, each of shape (1, *shape)."""
        self._obs = np.concatenate(_flatten(self._space, obs))
        self._info.update(info)
        self._copied = False
        values = {name: np.asarray(read(self._read), np.float64) for name, (_, read) in SIGNALS.items()}
        shapes = {name: (1, *shape) for name, (shape, _) in SIGNALS.items()}
        return types.SimpleNamespace(**{name: _shape(values[name], shapes[name]) for name in SIGNALS})

    def _read(self, field: str, *indices: Any) -> Any:
        """Return a field's present value; a name among the indices is that of an element of MuJoCo's model."""
        if field == "obs":
            return self._obs[indices]
        if field == "state":
            return np.ravel(self._env.state)[indices]
        if field == "info":
            return _number(_find_part(self._info, ".".join(map(str, indices))))
        data, (model, _) = self._current(), self._physics()
        rows: list[Any] = [_rows(model, field, index) if isinstance(index, str) else index for index in indices]
        if field in ("xvelp", "xvelr"):
            return _velocity(model, data, field, rows[0])[tuple(rows[1:])]
        return np.array(getattr(data, field))[tuple(rows)]

    def _physics(self) -> tuple[Any, Any]:
        """Return MuJoCo's model and data; dm_control keeps them behind its own."""
        physics = getattr(self._env, "physics", None)
        return (self._env.model, self._env.data) if physics is None else (physics.model.ptr, physics.data.ptr)

    def _current(self) -> Any:
        """Return a copy of the simulation in which all derived quantities are computed from the present state."""
        import mujoco

        model, data = self._physics()
        if self._copy is None:
            self._copy = mujoco.MjData(model)
        if not self._copied:
            kind = mujoco.mjtState.mjSTATE_INTEGRATION
            state = np.empty(mujoco.mj_stateSize(model, kind))
            mujoco.mj_getState(model, data, state, kind)
            mujoco.mj_setState(model, self._copy, state, kind)
            mujoco.mj_forward(model, self._copy)
            mujoco.mj_rnePostConstraint(model, self._copy)
            self._copied = True
        return self._copy


def _flatten(space: Any, obs: Any) -> list[Any]:
    """Return the numbers of an observation, part after part; text, graphs and sequences have none."""
    if isinstance(space, gymnasium.spaces.Dict):
        return [numbers for key, part in space.spaces.items() for numbers in _flatten(part, obs[key])]
    if isinstance(space, gymnasium.spaces.Tuple):
        return [numbers for place, part in enumerate(space.spaces) for numbers in _flatten(part, obs[place])]
    numberless = gymnasium.spaces.Text | gymnasium.spaces.Graph | gymnasium.spaces.Sequence
    try:
        flattens = not isinstance(space, numberless) and space.is_np_flattenable
    except NotImplementedError:  # a space of a package's own
        flattens = False
    return [np.asarray(gymnasium.spaces.flatten(space, obs), np.float64)] if flattens else [np.empty(0)]


def _find_part(value: Any, key: str) -> Any:
    """Return an entry of `info`, or "ship.fuel" of nested ones; 0 if it is not reported."""
    if isinstance(value, dict) and key in value:
        return value[key]
    entries = value.items() if isinstance(value, dict) else enumerate(value)
    for name, entry in entries:
        if str(name) == key:
            return entry
        if key.startswith(f"{name}.") and isinstance(entry, dict | list | tuple):
            return _find_part(entry, key.removeprefix(f"{name}."))
    return 0.0


def _number(value: Any) -> Any:
    """Return an entry of `info` as numbers; nan if it is not numeric or not finite."""
    try:
        array = np.asarray(getattr(value, "value", value))  # a member of an Enum stands for its value
    except ValueError:
        return np.nan
    return array if array.dtype.kind in "biuf" and np.isfinite(array).all() else np.nan


def _shape(value: Any, shape: tuple[int, ...]) -> Any:
    """Return a value in a shape: a single number fills it, and nan does where the value has another size."""
    if np.size(value) == np.prod(shape):
        return np.reshape(value, shape)
    return np.broadcast_to(value if np.size(value) == 1 else np.nan, shape)


def _rows(model: Any, field: str, name: str) -> int | slice:
    """Return the rows of a field that belong to a named element of the model."""
    import mujoco

    element = _ELEMENTS[field]
    number = mujoco.mj_name2id(model, getattr(mujoco.mjtObj, f"mjOBJ_{element.upper()}"), name)
    if number < 0:
        raise ValueError(f"{field}[{name}]: the model has no {element} {name!r}; is this another environment?")
    if field == "sensordata":
        start, width = model.sensor_adr[number], model.sensor_dim[number]
    elif element == "joint":
        start = (model.jnt_qposadr if field == "qpos" else model.jnt_dofadr)[number]
        free, ball = int(mujoco.mjtJoint.mjJNT_FREE), int(mujoco.mjtJoint.mjJNT_BALL)
        width = {free: 6, ball: 3}.get(int(model.jnt_type[number]), 1)
        width += field == "qpos" and width > 1
    else:
        return int(number)
    return int(start) if width == 1 else slice(int(start), int(start) + int(width))


def _velocity(model: Any, data: Any, field: str, body: int) -> Any:
    """Return the linear or angular velocity (3,) of a body's frame in world axes."""
    import mujoco

    both = np.zeros(6)
    mujoco.mj_objectVelocity(model, data, mujoco.mjtObj.mjOBJ_XBODY, body, both, 0)
    return both[3:] if field == "xvelp" else both[:3]


def _wrap(angle: Any) -> Any:
    """Return the angle in [-pi, pi)."""
    return (angle + np.pi) % (2.0 * np.pi) - np.pi


def _norm(vector: Any) -> Any:
    """Return the Euclidean length."""
    return np.sqrt(np.sum(np.square(vector)))


def _angle(vector: Any) -> Any:
    """Return the direction of a plane vector, in [-pi, pi]."""
    return np.arctan2(vector[1], vector[0])


def _try_random_actions() -> None:
    """Run an episode with random actions and print the mean of each term."""
    env = make()
    env.reset(seed=0)
    env.action_space.seed(0)
    steps: list[dict[str, float]] = []
    over = False
    while not over:
        _, _, terminated, truncated, info = env.step(env.action_space.sample())
        steps.append(info["reward_terms"])
        over = terminated or truncated
    sys.stdout.write(f"{ENV_ID}: {len(steps)} steps of random actions; each term's mean per step, and its weight\n")
    for name in steps[0]:
        mean = np.mean([terms[name] for terms in steps])
        sys.stdout.write(f"  {name:24} {mean:12.4f}   {WEIGHTS.get(name, 1.0):g}\n")


if __name__ == "__main__":
    _try_random_actions()
