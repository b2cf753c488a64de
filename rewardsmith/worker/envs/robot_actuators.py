"""Actuators of a robot and the actions that drive them: n numbers in [-1, 1], one for each actuator.

position   an actuator that holds an angle: its centre, the start's angle, plus `action_scale` of its range
delta      the same from the last target on, so that a target moves step by step
torque     every other actuator: the ends of its control range are -1 and 1

A model without actuators, such as every URDF, gets one for each joint with a limit of its force.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import mujoco
import numpy as np
from numpy.typing import NDArray

from rewardsmith.contract.errors import TaskError
from rewardsmith.contract.robots import RobotOptions

Array = NDArray[np.float64]
Mode = Literal["torque", "position", "delta"]

SCALES: dict[Mode, float] = {"position": 0.25, "delta": 0.05, "torque": 0.5}
"""Share of an actuator's range that an action of 1 adds to the centre, unless the options say it."""
FULL_FORCE_AT = 0.25
"""Share of a joint's range by which a made position actuator has to miss its target to push with its whole force."""
FREE_RANGE = 2.0
"""Range in rad or m of a joint or an actuator without limits."""


@dataclass(frozen=True)
class ActionMap:
    """From actions to controls: control = centre (or the last target) + scale * action, inside [low, high]."""

    mode: Mode
    names: tuple[str, ...]
    centre: Array
    """(a,)."""
    scale: Array
    low: Array
    high: Array
    is_moving: NDArray[np.bool_]
    """(a,): which actuators add to their last target."""

    def compute_controls(self, actions: Array, targets: Array) -> Array:
        """Return the controls (n, a) of actions (n, a), given the last ones (n, a)."""
        centre = np.where(self.is_moving, targets, self.centre) if self.mode == "delta" else self.centre
        return np.asarray(np.minimum(np.maximum(centre + self.scale * actions, self.low), self.high))


def prepare_actuators(spec: Any, action: Mode | None, where: str) -> tuple[Mode, Any | None]:
    """Give a model the actuators that its actions need.

    Args:
        spec: the MjSpec, which is changed.
        action: what the user wants actions to be; None as the model's actuators are.
        where: the model's file, for messages.

    Returns:
        What the actions are, and the compiled model where the actuators stay as they were.

    Raises:
        TaskError: if it has no actuators and none can be made, or one has no force limit that the action needs.
    """
    if not spec.actuators:
        _add_actuators(spec, action or "position", where)
        return action or "position", None
    model = spec.compile()
    kinds = [classify_actuator(model, number) for number in range(model.nu)]
    mode: Mode = action or ("position" if "position" in kinds else "torque")
    unwanted = "position" if mode == "torque" else "motor"
    for number, kind in enumerate(kinds):
        if mode == "torque" and kind == "position":
            _turn_into_motor(spec.actuators[number], model, number, where)
        elif mode != "torque" and kind == "motor":
            _turn_into_servo(spec.actuators[number], model, number, where)
    return mode, None if unwanted in kinds else model


def classify_actuator(model: Any, number: int) -> Literal["position", "motor", "other"]:
    """Return what an actuator does: hold a joint's position, push a joint, or something else."""
    joint = (int(mujoco.mjtTrn.mjTRN_JOINT), int(mujoco.mjtTrn.mjTRN_JOINTINPARENT))
    if int(model.actuator_trntype[number]) not in joint:
        return "other"
    if int(model.actuator_gaintype[number]) != int(mujoco.mjtGain.mjGAIN_FIXED):
        return "other"
    gain, bias = model.actuator_gainprm[number], model.actuator_biasprm[number]
    if int(model.actuator_biastype[number]) == int(mujoco.mjtBias.mjBIAS_AFFINE) and gain[0]:
        return "position" if bias[1] == -gain[0] else "other"
    is_plain = int(model.actuator_biastype[number]) == int(mujoco.mjtBias.mjBIAS_NONE)
    return "motor" if is_plain and gain[0] and _find_joint_kind(model, number) == "single" else "other"


def map_actions(model: Any, mode: Mode, home: Array, options: RobotOptions, where: str) -> ActionMap:
    """Return how actions become controls.

    Args:
        model: the compiled model.
        mode: what `prepare_actuators` gave.
        home: (a,), the controls that hold the start.
        options: of the robot.
        where: the model's file, for messages.

    Raises:
        TaskError: if an actuator has no control range.
    """
    names = tuple(_name_actuator(model, number) for number in range(model.nu))
    low, high = np.full(model.nu, -np.inf), np.full(model.nu, np.inf)
    centre, scale, moving = home.copy(), np.zeros(model.nu), np.zeros(model.nu, np.bool_)
    for number in range(model.nu):
        # Range of the control
        if model.actuator_ctrllimited[number]:
            low[number], high[number] = model.actuator_ctrlrange[number]
        elif int(model.actuator_dyntype[number]) == int(mujoco.mjtDyn.mjDYN_MUSCLE):
            low[number], high[number] = 0.0, 1.0  # to which MuJoCo clips a muscle's control
        width = high[number] - low[number]

        # Centre and scale: around the start for a position actuator, else over the range, or up to the force limit
        if mode != "torque" and classify_actuator(model, number) == "position":
            width = width if np.isfinite(width) else _find_joint_width(model, number)
            scale[number] = width * (options.action_scale or SCALES[mode])
            moving[number] = mode == "delta"
        elif np.isfinite(width):
            centre[number], scale[number] = low[number] + 0.5 * width, SCALES["torque"] * width
        else:
            limit = _find_force_limit(model, number)
            if limit is None:
                raise TaskError(
                    f"{where}: actuator {names[number]!r} has no control range, so that an action has no bounds; add"
                    ' ctrlrange="LOW HIGH" to it'
                )
            low[number], high[number] = -limit, limit
            centre[number], scale[number] = 0.0, limit
    return ActionMap(mode, names, np.clip(centre, low, high), scale, low, high, moving)


def describe_actions(actions: ActionMap) -> str:
    """Say in a sentence what the actions do."""
    names = ", ".join(actions.names)
    held = {
        "torque": "from the lower to the upper end of the actuator's control range",
        "position": "the target of a position actuator, 0 is the start's pose and 1 adds the scale",
        "delta": "the change of a position actuator's target, 1 adds the scale",
    }[actions.mode]
    scales = ", ".join(f"{scale:.3g}" for scale in actions.scale)
    return f"{len(actions.names)} numbers in [-1, 1], one for each of the actuators {names}: {held} (scales: {scales})"


# ---------------------------------------------------------------- changes of the model


def _add_actuators(spec: Any, mode: Mode, where: str) -> None:
    single = (mujoco.mjtJoint.mjJNT_HINGE, mujoco.mjtJoint.mjJNT_SLIDE)
    joints = [joint for joint in spec.joints if joint.type in single]
    limited = [joint for joint in joints if joint.actfrcrange[0] < joint.actfrcrange[1]]
    if not joints:
        raise TaskError(
            f"{where}: nothing of the model can be moved: it has no joint that turns or slides; add <joint>"
        )
    if not limited:
        raise TaskError(
            f"{where}: the model has no actuators, and its joints have no force limits; add <actuator> with a <motor>"
            ' or <position> for each joint, or actuatorfrcrange="LOW HIGH" (in a URDF: <limit effort="..."/>) to the'
            " joints"
        )
    for joint in limited:
        force = float(max(abs(joint.actfrcrange)))
        added = spec.add_actuator(name=joint.name, trntype=mujoco.mjtTrn.mjTRN_JOINT, target=joint.name)
        if mode == "torque":
            added.set_to_motor()
            added.ctrlrange, added.ctrllimited = [-force, force], True
        else:
            width = float(joint.range[1] - joint.range[0])
            _set_servo(added, force, width)


def _set_servo(actuator: Any, force: float, width: float) -> None:
    """Make an actuator hold a position, with critical damping.

    Args:
        actuator: of the MjSpec.
        force: its largest, in N or N m.
        width: range of the joint, in rad or m; 0 without limits.
    """
    stiffness = force / (FULL_FORCE_AT * (width or FREE_RANGE))
    actuator.gear = [1, 0, 0, 0, 0, 0]
    actuator.ctrlrange, actuator.ctrllimited = [0, 0], mujoco.mjtLimited.mjLIMITED_AUTO
    actuator.set_to_position(kp=stiffness, dampratio=1.0, inheritrange=width > 0.0)
    actuator.forcerange, actuator.forcelimited = [-force, force], True


def _turn_into_servo(actuator: Any, model: Any, number: int, where: str) -> None:
    force = _find_force_limit(model, number)
    if force is None:
        raise TaskError(
            f"{where}: actuator {_name_actuator(model, number)!r} has no force limit, from which its stiffness as a"
            ' position actuator would follow; add ctrlrange="LOW HIGH" to it, or choose --action torque'
        )
    gear = _read_gear(model, number)
    gain = abs(float(model.actuator_gainprm[number, 0]))
    joint = int(model.actuator_trnid[number, 0])
    low, high = model.jnt_range[joint] if model.jnt_limited[joint] else (0.0, 0.0)
    _set_servo(actuator, force * gear * gain, float(high - low))


def _turn_into_motor(actuator: Any, model: Any, number: int, where: str) -> None:
    limited, force_range = model.actuator_forcelimited[number], model.actuator_forcerange[number]
    joint = int(model.actuator_trnid[number, 0])
    gear = _read_gear(model, number)
    if limited:
        force = float(max(abs(force_range)))
    elif model.jnt_actfrclimited[joint]:
        force = float(max(abs(model.jnt_actfrcrange[joint]))) / gear
    else:
        raise TaskError(
            f"{where}: the position actuator {_name_actuator(model, number)!r} has no force limit, so --action torque"
            ' has no range; add forcerange="LOW HIGH" to it'
        )
    actuator.set_to_motor()
    actuator.ctrlrange, actuator.ctrllimited = [-force, force], True


# ---------------------------------------------------------------- reading the model


def _find_force_limit(model: Any, number: int) -> float | None:
    """Return the largest control of a motor, from whichever limit the model states; None without one."""
    return next(_iterate_control_limits(model, number), None)


def _iterate_control_limits(model: Any, number: int) -> Iterator[float]:
    gain = abs(float(model.actuator_gainprm[number, 0])) or 1.0
    gear = _read_gear(model, number)
    if model.actuator_ctrllimited[number]:
        yield float(max(abs(model.actuator_ctrlrange[number])))
    if model.actuator_forcelimited[number]:
        yield float(max(abs(model.actuator_forcerange[number]))) / gain
    joint = int(model.actuator_trnid[number, 0])
    if _find_joint_kind(model, number) == "single" and model.jnt_actfrclimited[joint]:
        yield float(max(abs(model.jnt_actfrcrange[joint]))) / (gain * gear)


def _read_gear(model: Any, number: int) -> float:
    """Return the size of an actuator's gear; 1 where it is 0."""
    return abs(float(model.actuator_gear[number, 0])) or 1.0


def _find_joint_kind(model: Any, number: int) -> str:
    if int(model.actuator_trntype[number]) != int(mujoco.mjtTrn.mjTRN_JOINT):
        return "none"
    single = (int(mujoco.mjtJoint.mjJNT_HINGE), int(mujoco.mjtJoint.mjJNT_SLIDE))
    return "single" if int(model.jnt_type[int(model.actuator_trnid[number, 0])]) in single else "other"


def _find_joint_width(model: Any, number: int) -> float:
    joint = int(model.actuator_trnid[number, 0])
    low, high = model.jnt_range[joint]
    return float(high - low) if model.jnt_limited[joint] else FREE_RANGE


def _name_actuator(model: Any, number: int) -> str:
    name = mujoco.mj_id2name(model, mujoco.mjtObj.mjOBJ_ACTUATOR, number)
    if name:
        return str(name)
    joint = int(model.actuator_trnid[number, 0])
    joint_name = (
        mujoco.mj_id2name(model, mujoco.mjtObj.mjOBJ_JOINT, joint) if _find_joint_kind(model, number) != "none" else ""
    )
    return str(joint_name or f"actuator{number}")
