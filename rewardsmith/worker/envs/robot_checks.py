"""Checks of a robot's model: what is wrong with it or surprising in it, a line each, with the cure."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import mujoco
import numpy as np

from rewardsmith.contract.errors import TaskError
from rewardsmith.contract.robots import Randomisation, RobotOptions
from rewardsmith.worker.envs.mujoco_fields import find_free_joint, name_element

NARROW = math.radians(12.0)
"""Widest range of a joint of a model whose radians were read as degrees: a range of 2 turns becomes 0.22 rad."""
WIDE = 8.0 * math.pi
"""Angle in rad beyond which a limit or a start is taken for degrees."""


def check_numbers(model: Any, where: str) -> None:
    """Make sure that the model's places and masses are numbers.

    Raises:
        TaskError: if one is nan or infinite.
    """
    for field, what in (("pos", "place"), ("quat", "orientation"), ("mass", "mass"), ("inertia", "inertia")):
        values = getattr(model, f"body_{field}").reshape(model.nbody, -1)
        wrong = np.flatnonzero(~np.isfinite(values).all(axis=1))
        if wrong.size:
            name = name_element(model, "body", int(wrong[0]))
            raise TaskError(
                f"{where}: the {what} of the body {name!r} is no finite number; look for nan and inf in the file"
            )


def check_angles(model: Any, where: str) -> None:
    """Make sure that the joints' ranges were read in the unit in which they were written.

    Raises:
        TaskError: if all ranges are too narrow for a robot, or one is too wide.
    """
    hinge = model.jnt_type == int(mujoco.mjtJoint.mjJNT_HINGE)
    limited = np.flatnonzero(hinge & (model.jnt_limited != 0))
    if not limited.size:
        return
    widths = model.jnt_range[limited, 1] - model.jnt_range[limited, 0]
    far = limited[np.abs(model.jnt_range[limited]).max(axis=1) > WIDE]
    if far.size:
        low, high = model.jnt_range[far[0]]
        name = name_element(model, "joint", int(far[0]))
        raise TaskError(
            f"{where}: joint {name!r} has the range {low:.4g} to {high:.4g} rad, which looks like"
            ' degrees; write <compiler angle="degree"/>, or the range in radians'
        )
    if len(limited) > 1 and widths.max() < NARROW:
        raise TaskError(
            f"{where}: no joint turns by more than {math.degrees(widths.max()):.2g} degrees, so the file is in radians"
            ' and was read in degrees, as MJCF is without a word; add <compiler angle="radian"/>'
        )


def check_keyframe(model: Any, key: int, where: str) -> None:
    """Make sure that a keyframe is in radians.

    Raises:
        TaskError: if an angle is out of all bounds.
    """
    name = name_element(model, "key", key)
    for joint in np.flatnonzero(model.jnt_type == int(mujoco.mjtJoint.mjJNT_HINGE)).tolist():
        angle = float(model.key_qpos[key, model.jnt_qposadr[joint]])
        if not abs(angle) <= 4.0 * math.pi:
            joint_name = name_element(model, "joint", joint)
            raise TaskError(
                f"{where}: the keyframe {name!r} puts joint {joint_name!r} at {angle:g} rad, which looks like"
                " degrees; a keyframe's qpos is in radians whatever <compiler angle> says"
            )


def check_model(model: Any, root: int, options: RobotOptions, where: str) -> None:
    """Make sure that a robot stands on something, and that its options fit it.

    Raises:
        TaskError: if there is nothing below a free robot, or a fixed one is to be pushed.
    """
    drawn = options.randomisation or Randomisation()
    is_free = root > 0 and find_free_joint(model, root) is not None
    if drawn.pushes is not None and not is_free:
        raise TaskError(
            f"{where}: pushes move a robot's free joint, and this one has a fixed base; leave pushes out, or add"
            " <freejoint/> to its main body"
        )
    if is_free and np.linalg.norm(model.opt.gravity) > 0.0 and not _has_ground(model):
        raise TaskError(
            f"{where}: there is no ground, so the robot falls for ever; give the file of its scene, or add"
            ' <geom type="plane" size="0 0 1"/> to <worldbody>'
        )


def list_remarks(model: Any, root: int, options: RobotOptions) -> Iterator[str]:
    """Yield what a user should know of a model, a line each."""
    if not root:
        yield (
            "the robot's base is fixed to the world: an episode has no end but its time limit; a robot that walks needs"
            " <freejoint/> in its main body"
        )
    bound = list_bound_joints(model)
    if bound and options.start_noise:
        names = [name_element(model, "joint", joint) for joint in bound[:4]] + ["..."] * (len(bound) > 4)
        yield f"the start's noise leaves out the joints that equality constraints bind: {', '.join(names)}"
    if model.ntendon:
        yield (
            f"the model has {model.ntendon} tendons: they work as in MuJoCo; an actuator of a tendon takes its control"
            " range from end to end, whatever the action mode"
        )
    if model.nplugin:
        yield "the model has plugins of MuJoCo's own, which work as in MuJoCo"
    keys = [name_element(model, "key", number) for number in range(model.nkey)]
    if keys and options.start not in keys:
        yield f"the start is the model's rest, as no keyframe is 'home'; start = {keys[0]!r} in a card takes that"


def list_bound_joints(model: Any) -> list[int]:
    """Return the joints whose positions equality constraints bind to others."""
    bound: set[int] = set()
    joint_kind, body_kind = int(mujoco.mjtEq.mjEQ_JOINT), int(mujoco.mjtObj.mjOBJ_BODY)
    for number in range(model.neq):
        ends = [int(model.eq_obj1id[number]), int(model.eq_obj2id[number])]
        if int(model.eq_type[number]) == joint_kind:
            bound.update(end for end in ends if end >= 0)
        elif int(model.eq_type[number]) in (int(mujoco.mjtEq.mjEQ_CONNECT), int(mujoco.mjtEq.mjEQ_WELD)):
            is_body = int(model.eq_objtype[number]) == body_kind
            bodies = ends if is_body else [int(model.site_bodyid[end]) for end in ends]
            for body in bodies:
                bound.update(_list_joints_above(model, body))
    return sorted(bound)


def _list_joints_above(model: Any, body: int) -> Iterator[int]:
    """Yield the joints of a body and of the bodies that carry it."""
    while body > 0:
        first = int(model.body_jntadr[body])
        yield from range(first, first + int(model.body_jntnum[body]))
        body = int(model.body_parentid[body])


def _has_ground(model: Any) -> bool:
    fixed = model.body_weldid[model.geom_bodyid] == 0
    collides = (model.geom_contype != 0) | (model.geom_conaffinity != 0)
    return bool((fixed & collides).any())
