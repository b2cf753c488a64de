"""Signals of a robot: its posture, its observation's parts, contacts, and everything in its model that has a name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from rewardsmith.contract.errors import TaskError
from rewardsmith.contract.records import Signal
from rewardsmith.contract.signal_source import FieldReference, list_field_references, parse
from rewardsmith.worker.envs.catalogue import rename_distinct
from rewardsmith.worker.envs.mujoco_catalogue import BARE_NAME, list_model_signals
from rewardsmith.worker.envs.mujoco_fields import CONTACT, FIELDS, name_element
from rewardsmith.worker.envs.robot_model import ContactPair, Robot, list_objects, name_contact_sensor
from rewardsmith.worker.envs.robot_observation import RobotObservation

GROUND = "world"
_NAME = rf"""\s*("[^"]*"|'[^']*'|{BARE_NAME.pattern})\s*"""
_CONTACT = re.compile(rf"\bcontact\[{_NAME},{_NAME}\]")


def list_robot_signals(robot: Robot, observation: RobotObservation) -> list[Signal]:
    """Return the signals of a robot, posture first."""
    signals = [*_list_posture(robot, observation), *_list_joint_vectors(observation)]
    signals += [_make_contact_signal(robot, pair) for pair in list_contact_pairs(robot)]
    # What a contact pair says is faster than the sum of a body's forces.
    signals += [signal for signal in list_model_signals(robot.model) if not signal.name.endswith("_contact_force")]
    return list(rename_distinct((signal for signal in signals if not _is_added_sensor(signal)), set()))


def _list_posture(robot: Robot, observation: RobotObservation) -> Iterator[Signal]:
    if not robot.root:
        return
    body = name_element(robot.model, "body", robot.root)
    ref = _quote(body)
    height = float(robot.pose_start().xpos[robot.root, 2])
    yield Signal("height", (), "m", f"height of {body!r}, {height:.3g} at the start", f"xpos[{ref},2]")
    yield Signal("upright", (), "1", f"cosine of the tilt of {body!r}: 1 upright, 0 on its side", f"xmat[{ref},8]")
    heading = f"direction of the x axis of {body!r} seen from above, 0 along the world's x, positive to the left"
    yield Signal("heading", (), "rad", heading, f"angle(xmat[{ref},0:6:3])")
    if "body_velocity" in observation.parts:
        start = observation.parts["body_velocity"].start
        for place, name in enumerate(("forward", "sideways", "upward")):
            axis = "xyz"[place]
            meaning = f"velocity of {body!r} along its own {axis} axis"
            yield Signal(f"{name}_velocity", (), "m/s", meaning, f"obs[{start + place}]")
        turn = observation.parts["body_angular_velocity"].start
        for place, name in enumerate(("roll", "pitch", "yaw")):
            meaning = f"angular velocity of {body!r} about its own {'xyz'[place]} axis"
            yield Signal(f"{name}_rate", (), "rad/s", meaning, f"obs[{turn + place}]")


def _list_joint_vectors(observation: RobotObservation) -> Iterator[Signal]:
    units = {
        "joint_positions": ("rad", "positions of all joints but free ones, in the model's order"),
        "joint_velocities": ("rad/s", "velocities of these joints"),
    }
    for name, (unit, meaning) in units.items():
        part = observation.parts.get(name, slice(0, 0))
        size = part.stop - part.start
        if size > 1:
            yield Signal(name, (size,), unit, meaning, f"obs[{part.start}:{part.stop}]")


# ---------------------------------------------------------------- contacts


def list_contact_pairs(robot: Robot) -> list[ContactPair]:
    """Return the pairs of bodies whose contacts tasks name: robot or object with the ground, robot with an object."""
    model = robot.model
    object_roots = np.isin(model.body_rootid, list_objects(model, robot.root))
    moving = model.body_weldid != 0
    robot_bodies = np.flatnonzero(moving & ~object_roots).tolist()
    object_bodies = np.flatnonzero(moving & object_roots).tolist()
    pairs = [(body, 0) for body in (*robot_bodies, *object_bodies)]
    pairs += [(body, thing) for thing in object_bodies for body in robot_bodies]
    names = [
        (name_element(model, "body", a), name_element(model, "body", b)) for a, b in pairs if _may_touch(model, a, b)
    ]
    return [(a, GROUND if b == "world" else b) for a, b in names]


def _may_touch(model: Any, a: int, b: int) -> bool:
    types, affinities = model.body_contype, model.body_conaffinity
    return bool(types[a] & affinities[b] or types[b] & affinities[a])


def _make_contact_signal(robot: Robot, pair: ContactPair) -> Signal:
    a, b = pair
    other = "the ground" if b == GROUND else f"body {b!r}"
    name = f"{a}_{'ground' if b == GROUND else b}_force"
    meaning = f"strength of the contacts of body {a!r} with {other}, 0 without contact"
    return Signal(name, (), "N", meaning, f"norm(contact[{_quote(a)},{_quote(b)}])")


def _quote(name: str) -> str:
    return name if BARE_NAME.fullmatch(name) else f'"{name}"'


def find_contacts(signals: Iterable[Signal]) -> tuple[ContactPair, ...]:
    """Return the pairs of bodies whose contacts signals read, each once."""
    pairs: dict[ContactPair, None] = {}
    for signal in signals:
        for match in _CONTACT.finditer(signal.source):
            pairs[_read_pair(match)] = None
    return tuple(pairs)


def _read_pair(match: re.Match[str]) -> ContactPair:
    return match[1].strip("'\""), match[2].strip("'\"")


def spell_contacts_as_sensors(source: str) -> str:
    """Return a source in which a contact is the reading of the sensor that `robot_model` adds for it.

    >>> spell_contacts_as_sensors("norm(contact[foot,world])")
    'norm(sensordata["contact foot world"])'
    """
    return _CONTACT.sub(lambda match: f'sensordata["{name_contact_sensor(_read_pair(match))}"]', source)


def check_sources(signals: Iterable[Signal]) -> None:
    """Make sure that signals read what a robot's simulations have.

    Raises:
        TaskError: if one reads something else.
    """
    known = [name for name, field in FIELDS.items() if field.stage < CONTACT]
    allowed = (*known, "obs", "environment_reward", "contact")
    for signal in signals:
        for ref in list_field_references(parse(signal.source)):
            if ref.field not in allowed:
                instead = "; contact[BODY,world] is the force on a body" if ref.field == "cfrc_ext" else ""
                raise TaskError(
                    f"signal {signal.name!r} reads {ref.field!r}, which a robot does not have{instead}; there are"
                    f" {', '.join(allowed)}"
                )
            if ref.field == "contact" and not _is_pair(ref):
                raise TaskError(
                    f"signal {signal.name!r}: {signal.source!r} must name two bodies, as in contact[foot,world]; its"
                    " three numbers are a force in N"
                )


def _is_pair(ref: FieldReference) -> bool:
    return len(ref.indices) == 2 and all(isinstance(index, str) for index in ref.indices)


def _is_added_sensor(signal: Signal) -> bool:
    return signal.source.startswith('sensordata["contact ')
