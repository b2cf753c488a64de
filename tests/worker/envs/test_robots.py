"""Robots from model files: actions, observation, ends, starts, signals, and exactness against MuJoCo itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import mujoco
import numpy as np
import pytest
from fakes.robots import ARM_URDF, MOTORS, puppy_env, write_puppy

from rewardsmith.contract.errors import TaskError
from rewardsmith.contract.records import EnvSpec, EvaluateJob, ProbeJob, Signal
from rewardsmith.spec.robots import make_robot_env
from rewardsmith.spec.task_cards import find_env, load_task
from rewardsmith.worker import evaluate, probe
from rewardsmith.worker.envs import mujoco_physics
from rewardsmith.worker.envs.base import SignalLayout
from rewardsmith.worker.envs.catalogue import survey_environment
from rewardsmith.worker.envs.make import make_envs
from rewardsmith.worker.envs.open_env import open_env
from rewardsmith.worker.envs.robot_envs import RobotEnvs
from rewardsmith.worker.envs.robot_gym import FilmedRobot

pytestmark = pytest.mark.skipif(mujoco_physics.mujoco_batch is None, reason="this MuJoCo has no batch")

POSE = Signal("pose", (9,), "1", "", "qpos")
QUADRUPED_POSE = Signal("pose", (19,), "1", "", "qpos")


@pytest.fixture(autouse=True)
def own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store of each test is its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def robot_envs(spec: EnvSpec, n: int = 1, *names: str) -> RobotEnvs:
    env = make_envs(spec, n, names)
    assert isinstance(env, RobotEnvs)
    return env


def values_of(env: RobotEnvs, name: str) -> np.ndarray:
    return env.layout.unpack_signals(env.read_signals())[name]


# ---------------------------------------------------------------- physics


def test_a_trajectory_is_that_of_mujoco_itself_to_the_last_bit():
    spec = replace(find_env("quadruped")[0], signals=(QUADRUPED_POSE,))
    env = robot_envs(spec, 3, "pose")
    env.reset([5, 6, 7])
    robot, rng = env.robot, np.random.default_rng(0)
    data = mujoco.MjData(robot.model)
    data.qpos[:] = values_of(env, "pose")[1]
    data.qvel[:] = env._bound["qvel"][1]
    data.ctrl[:] = robot.actions.centre
    mujoco.mj_forward(robot.model, data)
    for _ in range(30):
        action = rng.uniform(-0.5, 0.5, (3, 12)).astype(np.float32)
        step = env.step(action)
        assert not step.ended.size
        data.ctrl[:] = robot.actions.compute_controls(action[1:2].astype(np.float64), data.ctrl[None])[0]
        mujoco.mj_step(robot.model, data, robot.substeps)
        np.testing.assert_array_equal(step.after[1], data.qpos)


def test_an_episode_is_the_same_beside_others_that_end_and_start_again(tmp_path):
    spec = puppy_env(tmp_path, {"end": "upright < 0.95", "start_noise": 0.2}, actuators=MOTORS)
    spec = replace(spec, signals=(POSE,), max_episode_steps=40)
    actions = np.random.default_rng(3).uniform(-1.0, 1.0, (60, 4, 2))
    together, alone = robot_envs(spec, 4, "pose"), robot_envs(spec, 1, "pose")
    together.reset([1, 2, 3, 4])
    alone.reset([3])
    ended = 0
    for action in actions:
        ours, theirs = together.step(action), alone.step(action[2:3])
        ended += ours.ended.size
        np.testing.assert_array_equal(ours.after[2], theirs.after[0])
        np.testing.assert_array_equal(ours.obs[2], theirs.obs[0])
        np.testing.assert_array_equal(together.read_start_signals()[2], alone.read_start_signals()[0])
    assert ended > 4


def test_a_step_takes_the_control_rate(tmp_path):
    env = robot_envs(puppy_env(tmp_path, {"control_hz": 20}))
    assert env.robot.substeps == 10
    assert env.step_s == pytest.approx(0.05)


def test_a_state_that_diverges_ends_its_episode_alone(tmp_path):
    spec = replace(puppy_env(tmp_path, {"end": ""}), signals=(POSE,))
    env = robot_envs(spec, 2, "pose")
    env.reset([0, 1])
    env._bound["qvel"][1] = 1e12
    with np.errstate(all="ignore"):
        step = env.step(np.zeros((2, 2)))
    assert step.broken.tolist() == [False, True] == step.terminated.tolist()
    assert np.isfinite(step.after).all() and np.isfinite(step.obs).all()


# ---------------------------------------------------------------- actions


def test_position_actions_hold_the_start_and_add_a_share_of_the_range(tmp_path):
    actions = robot_envs(puppy_env(tmp_path)).robot.actions
    assert actions.mode == "position"
    np.testing.assert_allclose(actions.compute_controls(np.array([[0.0, 1.0]]), np.zeros((1, 2))), [[0.0, 0.5]])


def test_delta_actions_move_the_target_from_where_it_is(tmp_path):
    env = robot_envs(puppy_env(tmp_path, {"action": "delta"}))
    env.reset([0])
    for _ in range(3):
        env.step(np.array([[1.0, -1.0]]))
    np.testing.assert_allclose(env._targets, [[0.3, -0.3]])
    for _ in range(30):
        env.step(np.array([[1.0, -1.0]]))
    np.testing.assert_allclose(env._targets, [[1.0, -1.0]])


def test_torque_actions_span_the_control_range_of_a_motor(tmp_path):
    actions = robot_envs(puppy_env(tmp_path, actuators=MOTORS)).robot.actions
    assert actions.mode == "torque"
    np.testing.assert_allclose(actions.compute_controls(np.array([[-1.0, 0.5]]), np.zeros((1, 2))), [[-2.0, 1.0]])


def test_position_actuators_become_motors_and_motors_hold_positions_when_asked(tmp_path):
    torque = robot_envs(puppy_env(tmp_path, {"action": "torque"})).robot
    assert torque.actions.high.tolist() == [4.0, 4.0]
    assert not torque.model.actuator_biasprm.any()
    held = robot_envs(puppy_env(tmp_path, {"action": "position"}, actuators=MOTORS)).robot
    assert held.actions.mode == "position"
    np.testing.assert_allclose(held.model.actuator_ctrlrange, [[-1.0, 1.0]] * 2)
    # The whole force at a quarter of the range.
    np.testing.assert_allclose(held.model.actuator_gainprm[:, 0], 2.0 / 0.5)


def test_a_urdf_gets_an_actuator_for_each_joint_with_an_effort(tmp_path):
    file = tmp_path / "lever.urdf"
    file.write_text(ARM_URDF.format(effort=10), encoding="utf-8")
    env = robot_envs(make_robot_env(str(file), {}, tmp_path, "lever.urdf"), 1, "swing_angle")
    assert env.robot.actions.names == ("swing",)
    assert env.end is None
    env.reset([0])
    for _ in range(100):
        env.step(np.array([[1.0]]))
    assert values_of(env, "swing_angle")[0] == pytest.approx(0.75, abs=0.1)


# ---------------------------------------------------------------- observation, ends, starts


def test_the_observation_is_gravity_velocities_joints_and_the_last_action(tmp_path):
    env = robot_envs(puppy_env(tmp_path, {"start_noise": 0.0}))
    obs = env.reset([0])
    np.testing.assert_allclose(obs[0], [0, 0, -1, *[0] * 6, 0, 0, 0, 0, 0, 0], atol=1e-9)
    step = env.step(np.array([[0.25, -0.5]]))
    np.testing.assert_allclose(step.obs[0, -2:], [0.25, -0.5])


def test_gravity_and_velocity_are_those_of_the_tilted_root(tmp_path):
    half = np.sqrt(0.5)
    key = f'<keyframe><key name="side" qpos="0 0 1 {half} {half} 0 0 0 0" qvel="0 0 2 0 0 0 0 0"/></keyframe>'
    env = robot_envs(puppy_env(tmp_path, {"start": "side", "start_noise": 0.0, "end": ""}, more=key))
    # Rolled by a right angle to its right side, y points up: gravity pulls along -y, and upward is its y.
    np.testing.assert_allclose(env.reset([0])[0, :6], [0, -1, 0, 0, 2, 0], atol=1e-9)


def test_objects_are_seen_from_a_free_root_and_sensors_are_read(tmp_path):
    ball = '<body name="ball" pos="0.5 0 0.05"><freejoint/><geom size="0.05" mass="0.1"/></body>'
    home = '<keyframe><key name="home" qpos="1 0 0.172 1 0 0 0 0 0 1.5 0.2 0.05 1 0 0 0"/></keyframe>'
    sensors = '<sensor><jointpos name="angle" joint="front"/></sensor>'
    env = robot_envs(puppy_env(tmp_path, {"start_noise": 0.0}, world=ball, more=home + sensors))
    obs = env.reset([0])
    assert env.obs_dim == 9 + 4 + 13 + 1 + 2
    np.testing.assert_allclose(obs[0, 13:16], [0.5, 0.2, 0.05 - 0.172], atol=1e-9)


@pytest.mark.parametrize(
    ("options", "pushed", "ends"),
    [
        ({"end": "height < 0.086"}, "back", True),
        ({}, "tilt", True),
        ({"end": ""}, "tilt", False),
        ({"end": "height > 9"}, "tilt", False),
    ],
)
def test_an_episode_ends_when_the_robot_falls_or_as_its_card_says(tmp_path, options, pushed, ends):
    env = robot_envs(puppy_env(tmp_path, options))
    env.reset([0])
    if pushed == "back":
        env._bound["qpos"][0, 2:7] = [0.04, 0.0, 1.0, 0.0, 0.0]
    else:
        env._bound["qpos"][0, 3:7] = [np.sqrt(0.5), np.sqrt(0.5), 0.0, 0.0]
    env._batch.forward(np.array([0]))
    assert bool(env.step(np.zeros((1, 2))).terminated[0]) is ends


def test_a_fixed_base_never_ends_an_episode(tmp_path):
    env = robot_envs(puppy_env(tmp_path, free="", more=""))
    assert env.end is None
    assert env.robot.root == 0
    assert any("fixed" in remark for remark in env.robot.remarks)


def test_starts_have_noise_on_joints_and_draw_what_the_card_names(tmp_path):
    ball = '<body name="ball" pos="0.5 0 0.05"><freejoint name="ball"/><geom size="0.05" mass="0.1"/></body>'
    home = '<keyframe><key name="home" qpos="0 0 0.172 1 0 0 0 0 0 1.5 0.2 0.05 1 0 0 0"/></keyframe>'
    ranges = {"ball.x": [0.4, 0.6], "ball.yaw": [-1.0, 1.0], "rear": [0.3, 0.4]}
    spec = puppy_env(tmp_path, {"start_noise": 0.02, "start_ranges": ranges}, world=ball, more=home)
    env = robot_envs(replace(spec, signals=(Signal("pose", (16,), "1", "", "qpos"),)), 64, "pose")
    env.reset(range(64))
    pose = values_of(env, "pose")
    assert np.ptp(pose[:, 7]) > 0.02 and np.abs(pose[:, 7]).max() <= 0.02
    assert pose[:, 8].min() >= 0.3 and pose[:, 8].max() <= 0.4 and np.ptp(pose[:, 8]) > 0.05
    assert pose[:, 9].min() >= 0.4 and pose[:, 9].max() <= 0.6 and np.ptp(pose[:, 9]) > 0.1
    yaw = 2.0 * np.arctan2(pose[:, 15], pose[:, 12])
    assert yaw.min() < -0.5 and yaw.max() > 0.5
    assert (pose[:, :7] == [0, 0, 0.172, 1, 0, 0, 0]).all()


def test_joints_that_an_equality_binds_have_no_noise(tmp_path):
    bound = '<equality><joint joint1="front" joint2="rear"/></equality>'
    spec = replace(puppy_env(tmp_path, {"start_noise": 0.2}, more=bound), signals=(POSE,))
    env = robot_envs(spec, 8, "pose")
    env.reset(range(8))
    assert not values_of(env, "pose")[:, 7:].any()
    assert any("front, rear" in remark for remark in env.robot.remarks)


def test_tendons_and_their_actuators_work(tmp_path):
    tendon = '<tendon><fixed name="both"><joint joint="front" coef="1"/><joint joint="rear" coef="1"/></fixed></tendon>'
    motor = '<actuator><motor name="pull" tendon="both" ctrlrange="-3 3"/></actuator>'
    env = robot_envs(puppy_env(tmp_path, actuators=motor, more=tendon), 1, "both_length")
    env.reset([0])
    for _ in range(10):
        env.step(np.array([[1.0]]))
    assert values_of(env, "both_length")[0] > 0.1
    assert any("1 tendons" in remark for remark in env.robot.remarks)


def test_a_plugin_of_mujoco_s_own_works(tmp_path):
    plugin = '<extension><plugin plugin="mujoco.pid"/></extension>'
    actuator = (
        '<actuator><plugin plugin="mujoco.pid" name="front" joint="front" ctrlrange="-1 1">'
        '<config key="kp" value="10"/></plugin></actuator>'
    )
    env = robot_envs(puppy_env(tmp_path, actuators=actuator, more=plugin), 1, "front_angle")
    env.reset([0])
    for _ in range(40):
        env.step(np.array([[1.0]]))
    assert values_of(env, "front_angle")[0] > 0.2


# ---------------------------------------------------------------- signals


def test_the_feet_carry_the_robot_s_weight(tmp_path):
    env = robot_envs(puppy_env(tmp_path), 1, "front_ground_force", "rear_ground_force", "trunk_ground_force")
    env.reset([0])
    for _ in range(50):
        step = env.step(np.zeros((1, 2)))
    assert step.after[0, 0] + step.after[0, 1] == pytest.approx(2.4 * 9.81, rel=0.05)
    assert step.after[0, 2] == 0.0


def test_posture_signals_say_what_they_mean(tmp_path):
    half = np.sqrt(0.5)
    key = f'<keyframe><key name="left" qpos="0 0 0.3 {half} 0 0 {half} 0 0" qvel="0 1 0 0 0 0 0 0"/></keyframe>'
    names = ("height", "upright", "heading", "forward_velocity")
    env = robot_envs(puppy_env(tmp_path, {"start": "left", "start_noise": 0.0}, more=key), 1, *names)
    env.reset([0])
    np.testing.assert_allclose(env.read_signals()[0], [0.3, 1.0, np.pi / 2, 1.0], atol=1e-9)


def test_a_card_may_name_any_pair_of_bodies_and_nothing_that_a_robot_lacks(tmp_path):
    spec = puppy_env(tmp_path)
    pair = Signal("clash", (3,), "N", "", "contact[front,rear]")
    assert robot_envs(replace(spec, signals=(pair,)), 1, "clash").reset([0]).shape == (1, 15)
    for source, said in (
        ("contact[front,nose]", "there is no body 'nose'"),
        ("contact[front]", "must name two bodies"),
        ("cfrc_ext[front]", "contact[BODY,world] is the force on a body"),
        ("state[0]", "reads 'state', which a robot does not have"),
    ):
        with pytest.raises(TaskError, match=said.replace("[", r"\[")):
            make_envs(replace(spec, signals=(Signal("wrong", (), "1", "", source),)), 1, ["wrong"])


def test_a_probe_tells_the_options_and_what_they_come_to(tmp_path):
    found = probe.run(ProbeJob(puppy_env(tmp_path), 0, 64), tmp_path)
    assert found.batched
    assert found.action_names == ("front", "rear")
    assert found.robot_options == {
        "action": "position",
        "action_scale": 0.25,
        "control_hz": 50.0,
        "start": "home",
        "start_noise": 0.05,
        "end": "height < 0.086 or upright < 0.5",
    }
    assert "It ends when height < 0.086 or upright < 0.5" in found.about


# ---------------------------------------------------------------- wrong models

SERVOS_IN_DEGREES = (
    '<actuator><position name="front" joint="front" kp="20" inheritrange="1"/>'
    '<position name="rear" joint="rear" kp="20" inheritrange="1"/></actuator>'
)


@pytest.mark.parametrize(
    ("parts", "options", "said"),
    [
        ({"actuators": ""}, {}, "no actuators, and its joints have no force limits; add <actuator>"),
        ({"ground": ""}, {}, "no ground, so the robot falls for ever; give the file of its scene"),
        ({"free": "", "more": ""}, {"randomisation": {"pushes": [0, 1]}}, "has a fixed base; leave pushes out"),
        (
            {"more": '<keyframe><key name="home" qpos="0 0 0.5 0 1 0 0 0 0"/></keyframe>'},
            {"end": "upright < 0.5"},
            r"keyframe 'home' ends the episode at the start: upright < 0.5, with upright -1.0; raise the keyframe",
        ),
        (
            {"more": '<keyframe><key name="home" qpos="0 0 0.172 1 0 0 0 45 0"/></keyframe>'},
            {},
            "puts joint 'front' at 45 rad, which looks like degrees",
        ),
        (
            {"joint": 'range="-90 90"'},
            {},
            'range -90 to 90 rad, which looks like degrees; write <compiler angle="degree"/>',
        ),
        (
            {"joint": 'range="-0.02 0.02"'},
            {},
            'was read in degrees, as MJCF is without a word; add <compiler angle="radian"/>',
        ),
        ({"actuators": '<actuator><motor joint="front"/></actuator>'}, {}, "'front' has no control range"),
        (
            {"actuators": '<actuator><position joint="front" ctrlrange="-1 1"/></actuator>'},
            {"action": "torque"},
            "'front' has no force limit, so --action torque has no range",
        ),
        ({"more": '<extension><plugin plugin="my.robot"/></extension>'}, {}, "needs the plugin my.robot"),
        ({}, {"start": "stand"}, "no keyframe 'stand' to start from; there are home"),
        ({}, {"root": "hip"}, "root names no body 'hip'; there are trunk, front, rear"),
        ({}, {"end": "hight < 1"}, "no signal 'hight'; near it: height"),
        ({}, {"end": "mean(height) < 1"}, r"mean\(\) looks along an episode"),
        ({}, {"start_ranges": {"rare": [0, 1]}}, "start_ranges names no joint 'rare'; there are root, front, rear"),
        ({}, {"start_ranges": {"root": [0, 1]}}, "the coordinates root.x, root.y, root.z, root.yaw can be drawn"),
        ({}, {"control_hz": 500}, "more actions than the physics has steps"),
        ({"free": '<freejoint name="root"/><site name="a"/>', "actuators": "<actuator><oops/></actuator>"}, {}, "oops"),
        ({"world": '<body name="front"/>'}, {}, "repeated name 'front' in body"),
        (
            {"world": '<body name="x" pos="0 0 nan"><joint axis="0 1 0"/><geom size="0.1"/></body>'},
            {},
            "the place of the body 'x' is no finite number; look for nan",
        ),
        (
            {"world": '<body name="x"><freejoint/><geom size="1" mass="0"/></body>'},
            {},
            "the body 'x' moves and has no mass",
        ),
        ({"more": '<option timestep="1e-6"/>'}, {}, "would take 20,000 steps of the physics, of 1e-06 s each; raise"),
        ({"more": '<option timestep="0"/>'}, {}, "timestep = 0; a step of the physics takes more than 0 s"),
        (
            {"more": "", "free": "", "joint": 'range="-1 1" stiffness="1e12" springref="1"'},
            {},
            "the simulation breaks 0.02 s after the start, with no action: a smaller timestep",
        ),
        (
            {"more": '<keyframe><key name="home" qpos="0 0 0 1 0 0 0 0 0 0 0"/></keyframe>'},
            {},
            "keyframe 'home': invalid qpos size",
        ),
        ({"more": '<include file="puppy.xml"/>'}, {}, "already included"),
    ],
)
def test_what_is_wrong_with_a_model_is_one_line_with_the_cure(tmp_path, parts, options, said):
    with pytest.raises(TaskError, match=said) as caught:
        open_env(puppy_env(tmp_path, options, **parts))
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("puppy.xml")


@pytest.mark.parametrize(
    ("mesh", "said"),
    [
        ("a.stl", r"the mesh 'a.stl' is no binary STL of at most 200,000 triangles; simplify or convert it"),
        ("a.dae", r"MuJoCo does not read the mesh 'a.dae'; convert it to .obj or .stl"),
    ],
)
def test_a_mesh_that_mujoco_does_not_read_is_one_line_with_the_cure(tmp_path, mesh, said):
    (tmp_path / mesh).write_bytes(bytes(80) + (300_000).to_bytes(4, "little") + bytes(100))
    world = f'<body name="x"><geom type="mesh" mesh="a"/></body><!-- {mesh} -->'
    more = f'<asset><mesh name="a" file="{mesh}"/></asset>'
    with pytest.raises(TaskError, match=said):
        open_env(puppy_env(tmp_path, {}, world=world, more=more))


def test_nothing_that_moves_is_one_line(tmp_path):
    model = tmp_path / "stone.xml"
    model.write_text('<mujoco><worldbody><geom type="plane" size="1 1 1"/></worldbody></mujoco>')
    with pytest.raises(TaskError, match=r"stone.xml: nothing of the model can be moved: it has no joint that turns"):
        open_env(make_robot_env(str(model), {}, tmp_path, "stone.xml"))


def test_a_urdf_without_inertia_names_the_link(tmp_path):
    limit = '<limit lower="-1" upper="1" effort="3" velocity="1"/>'
    joint = (
        f'<joint name="j" type="revolute"><parent link="base"/><child link="arm"/><axis xyz="0 1 0"/>{limit}</joint>'
    )
    model = tmp_path / "light.urdf"
    model.write_text(f'<robot name="light"><link name="base"/><link name="arm"/>{joint}</robot>')
    with pytest.raises(TaskError, match=r"light.urdf: the body 'arm' moves and has no mass; give it <inertial>"):
        open_env(make_robot_env(str(model), {}, tmp_path, "light.urdf"))


NAMELESS = """
<mujoco><compiler autolimits="true"/><worldbody><geom type="plane" size="0 0 1"/>
  <body pos="0 0 0.5"><freejoint/><geom size="0.1"/>
    <body name="body1" pos="0.2 0 0"><joint axis="0 1 0" range="-50 50"/><geom size="0.05"/></body>
    <body name="left arm" pos="-0.2 0 0"><joint name="the joint" axis="0 1 0" range="-50 50"/><geom size="0.05"/></body>
  </body></worldbody>
  <actuator><motor name="push it" joint="the joint" ctrlrange="-1 1"/></actuator>
  <sensor><jointpos name="where is it?" joint="the joint"/></sensor></mujoco>
"""


def test_bodies_without_names_and_names_with_spaces_can_all_be_gathered(tmp_path):
    model = tmp_path / "nameless.xml"
    model.write_text(NAMELESS)
    spec = make_robot_env(str(model), {}, tmp_path, "nameless.xml")
    names = [signal.name for signal in survey_environment(spec).signals]
    env = robot_envs(spec, 2, *names)
    env.reset([0, 1])
    env.step(np.zeros((2, 1)))
    assert len(set(names)) == len(names) and np.isfinite(env.read_signals()).all()
    assert {"height", "left_arm_ground_force", "push_it_actuator_force"} <= set(names)


def test_a_muscle_acts_between_0_and_1(tmp_path):
    muscles = '<actuator><muscle name="pull" joint="front"/></actuator>'
    actions = robot_envs(puppy_env(tmp_path, actuators=muscles)).robot.actions
    assert (actions.low, actions.high) == (0.0, 1.0)
    np.testing.assert_allclose(actions.compute_controls(np.array([[-1.0], [1.0]]), np.zeros((2, 1))), [[0.0], [1.0]])


def test_a_model_in_degrees_works_as_it_is(tmp_path):
    file = write_puppy(tmp_path, joint='range="-60 60"', actuators=SERVOS_IN_DEGREES)
    file.write_text(file.read_text(encoding="utf-8").replace('angle="radian"', 'angle="degree"'), encoding="utf-8")
    env = robot_envs(make_robot_env(str(file), {}, tmp_path, "puppy.xml"))
    np.testing.assert_allclose(env.robot.model.jnt_range[1], [-np.pi / 3, np.pi / 3])


# ---------------------------------------------------------------- one environment, wrapped


def test_a_filmed_robot_runs_the_episode_of_an_evaluation(tmp_path):
    spec = replace(load_task(None, "quadruped_walk").env, max_episode_steps=30)
    names = ["height", "FL_foot_force"]
    batched = make_envs(spec, 4, names)
    filmed = FilmedRobot(_Watched(open_env(spec)), batched.layout)
    batched.reset([1, 2, 3, 4])
    first = filmed.reset([2])
    np.testing.assert_array_equal(filmed.read_start_signals()[0], batched.read_start_signals()[1])
    rng = np.random.default_rng(0)
    assert first.shape == (1, 45)
    for _ in range(30):
        actions = rng.uniform(-1.0, 1.0, (4, 12))
        ours, theirs = filmed.step(actions[1:2]), batched.step(actions)
        np.testing.assert_array_equal(ours.after[0], theirs.after[1])
    assert ours.ended.tolist() == [0]


class _Watched:
    """Stands for the camera: a wrapper around a robot that is no wrapper of Gymnasium's own."""

    def __init__(self, env):
        self.env, self.spec, self.unwrapped = env, env.spec, env.unwrapped
        self.reset, self.step, self.close = env.reset, env.step, env.close


def test_an_evaluation_of_a_card_gives_its_figures_twice(tmp_path):
    task = load_task(None, "arm_reach")
    job = EvaluateJob(task.env, None, task.fitness, (1, 2, 3))
    assert evaluate.run(job, tmp_path).episodes == evaluate.run(job, tmp_path).episodes


def test_the_survey_lists_each_signal_once_and_all_can_be_gathered():
    spec, _ = find_env("hand")
    survey = survey_environment(spec)
    names = [signal.name for signal in survey.signals]
    assert len(set(names)) == len(names)
    env = make_envs(spec, 2, names)
    env.reset([0, 1])
    assert isinstance(env.layout, SignalLayout) and np.isfinite(env.read_signals()).all()
