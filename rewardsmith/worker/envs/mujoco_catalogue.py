"""Signals of a MuJoCo model: one for everything in it that has a place, a speed or a force."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import mujoco
import numpy as np

from rewardsmith.contract.records import Signal
from rewardsmith.worker.envs.mujoco_fields import count_joint_numbers, list_element_names

BARE_NAME = re.compile(r"[A-Za-z_][\w.:/]*")
"""Names of elements that sources can write without quotes."""


def list_model_signals(model: Any) -> Iterator[Signal]:
    """Yield the signals of a model, bodies first; none without a model."""
    if model is None:
        return
    yield from _list_body_signals(model)
    yield from _list_joint_signals(model)
    yield from _list_other_signals(model)


def _iterate_elements(model: Any, element: str) -> Iterator[tuple[int, str, str]]:
    """Yield each element's number, its name (or a stable one) and how a source refers to it."""
    for number, name in enumerate(list_element_names(model, element)):
        yield number, name or f"{element}{number}", name if BARE_NAME.fullmatch(name) else str(number)


def _list_body_signals(model: Any) -> Iterator[Signal]:
    for number, name, ref in _iterate_elements(model, "body"):
        if number == 0:
            continue
        yield Signal(f"{name}_position", (3,), "m", f"position of body {name!r}", f"xpos[{ref}]")
        moves = int(model.body_weldid[number]) != 0
        if not moves:
            continue
        quaternion = f"orientation of body {name!r} as a quaternion (w, x, y, z)"
        yield Signal(f"{name}_orientation", (4,), "1", quaternion, f"xquat[{ref}]")
        yield Signal(f"{name}_velocity", (3,), "m/s", f"velocity of body {name!r}", f"xvelp[{ref}]")
        spin = f"angular velocity of body {name!r} in world axes"
        yield Signal(f"{name}_angular_velocity", (3,), "rad/s", spin, f"xvelr[{ref}]")
        force = f"sum of the outside forces on body {name!r}, contacts included"
        yield Signal(f"{name}_contact_force", (3,), "N", force, f"cfrc_ext[{ref},3:6]")
        if int(model.body_parentid[number]) == 0:
            mass = f"centre of mass of {name!r} and all that hangs on it"
            yield Signal(f"{name}_centre_of_mass", (3,), "m", mass, f"subtree_com[{ref}]")


def _list_joint_signals(model: Any) -> Iterator[Signal]:
    slide, hinge = int(mujoco.mjtJoint.mjJNT_SLIDE), int(mujoco.mjtJoint.mjJNT_HINGE)
    for number, name, ref in _iterate_elements(model, "joint"):
        kind = int(model.jnt_type[number])
        positions, velocities = count_joint_numbers(model, number)
        first, rate = int(model.jnt_qposadr[number]), int(model.jnt_dofadr[number])
        place = f"qpos[{ref}]" if not ref.isdigit() else _write_span("qpos", first, positions)
        speed = f"qvel[{ref}]" if not ref.isdigit() else _write_span("qvel", rate, velocities)
        if kind in (slide, hinge):
            low, high = model.jnt_range[number].round(3).tolist()
            bounds = f", between {low} and {high}" if model.jnt_limited[number] else ""
            unit, what = ("m", "offset") if kind == slide else ("rad", "angle")
            yield Signal(f"{name}_{what}", (), unit, f"{what} of joint {name!r}{bounds}", place)
            yield Signal(f"{name}_rate", (), f"{unit}/s", f"velocity of joint {name!r}", speed)
        else:
            meaning = "position and quaternion" if positions == 7 else "quaternion"
            yield Signal(f"{name}_pose", (positions,), "1", f"{meaning} of joint {name!r}", place)
            yield Signal(f"{name}_rate", (velocities,), "1", f"linear and angular velocity of joint {name!r}", speed)


def _write_span(field: str, start: int, width: int) -> str:
    return f"{field}[{start}]" if width == 1 else f"{field}[{start}:{start + width}]"


def _list_other_signals(model: Any) -> Iterator[Signal]:
    for _, name, ref in _iterate_elements(model, "site"):
        yield Signal(f"{name}_site_position", (3,), "m", f"position of site {name!r}", f"site_xpos[{ref}]")
    for _, name, ref in _iterate_elements(model, "tendon"):
        yield Signal(f"{name}_length", (), "m", f"length of tendon {name!r}", f"ten_length[{ref}]")
        yield Signal(f"{name}_length_rate", (), "m/s", f"rate of the length of tendon {name!r}", f"ten_velocity[{ref}]")
    for number, name, ref in _iterate_elements(model, "sensor"):
        start, width = int(model.sensor_adr[number]), int(model.sensor_dim[number])
        source = f"sensordata[{ref}]" if not ref.isdigit() else _write_span("sensordata", start, width)
        shape = () if width == 1 else (width,)
        meaning = f"reading of sensor {name!r} ({_name_sensor_kind(model, number)})"
        yield Signal(f"{name}_sensor", shape, "1", meaning, source)
    for number, name, ref in _iterate_elements(model, "actuator"):
        meaning = f"force (N) or torque (N m) of actuator {name!r}{_describe_driven_joint(model, number, name)}"
        yield Signal(f"{name}_actuator_force", (), "N", meaning, f"actuator_force[{ref}]")


def _describe_driven_joint(model: Any, number: int, actuator: str) -> str:
    """Return the joint that an actuator drives, for the end of its meaning; "" where its own name says it."""
    drives_joint = int(model.actuator_trntype[number]) == int(mujoco.mjtTrn.mjTRN_JOINT)
    joint = int(model.actuator_trnid[number, 0]) if drives_joint else -1
    name = list_element_names(model, "joint")[joint] if joint >= 0 else ""
    return f", joint {name!r}" if name and name != actuator else ""


def _name_sensor_kind(model: Any, number: int) -> str:
    kind = mujoco.mjtSensor(int(np.asarray(model.sensor_type)[number]))
    return str(kind.name).removeprefix("mjSENS_").lower()
