"""A robot's model: its file compiled, with the actuators and sensors that its environment needs, and its start."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from rewardsmith.contract.errors import TaskError
from rewardsmith.contract.robots import RobotOptions, store
from rewardsmith.worker.envs import robot_checks
from rewardsmith.worker.envs.mujoco_fields import find_free_joint, name_element
from rewardsmith.worker.envs.open_env import silence_mujoco
from rewardsmith.worker.envs.robot_actuators import ActionMap, Mode, map_actions, prepare_actuators

Array = NDArray[np.float64]
ContactPair = tuple[str, str]
"""Names of two bodies."""
MAX_SUBSTEPS = 2_000
"""Steps of the physics in an action beyond which a timestep is taken for a mistake: 0.02 s in steps of 0.01 ms."""
_IN_STORE = re.compile(r"'[^']*/robots/[0-9a-f]{64}/")
"""Beginning of a file's name in the store of robots, which a user does not know."""


@dataclass(frozen=True)
class Robot:
    """A compiled robot."""

    options: RobotOptions
    model: Any
    """The MjModel; sensors of contact pairs lie behind those of the file."""
    substeps: int
    """Steps of the physics in a control step."""
    root: int
    """Its main body; 0 for a robot with a fixed base."""
    start: Array
    """(nq,): the pose of the start."""
    start_velocity: Array
    """(nv,)."""
    start_activation: Array
    """(na,)."""
    actions: ActionMap
    sensor_numbers: int
    """How many numbers the sensors of the file have."""
    remarks: tuple[str, ...]
    """Remarks for the user, a line each."""

    @property
    def is_free(self) -> bool:
        """Whether the root can move in all directions."""
        return self.root > 0 and find_free_joint(self.model, self.root) is not None

    @property
    def step_s(self) -> float:
        """Duration of a control step in seconds."""
        return float(self.model.opt.timestep) * self.substeps

    def pose_start(self) -> Any:
        """Return an MjData in the pose of the start, with the places of its bodies computed."""
        data = mujoco.MjData(self.model)
        data.qpos[:] = self.start
        mujoco.mj_kinematics(self.model, data)
        return data


def name_contact_sensor(pair: ContactPair) -> str:
    """Return the name of the sensor of a pair of bodies."""
    return f"contact {pair[0]} {pair[1]}"


def load_robot(options: RobotOptions, contacts: Sequence[ContactPair] = ()) -> Robot:
    """Compile a robot.

    Args:
        options: of its environment.
        contacts: pairs of bodies whose contact forces are measured.

    Raises:
        TaskError: if the model cannot be used: says what is wrong with it and what helps.
    """
    where = options.model
    model, mode = _compile_model(options.model, options.digest, options.action, tuple(contacts))
    robot_checks.check_numbers(model, where)
    robot_checks.check_angles(model, where)
    root = find_root(model, options.root, where)
    start, velocity, activation, key = _read_start(model, options.start, where)
    home = _find_home_controls(model, start, key)
    actions = map_actions(model, mode, home, options, where)
    robot_checks.check_model(model, root, options, where)
    own_sensors = model.nsensor - len(contacts)
    return Robot(
        options=options,
        model=model,
        substeps=_count_substeps(model, options.control_hz, where),
        root=root,
        start=start,
        start_velocity=velocity,
        start_activation=activation,
        actions=actions,
        sensor_numbers=int(model.sensor_adr[own_sensors]) if contacts else int(model.nsensordata),
        remarks=tuple(robot_checks.list_remarks(model, root, options)),
    )


def list_objects(model: Any, root: int) -> list[int]:
    """Return the bodies other than the root that have a free joint: things that the robot can move."""
    return [body for body in range(1, model.nbody) if body != root and find_free_joint(model, body) is not None]


def find_root(model: Any, name: str | None, where: str) -> int:
    """Return the robot's main body: the one named, else the one of a free joint that carries an actuated joint.

    Raises:
        TaskError: if there is no body of that name.
    """
    if name is not None:
        body = int(mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_BODY, name))
        if body < 0:
            names = ", ".join(name_element(model, "body", number) for number in range(1, model.nbody))
            raise TaskError(f"{where}: root names no body {name!r}; there are {names}")
        return body
    actuated = {int(body) for body in _list_actuated_bodies(model)}
    for body in range(1, model.nbody):
        if find_free_joint(model, body) is not None and any(_is_below(model, part, body) for part in actuated):
            return body
    return 0


def _list_actuated_bodies(model: Any) -> list[int]:
    """Return the bodies that actuators move through joints; those of a tendon's joints are found by its moment arms."""
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    moments = np.zeros((model.nu, model.nv))
    mujoco.mju_sparse2dense(
        moments, data.actuator_moment.ravel(), data.moment_rownnz, data.moment_rowadr, data.moment_colind.ravel()
    )
    return [int(model.dof_bodyid[dof]) for dof in np.flatnonzero(moments.any(axis=0))]


def _is_below(model: Any, body: int, ancestor: int) -> bool:
    while body > ancestor:
        body = int(model.body_parentid[body])
    return body == ancestor


# ---------------------------------------------------------------- reading the file


@lru_cache(maxsize=4)
def _compile_model(where: str, digest: str, action: Mode | None, contacts: tuple[ContactPair, ...]) -> tuple[Any, Mode]:
    """Return the compiled model and what its actions are; the meshes of a robot take a second to compile.

    Raises:
        TaskError: if the file is not here, or cannot be compiled.
    """
    file = store.find_model_file(where, digest)
    try:
        with silence_mujoco():
            spec = mujoco.MjSpec.from_file(str(file))
            _name_elements(spec)
            mode, model = prepare_actuators(spec, action, where)
            if model is None or contacts:
                _add_contact_sensors(spec, contacts, where)
                model = spec.compile()
            return model, mode
    except (ValueError, mujoco.FatalError) as error:
        raise TaskError(f"{where}: {explain_load_error(str(error))}") from error


def _name_elements(spec: Any) -> None:
    """Give bodies and joints without a name one, by which signals and sensors find them."""
    for kind, elements in (("body", spec.bodies), ("joint", spec.joints)):
        taken = {element.name for element in elements}
        for number, element in enumerate(elements):
            if not element.name:
                element.name = next(name for name in _iterate_names(f"{kind}{number}") if name not in taken)
                taken.add(element.name)


def _iterate_names(name: str) -> Iterator[str]:
    yield name
    yield from (f"{name}_{number}" for number in itertools.count(1))


def explain_load_error(message: str) -> str:
    """Return what MuJoCo says of a model in one line, with the cure where it is known.

    >>> explain_load_error("Error: Error opening file 'x.stl'")
    "the file 'x.stl' is missing; put it where the model names it (meshdir and texturedir count)"
    """
    text = _IN_STORE.sub("'", re.sub(r"\s+", " ", message).strip())
    missing = re.search(r"[Ee]rror opening file '([^']*)'", text)
    plugin = re.search(r"plugin (\S+) not found", text)
    if missing:
        return f"the file {missing[1]!r} is missing; put it where the model names it (meshdir and texturedir count)"
    if plugin:
        return (
            f"the model needs the plugin {plugin[1]}, which MuJoCo does not ship; remove it from the file (of the"
            " plugins, those that come with MuJoCo work, such as mujoco.pid)"
        )
    massless = re.search(r"mass and inertia of moving bodies must be larger.*?Element name '([^']*)'", text)
    if massless:
        return (
            f"the body {massless[1]!r} moves and has no mass; give it <inertial>, or a geom with a mass (in a URDF:"
            " <inertial>, or <collision> with a geometry)"
        )
    too_fine = re.search(r"number of faces should be between 1 and (\d+) in STL file '([^']*)'", text)
    if too_fine:
        most, file = int(too_fine[1]), too_fine[2]
        return f"the mesh {file!r} is no binary STL of at most {most:,} triangles; simplify or convert it (MeshLab)"
    undecoded = re.search(r"no decoder found for mesh file '([^']*)'", text)
    if undecoded:
        return f"MuJoCo does not read the mesh {undecoded[1]!r}; convert it to .obj or .stl and name that in the model"
    if "XML_ERROR" in text:
        line = re.search(r"Line number=(\d+)", text)
        return f"it is not XML{f', from line {line[1]} on' if line else ''}; give the model's MJCF or URDF file"
    if "Unrecognized XML model type" in text:
        return "its first element is neither <mujoco> nor <robot>; give an MJCF or URDF file"
    return f"MuJoCo refuses the model: {text.removeprefix('Error: ')}"


def _add_contact_sensors(spec: Any, contacts: Sequence[ContactPair], where: str) -> None:
    body = mujoco.mjtObj.mjOBJ_BODY
    names = [part.name for part in spec.bodies]
    force, net = 1 << int(mujoco.mjtConDataField.mjCONDATA_FORCE), 3
    for pair in contacts:
        for name in pair:
            if name not in names:
                raise TaskError(
                    f"{where}: contact[{','.join(pair)}]: there is no body {name!r}; there are {', '.join(names)}"
                )
        spec.add_sensor(
            name=name_contact_sensor(pair),
            type=mujoco.mjtSensor.mjSENS_CONTACT,
            objtype=body,
            objname=pair[0],
            reftype=body,
            refname=pair[1],
            intprm=[force, net, 1],
        )


# ---------------------------------------------------------------- the start


def _read_start(model: Any, key_name: str, where: str) -> tuple[Array, Array, Array, int | None]:
    """Return pose, velocity, activation and the keyframe of the start; the model's rest without `home`."""
    names = [name_element(model, "key", number) for number in range(model.nkey)]
    if key_name in names:
        key = names.index(key_name)
        robot_checks.check_keyframe(model, key, where)
        return model.key_qpos[key].copy(), model.key_qvel[key].copy(), model.key_act[key].copy(), key
    if key_name not in ("", "home"):
        there = f"there are {', '.join(names)}" if names else "the model has none"
        raise TaskError(f'{where}: there is no keyframe {key_name!r} to start from; {there}; start = "" is the rest')
    return model.qpos0.copy(), np.zeros(model.nv), np.zeros(model.na), None


def _find_home_controls(model: Any, start: Array, key: int | None) -> Array:
    """Return the controls (a,) that hold the start: those of its keyframe, else the actuators' lengths there."""
    if key is not None and model.key_ctrl[key].any():
        return np.array(model.key_ctrl[key])
    data = mujoco.MjData(model)
    data.qpos[:] = start
    mujoco.mj_forward(model, data)
    return np.array(data.actuator_length[: model.nu])


def _count_substeps(model: Any, control_hz: float, where: str) -> int:
    if not model.opt.timestep > 0.0:
        raise TaskError(f"{where}: timestep = {model.opt.timestep:g}; a step of the physics takes more than 0 s")
    exact = 1.0 / (control_hz * float(model.opt.timestep))
    if exact < 0.99:
        raise TaskError(
            f"{where}: control_hz = {control_hz:g} asks for more actions than the physics has steps"
            f" ({1.0 / model.opt.timestep:g} per second); lower it, or the model's timestep"
        )
    if exact > MAX_SUBSTEPS:
        raise TaskError(
            f"{where}: an action at control_hz = {control_hz:g} would take {exact:,.0f} steps of the physics, of"
            f" {model.opt.timestep:g} s each; raise the model's timestep (0.002 is usual)"
        )
    return max(1, round(exact))
