"""Observation of a robot: what its joints, its body and its own sensors feel, and the last action.

gravity in the root's frame (3), its linear and angular velocity there (3 + 3)     of a robot with a free root
positions of the joints, velocities of the joints                                  without free joints
position, orientation and velocity of each object                                  relative to a free root
sensors of the model, the last action
"""

from __future__ import annotations

from collections.abc import Callable

import mujoco
import numpy as np
from numpy.typing import NDArray

from rewardsmith.worker.envs.mujoco_fields import find_free_joint, name_element
from rewardsmith.worker.envs.robot_model import Robot, list_objects

Array = NDArray[np.float64]
Getter = Callable[[str], Array]


class RobotObservation:
    """Writes the observations of n simulations of a robot."""

    fields = ("qpos", "qvel", "xmat", "sensordata")
    """Fields of the simulation that it reads, current."""

    def __init__(self, robot: Robot) -> None:
        """Lay the parts of a robot's observation one after the other."""
        self._robot, model = robot, robot.model

        # Places in qpos and qvel: of the joints that are not free, of the objects, of a free root
        free = np.flatnonzero(model.jnt_type == int(mujoco.mjtJoint.mjJNT_FREE)).tolist()
        self._qpos = _leave_out(model.nq, [(int(model.jnt_qposadr[joint]), 7) for joint in free])
        self._qvel = _leave_out(model.nv, [(int(model.jnt_dofadr[joint]), 6) for joint in free])
        objects = {body: find_free_joint(model, body) or 0 for body in list_objects(model, robot.root)}
        self._objects = [(int(model.jnt_qposadr[joint]), int(model.jnt_dofadr[joint])) for joint in objects.values()]
        root = find_free_joint(model, robot.root) if robot.is_free else None
        self._root_dof = None if root is None else int(model.jnt_dofadr[root])
        self._root_qpos = None if root is None else int(model.jnt_qposadr[root])

        # Sizes of the parts, in their order
        sizes = [("gravity", 3), ("body_velocity", 3), ("body_angular_velocity", 3)] if root is not None else []
        sizes += [("joint_positions", self._qpos.size), ("joint_velocities", self._qvel.size)]
        for body in objects:
            name = name_element(model, "body", body)
            sizes += [(f"{name}_seen_position", 3), (f"{name}_seen_orientation", 4), (f"{name}_seen_velocity", 6)]
        sizes += [("sensors", robot.sensor_numbers), ("last_action", len(robot.actions.names))]
        self.parts: dict[str, slice] = {}
        """Name of a part to its place in the observation; a part without numbers is left out."""
        place = 0
        for name, size in sizes:
            if size:
                self.parts[name] = slice(place, place + size)
            place += size
        self.size = place

    def write(self, obs: Array, get: Getter, last_action: Array) -> None:
        """Write the observations (n, size).

        Args:
            obs: where to.
            get: gives the live buffer (n, ...) of each of `fields`.
            last_action: (n, a).
        """
        qpos, qvel = get("qpos"), get("qvel")
        parts: list[Array] = []
        turn: Array | None = None
        if self._root_dof is not None:
            turn = get("xmat")[:, self._robot.root].reshape(-1, 3, 3)
            first = self._root_dof
            parts += [-turn[:, 2], rotate_back(turn, qvel[:, first : first + 3]), qvel[:, first + 3 : first + 6]]
        parts += [qpos[:, self._qpos], qvel[:, self._qvel]]
        for place, rate in self._objects:
            parts += self._see_object(qpos[:, place : place + 7], qvel[:, rate : rate + 6], qpos, turn)
        parts += [get("sensordata")[:, : self._robot.sensor_numbers], last_action]
        np.concatenate(parts, axis=1, out=obs)

    def _see_object(self, pose: Array, velocity: Array, qpos: Array, turn: Array | None) -> list[Array]:
        position = pose[:, :3]
        if turn is not None and self._root_qpos is not None:
            position = rotate_back(turn, position - qpos[:, self._root_qpos : self._root_qpos + 3])
        return [position, pose[:, 3:], velocity]


def rotate_back(turn: Array, vector: Array) -> Array:
    """Return vectors (n, 3) of the world in the frames whose axes are the columns of `turn` (n, 3, 3)."""
    return np.asarray(np.matmul(vector[:, None, :], turn)[:, 0])


def _leave_out(size: int, stretches: list[tuple[int, int]]) -> NDArray[np.intp]:
    kept = np.ones(size, np.bool_)
    for start, width in stretches:
        kept[start : start + width] = False
    return np.flatnonzero(kept)
