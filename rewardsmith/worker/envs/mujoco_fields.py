"""Fields of a MuJoCo simulation, the names of their rows, and values that are current.

After `mj_step` the derived fields (body positions, sensors) lag the state by one substep. A `FieldMirror` copies the
state into an MjData of its own and computes them there, so that values are current and the simulation untouched.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from rewardsmith.contract.errors import TaskError
from rewardsmith.contract.signal_source import Index
from rewardsmith.contract.text import suggest_names

Array = NDArray[np.float64]

STATE, KINEMATICS, VELOCITY, FORCE, CONTACT = range(5)
"""How much must be computed for a field: nothing, positions, velocities, mj_forward, mj_rnePostConstraint."""


@dataclass(frozen=True)
class MujocoField:
    """A field of MjData, or one computed from several."""

    element: str
    """Whose name indexes its rows: "joint", "dof", "body", "site", "geom", "tendon", "sensor", "actuator" or ""."""
    stage: int


FIELDS = {
    "time": MujocoField("", STATE),
    "qpos": MujocoField("joint", STATE),
    "qvel": MujocoField("dof", STATE),
    "act": MujocoField("actuator", STATE),
    "ctrl": MujocoField("actuator", STATE),
    "mocap_pos": MujocoField("", STATE),
    "xpos": MujocoField("body", KINEMATICS),
    "xquat": MujocoField("body", KINEMATICS),
    "xmat": MujocoField("body", KINEMATICS),
    "xipos": MujocoField("body", KINEMATICS),
    "site_xpos": MujocoField("site", KINEMATICS),
    "site_xmat": MujocoField("site", KINEMATICS),
    "geom_xpos": MujocoField("geom", KINEMATICS),
    "subtree_com": MujocoField("body", KINEMATICS),
    "ten_length": MujocoField("tendon", VELOCITY),
    "ten_velocity": MujocoField("tendon", VELOCITY),
    "cvel": MujocoField("body", VELOCITY),
    "xvelp": MujocoField("body", VELOCITY),
    "xvelr": MujocoField("body", VELOCITY),
    "sensordata": MujocoField("sensor", FORCE),
    "actuator_force": MujocoField("actuator", FORCE),
    "qfrc_actuator": MujocoField("dof", FORCE),
    "cfrc_ext": MujocoField("body", CONTACT),
}
COMPUTED = {"xvelp": ("cvel", "xpos", "subtree_com"), "xvelr": ("cvel",)}
"""Linear and angular velocity of body frames in world axes, from these; see `bind_body_velocity`."""
_YZX, _ZXY = [1, 2, 0], [2, 0, 1]
_COUNTS = {
    "actuator": "nu",
    "body": "nbody",
    "geom": "ngeom",
    "joint": "njnt",
    "sensor": "nsensor",
    "site": "nsite",
    "tendon": "ntendon",
}
"""Kind of element to the field of the model that counts them."""


def get_simulation(env: Any) -> tuple[Any, Any] | None:
    """Return the MjModel and the MjData that an environment steps at present; None where it has none.

    dm_control keeps them behind wrappers of its own; its composed tasks build a new model for each episode, so that
    no signal of one is a signal of the next: they count as having none.
    """
    inner = env.unwrapped
    physics = getattr(inner, "physics", None)
    if physics is not None and getattr(getattr(inner, "env_type", None), "name", "") == "RL_CONTROL":
        return physics.model.ptr, physics.data.ptr
    model, data = getattr(inner, "model", None), getattr(inner, "data", None)
    return (model, data) if isinstance(model, mujoco.MjModel) and isinstance(data, mujoco.MjData) else None


def get_model(env: Any) -> Any | None:
    """Return the MjModel of an environment; None where it has none."""
    simulation = get_simulation(env)
    return None if simulation is None else simulation[0]


def required_stage(fields: Sequence[str]) -> int:
    """Return how much must be computed for all of the fields."""
    return max((FIELDS[name].stage for name in fields if name in FIELDS), default=STATE)


def is_field(name: str) -> bool:
    """Tell whether a source's field is one of MuJoCo's."""
    return name in FIELDS


def find_rows(model: Any, field: str, name: str) -> Index:
    """Return the rows of a field that belong to a named element of the model.

    Raises:
        TaskError: if the field is not indexed by names, or the model has no such element.
    """
    if field not in FIELDS:
        raise TaskError(f"{field}[{name}]: MuJoCo has no field {field!r} with names; there are {', '.join(FIELDS)}")
    kind = FIELDS[field].element
    if not kind:
        raise TaskError(f"{field}[{name}]: the rows of {field!r} have no names; use a number or a slice")
    element = "joint" if kind == "dof" else kind
    number = mujoco.mj_name2id(model, getattr(mujoco.mjtObj, f"mjOBJ_{element.upper()}"), name)
    if number < 0:
        hint = suggest_names(name, list_element_names(model, element))
        raise TaskError(f"{field}[{name}]: the model has no {element} {name!r}; {hint}")
    return _element_rows(model, field, number)


def list_element_names(model: Any, element: str) -> list[str]:
    """Return the names of the model's bodies, joints, sites ...; "" where one has none."""
    kind = getattr(mujoco.mjtObj, f"mjOBJ_{element.upper()}")
    return [mujoco.mj_id2name(model, kind, number) or "" for number in range(getattr(model, _COUNTS[element]))]


def name_element(model: Any, kind: str, number: int) -> str:
    """Return the name of a body, joint or other element, or a stable one where it has none."""
    name = mujoco.mj_id2name(model, getattr(mujoco.mjtObj, f"mjOBJ_{kind.upper()}"), number)
    return str(name or f"{kind}{number}")


def find_free_joint(model: Any, body: int) -> int | None:
    """Return the free joint of a body; None without one."""
    joint = int(model.body_jntadr[body])
    is_free = joint >= 0 and int(model.jnt_type[joint]) == int(mujoco.mjtJoint.mjJNT_FREE)
    return joint if is_free else None


def count_joint_numbers(model: Any, joint: int) -> tuple[int, int]:
    """Return how many numbers of qpos and of qvel a joint has."""
    free, ball = int(mujoco.mjtJoint.mjJNT_FREE), int(mujoco.mjtJoint.mjJNT_BALL)
    widths: tuple[int, int] = {free: (7, 6), ball: (4, 3)}.get(int(model.jnt_type[joint]), (1, 1))
    return widths


def _element_rows(model: Any, field: str, number: int) -> Index:
    if field == "sensordata":
        return _rows_from(int(model.sensor_adr[number]), int(model.sensor_dim[number]))
    if field == "qpos":
        return _rows_from(int(model.jnt_qposadr[number]), count_joint_numbers(model, number)[0])
    if FIELDS[field].element == "dof":
        return _rows_from(int(model.jnt_dofadr[number]), count_joint_numbers(model, number)[1])
    return number


def _rows_from(start: int, width: int) -> Index:
    return start if width == 1 else slice(start, start + width)


def expand_fields(fields: Sequence[str]) -> tuple[str, ...]:
    """Return the fields of MjData from which all of the fields can be computed."""
    return tuple(dict.fromkeys(part for name in fields for part in COMPUTED.get(name, (name,))))


def bind_body_velocity(field: str, body: int, root: int, get: Callable[[str], Array]) -> Callable[[], Array]:
    """Return a function that computes a body's velocity (n, 3) in world axes, at its frame's origin.

    MuJoCo's `cvel` is the spatial velocity at the centre of mass of the kinematic tree: moved to the body's frame,
    v = v_com + w x (x - x_com).

    Args:
        field: "xvelp" (linear) or "xvelr" (angular).
        body: index of the body.
        root: index of the root body of its tree.
        get: gives the buffers (n, nbody, ...) of cvel, xpos and subtree_com.
    """
    angular, linear = get("cvel")[:, body, :3], get("cvel")[:, body, 3:]
    if field == "xvelr":
        return lambda: angular
    position, centre = get("xpos")[:, body], get("subtree_com")[:, root]
    return lambda: linear + _cross(angular, position - centre)


def _cross(a: Array, b: Array) -> Array:
    """Return the cross products (n, 3); for a few rows three times as fast as np.cross."""
    return a[:, _YZX] * b[:, _ZXY] - a[:, _ZXY] * b[:, _YZX]


class FieldMirror:
    """Current values of chosen fields of simulations of one model, in buffers (n, ...)."""

    def __init__(self, model: Any, fields: Sequence[str], n: int) -> None:
        self._data = mujoco.MjData(model)
        self._stage = required_stage(fields)
        self._sig = int(mujoco.mjtState.mjSTATE_INTEGRATION)
        self._state = np.empty(mujoco.mj_stateSize(model, self._sig))
        names = expand_fields(fields)
        self._buffers = {name: np.zeros((n, *np.shape(getattr(self._data, name)))) for name in names}
        self._source = {name: np.asarray(getattr(self._data, name)) for name in names if name != "time"}

    def get_buffer(self, field: str) -> Array:
        """Return the buffer (n, ...) of a field of MjData."""
        return self._buffers[field]

    def copy_simulation(self, model: Any, data: Any, row: int) -> None:
        """Take one simulation's current values into a row of the buffers; `data` is left as it is."""
        mirror = self._data
        mujoco.mj_getState(model, data, self._state, self._sig)
        mujoco.mj_setState(model, mirror, self._state, self._sig)
        if self._stage == KINEMATICS:
            mujoco.mj_kinematics(model, mirror)
            mujoco.mj_comPos(model, mirror)
        elif self._stage == VELOCITY:
            mujoco.mj_step1(model, mirror)
        elif self._stage >= FORCE:
            mujoco.mj_forward(model, mirror)
        if self._stage == CONTACT:
            mujoco.mj_rnePostConstraint(model, mirror)
        for name, buffer in self._buffers.items():
            buffer[row] = mirror.time if name == "time" else self._source[name]
