"""ManiSkill 3's tasks (Tao et al. 2024, arXiv:2410.00425) as Gymnasium environments of one CPU simulation.

Importing this module registers each task once more, "rewardsmith/ManiSkill-PickCube-v1" for "PickCube-v1". The physics
and its observation of the state are ManiSkill's own; numbers take the place of batches of tensors. As in ManiSkill's
own trainings an episode runs to its time limit: success does not end it.

SAPIEN, its simulator, wants a Vulkan device even where nothing is drawn, to make the materials of a scene: a GPU's, or
Mesa's software driver. Version 22.3 of that (Debian 12) has too little; 25.0 (its backports) works.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import mani_skill.envs  # noqa: F401 - registers its tasks
import numpy as np
import torch
from gymnasium import spaces
from gymnasium.error import DependencyNotInstalled
from mani_skill.utils.registration import REGISTERED_ENVS
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Info = dict[str, Any]

CONTROL = "pd_joint_delta_pos"
"""Changes of the joints: the arm's tip by inverse kinematics costs ten times as much."""
FACTS = ("is_grasped", "is_cubeA_grasped", "is_cubeA_static", "is_robot_static", "peg_head_pos_at_hole")
"""Entries of ManiSkill's `info` that state a fact; any other tells of success, or may, and is named "success_...". """
LEFT_OUT = ("elapsed_steps", "reconfigure")
FURNITURE = ("ground", "table-workspace")
SEED_RANGE = 2**31 - 1
# Its tensors have one row: more threads than one only wait for each other.
torch.set_num_threads(1)
NO_DEVICE = "device"
"""Word in SAPIEN's complaint where there is no Vulkan device."""


class ManiSkillEnv(gymnasium.Env[Any, Any]):
    """A task of ManiSkill; `info` holds the poses of its objects and of the robot, see `_collect_info`."""

    metadata = {"render_modes": []}  # noqa: RUF012 - Gymnasium's own spelling

    def __init__(self, task: str, control_mode: str = CONTROL, render_mode: str | None = None) -> None:
        """Build the scene.

        Args:
            task: its id, such as "PickCube-v1".
            control_mode: what an action is, in ManiSkill's words.
            render_mode: None.

        Raises:
            DependencyNotInstalled: if there is no Vulkan device.
        """
        self.render_mode = render_mode
        self._scene: Any = _make_scene(task, control_mode)
        self.observation_space = _flatten_space(self._scene.single_observation_space)
        self.action_space = _flatten_space(self._scene.single_action_space)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Floats, Info]:
        """Start an episode; without a seed, the next one of the last seed."""
        super().reset(seed=seed)
        obs, info = self._scene.reset(seed=int(self.np_random.integers(SEED_RANGE)))
        return _take_row(obs), self._collect_info(info)

    def step(self, action: Floats) -> tuple[Floats, float, bool, bool, Info]:
        """Act once; only what ManiSkill counts as failed ends an episode before its time."""
        obs, reward, _, _, info = self._scene.step(np.asarray(action, np.float32))
        failed = bool(np.any(_take_row(info["fail"]))) if "fail" in info else False
        return _take_row(obs), float(reward), failed, False, self._collect_info(info)

    def close(self) -> None:
        """End the simulation."""
        self._scene.close()

    def _collect_info(self, reported: Info) -> Info:
        """Return poses and velocities in the world's axes (z up), and what ManiSkill's `info` says."""
        scene, agent = self._scene.scene, self._scene.agent
        info: Info = {
            "gripper_position": _take_row(agent.tcp.pose.p),
            "gripper_orientation": _take_row(agent.tcp.pose.q),
            "joint_positions": _take_row(agent.robot.qpos),
            "joint_velocities": _take_row(agent.robot.qvel),
        }
        for name, actor in scene.actors.items():
            if name not in FURNITURE:
                info |= _read_motion(name, actor)
        for key, value in reported.items():
            if key not in LEFT_OUT:
                name = key if key in FACTS or key == "success" else f"success_{key}"
                info[name] = _take_row(value).astype(np.float64)
        return info


def explain_missing_vulkan(error: RuntimeError) -> DependencyNotInstalled | RuntimeError:
    """Return what to raise for a failure of SAPIEN: where it lacks a Vulkan device, an error that says what to do."""
    if NO_DEVICE not in str(error):
        return error
    return DependencyNotInstalled(
        "ManiSkill needs a Vulkan device, even without images: a GPU's driver, or Mesa's software driver from 24.3 on "
        f"(Debian 12: mesa-vulkan-drivers of bookworm-backports); SAPIEN says: {error}"
    )


def _make_scene(task: str, control_mode: str) -> Any:
    try:
        made = gymnasium.make(
            task,
            disable_env_checker=True,
            num_envs=1,
            obs_mode="state",
            control_mode=control_mode,
            sim_backend="physx_cpu",
            render_backend="none",
        )
    except RuntimeError as error:
        raise explain_missing_vulkan(error) from error
    return made.unwrapped


def _flatten_space(space: Any) -> spaces.Box:
    return spaces.Box(space.low.ravel(), space.high.ravel(), dtype=np.float32)


def _take_row(tensor: Any) -> NDArray[Any]:
    """Return the one row of a batch."""
    row: NDArray[Any] = np.asarray(tensor)[0]
    return row


def _read_motion(name: str, actor: Any) -> Info:
    info = {f"{name}_position": _take_row(actor.pose.p), f"{name}_orientation": _take_row(actor.pose.q)}
    if actor.px_body_type == "dynamic":
        info[f"{name}_velocity"] = _take_row(actor.linear_velocity)
        info[f"{name}_angular_velocity"] = _take_row(actor.angular_velocity)
    return info


def _register_tasks() -> None:
    for task, registered in REGISTERED_ENVS.items():
        gymnasium.register(
            f"rewardsmith/ManiSkill-{task}",
            entry_point=f"{__name__}:ManiSkillEnv",
            kwargs={"task": task},
            max_episode_steps=registered.max_episode_steps,
        )


_register_tasks()
