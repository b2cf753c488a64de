"""Start of a robot's episode: the keyframe's pose with noise, and what the options draw from a range."""

from __future__ import annotations

import math
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from rewardsmith.contract.errors import TaskError
from rewardsmith.worker.envs.mujoco_fields import name_element
from rewardsmith.worker.envs.robot_checks import list_bound_joints
from rewardsmith.worker.envs.robot_model import Robot

Array = NDArray[np.float64]

COORDINATES = ("x", "y", "z", "yaw")
"""Coordinates of a free joint that can be drawn."""


class RobotStart:
    """Draws starts of a robot."""

    def __init__(self, robot: Robot) -> None:
        """Find what is drawn.

        Raises:
            TaskError: if `start_ranges` names something that the model does not have.
        """
        self._robot, model = robot, robot.model
        single = np.isin(model.jnt_type, (int(mujoco.mjtJoint.mjJNT_HINGE), int(mujoco.mjtJoint.mjJNT_SLIDE)))
        self._places = [_find_place(model, name, robot.options.model) for name in robot.options.start_ranges]
        self._ranges = list(robot.options.start_ranges.values())
        drawn = {place for place, coordinate in self._places if not coordinate}
        bound = set(list_bound_joints(model))
        noisy = [
            joint
            for joint in np.flatnonzero(single).tolist()
            if joint not in bound and int(model.jnt_qposadr[joint]) not in drawn
        ]
        self._noisy_qpos, self._noisy_qvel = model.jnt_qposadr[noisy], model.jnt_dofadr[noisy]
        limited = model.jnt_limited[noisy] != 0
        self._low = np.where(limited, model.jnt_range[noisy, 0], -np.inf)
        self._high = np.where(limited, model.jnt_range[noisy, 1], np.inf)

    def draw(self, rng: np.random.Generator) -> tuple[Array, Array]:
        """Return a pose (nq,) and a velocity (nv,)."""
        pose, velocity = self._robot.start.copy(), self._robot.start_velocity.copy()
        noise, size = self._robot.options.start_noise, self._noisy_qpos.size
        moved = pose[self._noisy_qpos] + rng.uniform(-noise, noise, size)
        pose[self._noisy_qpos] = np.clip(moved, self._low, self._high)
        velocity[self._noisy_qvel] += rng.uniform(-noise, noise, size)
        for (place, coordinate), (low, high) in zip(self._places, self._ranges, strict=True):
            value = rng.uniform(low, high)
            if coordinate == "yaw":
                _turn_about_vertical(pose[place + 3 : place + 7], value)
            else:
                pose[place + (COORDINATES.index(coordinate) if coordinate else 0)] = value
        return pose, velocity


def _find_place(model: Any, name: str, where: str) -> tuple[int, str]:
    """Return the first number of a joint in qpos, and the coordinate of a free joint that is drawn; "" for others.

    Raises:
        TaskError: if there is no such joint, or it takes another name.
    """
    names = [name_element(model, "joint", number) for number in range(model.njnt)]
    joint_name, coordinate = (name, "") if name in names else name.rpartition(".")[::2]
    free, ball = int(mujoco.mjtJoint.mjJNT_FREE), int(mujoco.mjtJoint.mjJNT_BALL)
    if joint_name not in names:
        raise TaskError(f"{where}: start_ranges names no joint {joint_name or name!r}; there are {', '.join(names)}")
    joint = names.index(joint_name)
    kind = int(model.jnt_type[joint])
    if kind == ball or (kind == free) != (coordinate in COORDINATES):
        if kind == free:
            drawable = f"the coordinates {', '.join(f'{joint_name}.{part}' for part in COORDINATES)} can be drawn"
        elif kind == ball:
            drawable = "no part of a ball joint can be drawn"
        else:
            drawable = f"only the joint {joint_name!r} itself can be drawn"
        raise TaskError(f"{where}: start_ranges.{name}: {drawable}")
    return int(model.jnt_qposadr[joint]), coordinate


def _turn_about_vertical(quaternion: Array, angle: float) -> None:
    """Turn an orientation (w, x, y, z) about the world's vertical, in place."""
    turned = np.empty(4)
    mujoco.mju_mulQuat(turned, np.array([math.cos(angle / 2), 0.0, 0.0, math.sin(angle / 2)]), quaternion)
    quaternion[:] = turned
