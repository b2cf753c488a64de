"""Observation, reward and ending of the Gymnasium MuJoCo v5 tasks that observe contact forces; see `mujoco_rules`."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium.envs.mujoco.ant_v5 import AntEnv
from gymnasium.envs.mujoco.humanoid_v5 import HumanoidEnv
from gymnasium.envs.mujoco.humanoidstandup_v5 import HumanoidStandupEnv
from numpy.typing import NDArray

from rewardsmith.worker.envs.mujoco_rules import Array, Bools, Getter, StepRules


class _Ant(StepRules):
    """Ant-v5."""

    fields = ("qpos", "qvel", "xpos", "cfrc_ext")

    def __init__(self, env: Any, get: Getter) -> None:
        super().__init__(env, get)
        self.x, self.x_before = get("xpos")[:, env.model.body(env._main_body).id, 0], np.zeros(self.n)
        self.forces = get("cfrc_ext")
        self.clipped = np.zeros_like(self.forces)
        seen = self.qpos[:, 2 * bool(env._exclude_current_positions_from_observation) :]
        parts = [seen, self.qvel]
        if env._include_cfrc_ext_in_observation:
            parts.append(self.clipped[:, 1:].reshape(self.n, -1))
        self.parts = parts

    def begin_step(self) -> None:
        self.x_before[:] = self.x

    def write_observations(self, obs: Array) -> None:
        low, high = self.env._contact_force_range
        np.clip(self.forces, low, high, out=self.clipped)
        if self.env._include_cfrc_ext_in_observation:
            self.parts[2] = self.clipped[:, 1:].reshape(self.n, -1)
        np.concatenate(self.parts, axis=1, out=obs)

    def write_rewards(self, action: NDArray[np.float32], own: Array, terminated: Bools) -> None:
        env = self.env
        low, high = env._healthy_z_range
        z = self.qpos[:, 2]
        finite = np.isfinite(self.qpos).all(axis=1) & np.isfinite(self.qvel).all(axis=1)
        healthy = finite & (low <= z) & (z <= high)
        forward = (self.x - self.x_before) / env.dt * env._forward_reward_weight
        effort = env._ctrl_cost_weight * np.add.reduce(np.square(action), axis=1)
        contact = env._contact_cost_weight * _sum_of_squares(self.clipped)
        np.subtract(forward + healthy * env._healthy_reward, effort + contact, out=own)
        np.logical_and(~healthy, env._terminate_when_unhealthy, out=terminated)


class _Human(StepRules):
    """The two tasks of the humanoid: the same observation."""

    fields = ("qpos", "qvel", "ctrl", "cinert", "cvel", "qfrc_actuator", "cfrc_ext", "xipos")

    def __init__(self, env: Any, get: Getter) -> None:
        super().__init__(env, get)
        self.ctrl, self.forces, self.xipos = get("ctrl"), get("cfrc_ext"), get("xipos")
        self.parts = [self.qpos[:, 2 * bool(env._exclude_current_positions_from_observation) :], self.qvel]
        # The original compares with `is True`: any other truthy value leaves the part out.
        if env._include_cinert_in_observation is True:
            self.parts.append(_rows(get("cinert"))[:, 10:])
        if env._include_cvel_in_observation is True:
            self.parts.append(_rows(get("cvel"))[:, 6:])
        if env._include_qfrc_actuator_in_observation is True:
            self.parts.append(get("qfrc_actuator")[:, 6:])
        if env._include_cfrc_ext_in_observation is True:
            self.parts.append(_rows(self.forces)[:, 6:])

    def write_observations(self, obs: Array) -> None:
        np.concatenate(self.parts, axis=1, out=obs)

    def effort(self) -> Array:
        return np.asarray(self.env._ctrl_cost_weight * np.add.reduce(np.square(self.ctrl), axis=1))


class _Humanoid(_Human):
    """Humanoid-v5."""

    def __init__(self, env: Any, get: Getter) -> None:
        super().__init__(env, get)
        self.mass, self.x_before = env.model.body_mass, np.zeros(self.n)

    def centre(self) -> Array:
        """Return x of the centre of mass (n,)."""
        weighted = np.array([np.einsum("b,bj->j", self.mass, row)[0] for row in self.xipos])
        return np.asarray(weighted / self.mass.sum())

    def begin_step(self) -> None:
        self.x_before[:] = self.centre()

    def write_rewards(self, action: NDArray[np.float32], own: Array, terminated: Bools) -> None:
        env = self.env
        low, high = env._healthy_z_range
        z = self.qpos[:, 2]
        healthy = (low < z) & (z < high)
        forward = env._forward_reward_weight * ((self.centre() - self.x_before) / env.dt)
        contact = np.clip(env._contact_cost_weight * _sum_of_squares(self.forces), *env._contact_cost_range)
        np.subtract(forward + healthy * env._healthy_reward, self.effort() + contact, out=own)
        np.logical_and(~healthy, env._terminate_when_unhealthy, out=terminated)


class _HumanoidStandup(_Human):
    """HumanoidStandup-v5."""

    def write_rewards(self, action: NDArray[np.float32], own: Array, terminated: Bools) -> None:
        env = self.env
        height = self.qpos[:, 2] / env.model.opt.timestep
        impact = np.clip(env._impact_cost_weight * _sum_of_squares(self.forces), *env._impact_cost_range)
        np.add(height - self.effort() - impact, 1, out=own)
        terminated.fill(False)


def _rows(field: Array) -> Array:
    return field.reshape(len(field), -1)


def _sum_of_squares(field: Array) -> Array:
    return np.asarray(np.add.reduce(_rows(np.square(field)), axis=1))


CONTACT_RULES: dict[type, type[StepRules]] = {
    AntEnv: _Ant,
    HumanoidEnv: _Humanoid,
    HumanoidStandupEnv: _HumanoidStandup,
}
