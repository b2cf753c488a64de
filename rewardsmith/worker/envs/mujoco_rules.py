"""Observation, reward and ending of the Gymnasium MuJoCo v5 tasks for n simulations at once.

Each class restates one environment's `step` over arrays (n, ...), in the order of operations of the original: floating
point sums and powers are not associative, and the results are equal to the last bit. What a keyword argument sets is
read from an instance of the original, so every argument counts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from gymnasium.envs.mujoco.half_cheetah_v5 import HalfCheetahEnv
from gymnasium.envs.mujoco.hopper_v5 import HopperEnv
from gymnasium.envs.mujoco.inverted_double_pendulum_v5 import InvertedDoublePendulumEnv
from gymnasium.envs.mujoco.inverted_pendulum_v5 import InvertedPendulumEnv
from gymnasium.envs.mujoco.pusher_v5 import PusherEnv
from gymnasium.envs.mujoco.reacher_v5 import ReacherEnv
from gymnasium.envs.mujoco.swimmer_v5 import SwimmerEnv
from gymnasium.envs.mujoco.walker2d_v5 import Walker2dEnv
from numpy.typing import NDArray

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]
Getter = Callable[[str], Array]


class StepRules:
    """Rules of one environment over n simulations."""

    fields: ClassVar[tuple[str, ...]] = ("qpos", "qvel")
    """Fields that the rules read, as the step leaves them."""

    def __init__(self, env: Any, get: Getter) -> None:
        """Bind the rules.

        Args:
            env: an unwrapped instance of the original, for its parameters.
            get: gives the live buffer (n, ...) of each of `fields`.
        """
        self.env = env
        self.qpos, self.qvel = get("qpos"), get("qvel")
        self.n = len(self.qpos)

    def begin_step(self) -> None:
        """Note the values before a step that the reward compares with."""

    def write_observations(self, obs: Array) -> None:
        """Write the observations (n, obs_dim)."""
        raise NotImplementedError

    def write_rewards(self, action: NDArray[np.float32], own: Array, terminated: Bools) -> None:
        """Write the environment's rewards (n,) and which episodes (n,) end by its rule."""
        raise NotImplementedError


class _Runner(StepRules):
    """Tasks that pay for velocity along x and charge for effort."""

    skipped: ClassVar[int] = 1
    """How many positions the observation leaves out."""
    clips_velocity: ClassVar[bool] = False

    def __init__(self, env: Any, get: Getter) -> None:
        super().__init__(env, get)
        self.x, self.x_before = self.qpos[:, 0], np.zeros(self.n)
        self.dt = env.dt
        skipped = self.skipped * bool(env._exclude_current_positions_from_observation)
        self.seen = self.qpos[:, skipped:]
        self.split = self.seen.shape[1]

    def begin_step(self) -> None:
        self.x_before[:] = self.x

    def write_observations(self, obs: Array) -> None:
        obs[:, : self.split] = self.seen
        if self.clips_velocity:
            np.minimum(np.maximum(self.qvel, -10.0), 10.0, out=obs[:, self.split :])
        else:
            obs[:, self.split :] = self.qvel

    def forward_reward(self) -> Array:
        reward: Array = self.env._forward_reward_weight * ((self.x - self.x_before) / self.dt)
        return reward

    def effort(self, action: NDArray[np.float32]) -> NDArray[np.float32]:
        cost: NDArray[np.float32] = self.env._ctrl_cost_weight * np.add.reduce(np.square(action), axis=1)
        return cost

    def write_rewards(self, action: NDArray[np.float32], own: Array, terminated: Bools) -> None:
        np.subtract(self.forward_reward(), self.effort(action), out=own)
        terminated.fill(False)


class _HalfCheetah(_Runner):
    """HalfCheetah-v5."""


class _Swimmer(_Runner):
    """Swimmer-v5."""

    skipped = 2


class _Faller(_Runner):
    """Runners whose episode ends when a part of their state leaves its bounds, which are open on both sides."""

    clips_velocity = True

    def __init__(self, env: Any, get: Getter) -> None:
        super().__init__(env, get)
        self.low, self.high = self.bounds()
        self.watched = np.zeros((self.n, len(self.low)))

    def bounds(self) -> tuple[Array, Array]:
        """Return the bounds of the columns of `watch`."""
        (low_z, high_z), (low_angle, high_angle) = self.env._healthy_z_range, self.env._healthy_angle_range
        return np.array([low_z, low_angle]), np.array([high_z, high_angle])

    def watch(self) -> None:
        """Write the bounded values (n, k) to `watched`."""
        self.watched[:] = self.qpos[:, 1:3]

    def write_rewards(self, action: NDArray[np.float32], own: Array, terminated: Bools) -> None:
        self.watch()
        inside = (self.watched > self.low) & (self.watched < self.high)
        healthy = np.logical_and.reduce(inside, axis=1)
        rewards = self.forward_reward() + healthy * self.env._healthy_reward
        np.subtract(rewards, self.effort(action), out=own)
        if self.env._terminate_when_unhealthy:
            np.logical_not(healthy, out=terminated)
        else:
            terminated.fill(False)


class _Walker2d(_Faller):
    """Walker2d-v5."""


class _Hopper(_Faller):
    """Hopper-v5: besides height and angle, every joint and velocity is bounded."""

    def bounds(self) -> tuple[Array, Array]:
        low, high = super().bounds()
        (state_low, state_high), others = self.env._healthy_state_range, 3 + self.qvel.shape[1]
        low, high = np.append(low, np.full(others, state_low)), np.append(high, np.full(others, state_high))
        low[1], high[1] = max(low[1], state_low), min(high[1], state_high)
        return low, high

    def watch(self) -> None:
        np.concatenate((self.qpos[:, 1:], self.qvel), axis=1, out=self.watched)


class _InvertedPendulum(StepRules):
    """InvertedPendulum-v5."""

    def write_observations(self, obs: Array) -> None:
        nq = self.qpos.shape[1]
        obs[:, :nq], obs[:, nq:] = self.qpos, self.qvel

    def write_rewards(self, action: NDArray[np.float32], own: Array, terminated: Bools) -> None:
        finite = np.isfinite(self.qpos).all(axis=1) & np.isfinite(self.qvel).all(axis=1)
        np.logical_or(~finite, np.abs(self.qpos[:, 1]) > 0.2, out=terminated)
        np.logical_not(terminated, out=own, casting="unsafe")


class _InvertedDoublePendulum(StepRules):
    """InvertedDoublePendulum-v5."""

    fields = ("qpos", "qvel", "site_xpos", "qfrc_constraint")

    def __init__(self, env: Any, get: Getter) -> None:
        super().__init__(env, get)
        self.tip, self.constraint = get("site_xpos")[:, 0], get("qfrc_constraint")

    def write_observations(self, obs: Array) -> None:
        obs[:, :1] = self.qpos[:, :1]
        np.sin(self.qpos[:, 1:], out=obs[:, 1:3])
        np.cos(self.qpos[:, 1:], out=obs[:, 3:5])
        np.minimum(np.maximum(self.qvel, -10.0), 10.0, out=obs[:, 5:8])
        np.minimum(np.maximum(self.constraint[:, :1], -10.0), 10.0, out=obs[:, 8:9])

    def write_rewards(self, action: NDArray[np.float32], own: Array, terminated: Bools) -> None:
        np.less_equal(self.tip[:, 2], 1.0, out=terminated)
        bonus = self.env._healthy_reward
        # Plain floats: C's pow, as for the original's scalars; an array's square differs in the last bit.
        rows = zip(self.tip[:, 0].tolist(), self.tip[:, 2].tolist(), self.qvel[:, 1].tolist(), self.qvel[:, 2].tolist(),
                   terminated.tolist(), strict=True)  # fmt: skip
        own[:] = [
            bonus * int(not ended) - (0.01 * x**2 + (y - 2) ** 2) - (1e-3 * v1**2 + 5e-3 * v2**2)
            for x, y, v1, v2, ended in rows
        ]


class _Reacher(StepRules):
    """Reacher-v5."""

    fields = ("qpos", "qvel", "xpos")

    def __init__(self, env: Any, get: Getter) -> None:
        super().__init__(env, get)
        xpos, body = get("xpos"), env.model.body
        self.finger, self.target = xpos[:, body("fingertip").id], xpos[:, body("target").id]

    def write_observations(self, obs: Array) -> None:
        np.cos(self.qpos[:, :2], out=obs[:, 0:2])
        np.sin(self.qpos[:, :2], out=obs[:, 2:4])
        obs[:, 4:6], obs[:, 6:8] = self.qpos[:, 2:], self.qvel[:, :2]
        np.subtract(self.finger[:, :2], self.target[:, :2], out=obs[:, 8:10])

    def write_rewards(self, action: NDArray[np.float32], own: Array, terminated: Bools) -> None:
        distance = -_length(self.finger - self.target) * self.env._reward_dist_weight
        effort = -np.add.reduce(np.square(action), axis=1) * self.env._reward_control_weight
        np.add(distance, effort, out=own)
        terminated.fill(False)


class _Pusher(StepRules):
    """Pusher-v5."""

    fields = ("qpos", "qvel", "xpos")

    def __init__(self, env: Any, get: Getter) -> None:
        super().__init__(env, get)
        xpos, body = get("xpos"), env.model.body
        self.tips, self.object, self.goal = (xpos[:, body(name).id] for name in ("tips_arm", "object", "goal"))

    def write_observations(self, obs: Array) -> None:
        parts = (self.qpos[:, :7], self.qvel[:, :7], self.tips, self.object, self.goal)
        np.concatenate(parts, axis=1, out=obs)

    def write_rewards(self, action: NDArray[np.float32], own: Array, terminated: Bools) -> None:
        env = self.env
        near = -_length(self.object - self.tips) * env._reward_near_weight
        distance = -_length(self.object - self.goal) * env._reward_dist_weight
        effort = -np.add.reduce(np.square(action), axis=1) * env._reward_control_weight
        np.add(distance + effort, near, out=own)
        terminated.fill(False)


def _length(vectors: Array) -> Array:
    """Return the Euclidean lengths (n,) of (n, 3), by the dot product that np.linalg.norm uses."""
    return np.asarray(np.sqrt(np.vecdot(vectors, vectors)))


RULES: dict[type, type[StepRules]] = {
    HalfCheetahEnv: _HalfCheetah,
    HopperEnv: _Hopper,
    InvertedDoublePendulumEnv: _InvertedDoublePendulum,
    InvertedPendulumEnv: _InvertedPendulum,
    PusherEnv: _Pusher,
    ReacherEnv: _Reacher,
    SwimmerEnv: _Swimmer,
    Walker2dEnv: _Walker2d,
}
