"""Domain randomisation of a robot: what each episode draws, and how it changes one of n simulations.

An episode's draws come from its own generator after those of its start, so that a seed gives the same start with and
without randomisation.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rewardsmith.contract.robots import Randomisation
from rewardsmith.worker.envs.mujoco_fields import find_free_joint
from rewardsmith.worker.envs.robot_batch import RobotBatch
from rewardsmith.worker.envs.robot_model import Robot, list_objects

Array = NDArray[np.float64]

PUSH_INTERVAL_S = 2.0
"""Time between two pushes; the first comes after a part of it that the episode draws."""


class RobotRandomiser:
    """Bodies and worlds of n simulations, drawn at the start of each episode."""

    def __init__(self, robot: Robot, batch: RobotBatch, n: int) -> None:
        """Give the simulations values of their own.

        Args:
            robot: the robot.
            batch: its simulations.
            n: how many there are.
        """
        self._drawn = drawn = robot.options.randomisation or Randomisation()
        self._model, self._batch = robot.model, batch
        names = ["geom_friction"] * (drawn.friction is not None)
        names += ["body_mass", "body_inertia"] * (drawn.mass is not None)
        names += ["actuator_gainprm", "actuator_biasprm", "actuator_forcerange"] * (drawn.motor_strength is not None)
        self._fields = {name: batch.expand(name) for name in names}
        self._bodies = _list_tree(self._model, robot.root)
        self._delays = np.zeros(n, np.intp)
        longest = 0 if drawn.latency is None else drawn.latency[1]
        self._sent = np.zeros((longest + 1, n, len(robot.actions.names)))
        self._rows = np.arange(n)
        self._interval = max(1, round(PUSH_INTERVAL_S / robot.step_s))
        self._next_push, self._rngs = np.zeros(n, np.intp), [np.random.default_rng(0)] * n
        joint = find_free_joint(self._model, robot.root) if robot.is_free else None
        self._root_dof = 0 if joint is None else int(self._model.jnt_dofadr[joint])

    def draw_row(self, row: int, rng: np.random.Generator) -> None:
        """Draw the episode that starts in a row."""
        drawn, model, fields = self._drawn, self._model, self._fields
        if drawn.friction is not None:
            fields["geom_friction"][row] = model.geom_friction
            fields["geom_friction"][row, :, 0] *= rng.uniform(*drawn.friction)
        if drawn.mass is not None:
            factor = np.ones(model.nbody)
            factor[self._bodies] = rng.uniform(*drawn.mass, len(self._bodies))
            fields["body_mass"][row] = model.body_mass * factor
            fields["body_inertia"][row] = model.body_inertia * factor[:, None]
            self._batch.set_const(np.array([row]))
        if drawn.motor_strength is not None:
            factor = rng.uniform(*drawn.motor_strength, (model.nu, 1))
            for name in ("actuator_gainprm", "actuator_biasprm", "actuator_forcerange"):
                fields[name][row] = getattr(model, name) * factor
        if drawn.latency is not None:
            self._delays[row] = rng.integers(drawn.latency[0], drawn.latency[1] + 1)
            self._sent[:, row] = 0.0
        if drawn.pushes is not None:
            self._rngs[row], self._next_push[row] = rng, rng.integers(self._interval)

    def delay_actions(self, actions: Array) -> Array:
        """Return the actions (n, a) that take effect now, of those that were sent so far and these."""
        if self._drawn.latency is None:
            return actions
        self._sent[1:] = self._sent[:-1].copy()
        self._sent[0] = actions
        return np.asarray(self._sent[self._delays, self._rows])

    def push(self, elapsed: Array, velocities: Array) -> None:
        """Push the robots whose time has come.

        Args:
            elapsed: (n,), steps of each episode so far.
            velocities: (n, nv), changed in place.
        """
        if self._drawn.pushes is None:
            return
        due = np.flatnonzero(elapsed == self._next_push)
        for row in due.tolist():
            rng = self._rngs[row]
            speed, direction = rng.uniform(*self._drawn.pushes), rng.uniform(0.0, 2.0 * np.pi)
            velocities[row, self._root_dof] += speed * np.cos(direction)
            velocities[row, self._root_dof + 1] += speed * np.sin(direction)
            self._next_push[row] += self._interval


def _list_tree(model: Any, root: int) -> NDArray[np.intp]:
    """Return the bodies of the robot with mass: those below its root, or all without a free joint."""
    if root:
        inside = model.body_rootid == model.body_rootid[root]
    else:
        inside = ~np.isin(model.body_rootid, list_objects(model, root))
    return np.flatnonzero(inside & (model.body_mass > 0.0))
