"""A robot as a Gymnasium environment: one row of `RobotEnvs`, with pictures.

gymnasium.make("rewardsmith.worker.envs.robot_gym:rewardsmith/Robot-v0", model="quadruped.xml", digest="...")
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import gymnasium
import mujoco
import numpy as np
from gymnasium.wrappers import OrderEnforcing, TimeLimit

from rewardsmith.contract.errors import TaskError
from rewardsmith.contract.records import Signal
from rewardsmith.contract.robots import RobotOptions, read_robot_options
from rewardsmith.worker.envs.base import Array, EnvStep, SignalLayout
from rewardsmith.worker.envs.mujoco_fields import name_element
from rewardsmith.worker.envs.robot_actuators import describe_actions
from rewardsmith.worker.envs.robot_envs import RobotEnvs
from rewardsmith.worker.envs.robot_model import Robot

ENV_ID = "rewardsmith/Robot-v0"
"""Id under which a robot is made without rewardsmith's own names for robots."""
MAX_EPISODE_STEPS = 500
"""Time limit unless a card says it: 10 s at 50 actions per second."""
ENTRY_POINT = "rewardsmith.worker.envs.robot_gym:RobotGym"
FALL_S = 0.1
"""Within this time a start counts as one that falls at once."""


def register_robot(env_id: str) -> None:
    """Register the id of a robot."""
    if env_id not in gymnasium.registry:
        gymnasium.register(env_id, entry_point=ENTRY_POINT, max_episode_steps=MAX_EPISODE_STEPS)


class RobotGym(gymnasium.Env[Any, Any]):
    """A robot from its model file."""

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"]}  # noqa: RUF012 - as Gymnasium declares it

    def __init__(self, render_mode: str | None = None, **options: Any) -> None:
        """Load the robot.

        Args:
            render_mode: "rgb_array" for pictures.
            options: as `RobotOptions` has them.

        Raises:
            TaskError: if an option is wrong, or the model cannot be used.
        """
        self.options = read_robot_options(options, str(options.get("model", "the robot")))
        self.render_mode = render_mode
        self.rows = RobotEnvs(self.options, 1, SignalLayout(()), None, restarts=False)
        self.last_step: EnvStep | None = None
        robot = self.rows.robot
        check_start(self.rows)
        self.dt = robot.step_s
        self.model, self.data = robot.model, mujoco.MjData(robot.model)
        self.remarks, self.action_names = robot.remarks, robot.actions.names
        self.about = describe_robot(self.rows)
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (self.rows.obs_dim,), np.float64)
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (self.rows.actions.width,), np.float32)
        self.mujoco_renderer = None if render_mode is None else _make_renderer(robot, self.data)

    def gather_signals(self, layout: SignalLayout, limit: int | None) -> None:
        """Gather signals from now on; the next call has to be a reset.

        Raises:
            TaskError: if one cannot be read.
        """
        self.rows = RobotEnvs(self.options, 1, layout, limit, restarts=False)

    def list_signals(self) -> list[Signal]:
        """Return the signals that the robot has."""
        return self.rows.list_signals()

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Array, dict[str, Any]]:
        """Start an episode."""
        super().reset(seed=seed)
        obs = self.rows.reset(None if seed is None else [seed])[0].copy()
        return obs, {}

    def step(self, action: Any) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        """Act once."""
        self.last_step = step = self.rows.step(np.asarray(action, np.float32).reshape(1, -1))
        return step.final_obs[0].copy(), 0.0, bool(step.terminated[0]), False, {}

    def render(self) -> Any:
        """Return a picture of the present state."""
        if self.mujoco_renderer is None:
            return None
        self.rows.copy_simulation(0, self.data)
        return self.mujoco_renderer.render("rgb_array")

    def close(self) -> None:
        """Release the renderer."""
        if self.mujoco_renderer is not None:
            self.mujoco_renderer.close()


class FilmedRobot:
    """A robot that a wrapper films, with the interface of `BatchedEnv`: one row, whose steps go through the wrapper."""

    def __init__(self, wrapped: Any, layout: SignalLayout) -> None:
        """Take over a wrapped `RobotGym`.

        Raises:
            TaskError: if a signal cannot be read.
        """
        self._wrapped, self._robot = wrapped, wrapped.unwrapped
        self.max_episode_steps = wrapped.spec.max_episode_steps
        self._robot.gather_signals(layout, self.max_episode_steps)
        rows = self._robot.rows
        self.n, self.layout, self.obs_dim, self.actions = 1, layout, rows.obs_dim, rows.actions
        self.image, self.image_parts, self.faults, self.step_s = None, rows.image_parts, rows.faults, rows.step_s

    def reset(self, seeds: Any = None) -> Array:
        """Start an episode; see `BatchedEnv.reset`."""
        return np.asarray(self._wrapped.reset(seed=None if seeds is None else int(seeds[0]))[0])[None]

    def step(self, actions: Any) -> EnvStep:
        """Act once; see `BatchedEnv.step`."""
        self._wrapped.step(np.asarray(actions, np.float32)[0])
        step: EnvStep = self._robot.last_step
        if not step.ended.size:
            return step
        obs = self.reset()
        return step._replace(obs=obs)

    def read_signals(self) -> Array:
        """Return the signals at the state that the next step acts on."""
        return np.asarray(self._robot.rows.read_signals())

    def read_start_signals(self) -> Array:
        """Return the signals at the start of the running episode."""
        return np.asarray(self._robot.rows.read_start_signals())

    def close(self) -> None:
        """Close the wrapped environment."""
        self._wrapped.close()


def find_robot(env: Any) -> RobotGym | None:
    """Return the robot of an environment; None where it is none."""
    return env.unwrapped if isinstance(env.unwrapped, RobotGym) else None


def is_filmed(env: Any) -> bool:
    """Return whether something that films is wrapped around a robot."""
    while isinstance(env, TimeLimit | OrderEnforcing):
        env = env.env
    return env is not env.unwrapped


def check_start(rows: RobotEnvs) -> None:
    """Make sure that a robot that holds its start neither falls at once nor breaks the simulation.

    Raises:
        TaskError: if the end of the episode holds within the first tenth of a second, or the physics is not finite.
    """
    robot = rows.robot
    quiet = RobotEnvs(_without_noise(robot), 1, SignalLayout(()), None, restarts=False)
    quiet.reset([0])
    steps = max(1, round(FALL_S / robot.step_s))
    for step in range(steps + 1):
        if rows.end is not None and quiet.has_ended(0):
            where = f"after {step * robot.step_s:.2g} s" if step else "at the start"
            raise TaskError(
                f"{robot.options.model}: {name_start(robot)} ends the episode {where}: {rows.end.text}, with"
                f" {quiet.describe_end()}; raise the keyframe until the feet touch the ground, choose another with"
                " `start`, or write another `end`"
            )
        with np.errstate(all="ignore"):
            broken = quiet.step(np.zeros((1, quiet.actions.width))).broken[0]
        if broken:
            raise TaskError(
                f"{robot.options.model}: the simulation breaks {(step + 1) * robot.step_s:.2g} s after the start, with"
                ' no action: a smaller timestep in <option>, integrator="implicitfast", less stiffness or gear, or'
                " bodies that do not overlap may help"
            )


def _without_noise(robot: Robot) -> RobotOptions:
    return replace(robot.options, start_noise=0.0, start_ranges={}, randomisation=None)


def name_start(robot: Robot) -> str:
    """Return the pose in which a robot's episodes start, in words."""
    has_key = mujoco.mj_name2id(robot.model, mujoco.mjtObj.mjOBJ_KEY, robot.options.start) >= 0
    return f"the keyframe {robot.options.start!r}" if has_key else "the model's rest"


def describe_robot(rows: RobotEnvs) -> str:
    """Say in a few lines what a robot is, how it is moved, and how its episodes start and end."""
    robot, model = rows.robot, rows.robot.model
    joints = int(np.isin(model.jnt_type, (int(mujoco.mjtJoint.mjJNT_HINGE), int(mujoco.mjtJoint.mjJNT_SLIDE))).sum())
    if robot.root:
        kind = f"with the main body {name_element(model, 'body', robot.root)!r}"
    else:
        kind = "on a fixed base"
    drawn = ", ".join(f"{name} in [{low:g}, {high:g}]" for name, (low, high) in robot.options.start_ranges.items())
    ending = f" It ends when {rows.end.text}." if rows.end else " Only the time limit ends it."
    lines = [
        f"A simulated robot (MuJoCo) {kind}: {joints} joints that turn or slide; lengths are in m, the world's z axis"
        " points up.",
        f"An action is {describe_actions(robot.actions)}. It holds for {robot.step_s:.3g} s.",
        f"An episode starts at {name_start(robot)}{f', with {drawn}' if drawn else ''}, each joint off by at most"
        f" {robot.options.start_noise:g}.{ending}",
    ]
    return "\n".join(lines)


# ---------------------------------------------------------------- pictures


def _make_renderer(robot: Robot, data: Any) -> Any:
    from gymnasium.envs.mujoco.mujoco_rendering import MujocoRenderer

    camera = choose_camera(robot)
    if camera is not None:
        return MujocoRenderer(robot.model, data, camera_id=camera)
    extent, root = float(robot.model.stat.extent), robot.root
    config: dict[str, Any] = {"azimuth": 120.0, "elevation": -20.0, "distance": 2.5 * min(extent, 3.0)}
    if root:
        size = _measure_tree(robot)
        config |= {"trackbodyid": root, "distance": 4.0 * size, "lookat": robot.start[:3].copy()}
    else:
        config["lookat"] = np.array(robot.model.stat.center)
    return MujocoRenderer(robot.model, data, default_cam_config=config)


def choose_camera(robot: Robot) -> int | None:
    """Return the model's camera that films: one that follows or stands; None for one of our own that follows the root.

    A camera that stands is of no use where the robot walks away, nor one that the robot carries.
    """
    model = robot.model
    fixed = int(mujoco.mjtCamLight.mjCAMLIGHT_FIXED)
    for camera in range(model.ncam):
        stands = int(model.body_weldid[int(model.cam_bodyid[camera])]) == 0
        follows = int(model.cam_mode[camera]) != fixed
        if follows or (stands and not robot.is_free):
            return camera
    return None


def _measure_tree(robot: Robot) -> float:
    """Return the size of the robot at its start, in m: the largest distance of a body from the root, at least 0.3."""
    data = robot.pose_start()
    own = robot.model.body_rootid == robot.model.body_rootid[robot.root]
    distances = np.linalg.norm(data.xpos[own] - data.xpos[robot.root], axis=1)
    return max(0.3, float(distances.max()))


gymnasium.register(ENV_ID, entry_point=ENTRY_POINT, max_episode_steps=MAX_EPISODE_STEPS)
