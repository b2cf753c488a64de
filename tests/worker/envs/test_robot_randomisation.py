"""Domain randomisation of robots: what episodes draw, that seeds repeat it, and where it is left out."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import mujoco
import numpy as np
import pytest
from fakes.robots import MOTORS, puppy_env

from rewardsmith.contract.records import EvaluateJob, Signal
from rewardsmith.contract.robots import select_evaluation_options
from rewardsmith.worker import evaluate
from rewardsmith.worker.envs import mujoco_physics
from rewardsmith.worker.envs.make import make_envs
from rewardsmith.worker.envs.robot_envs import RobotEnvs

pytestmark = pytest.mark.skipif(mujoco_physics.mujoco_batch is None, reason="this MuJoCo has no batch")

SPEED = Signal("speed", (8,), "1", "", "qvel")


@pytest.fixture(autouse=True)
def own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store of each test is its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def randomised(folder: Path, n: int, ranges: dict, **parts: str) -> RobotEnvs:
    options = {"end": "", "start_noise": 0.0, "randomisation": ranges}
    spec = replace(puppy_env(folder, options, **parts), signals=(SPEED,), max_episode_steps=100)
    env = make_envs(spec, n, ["speed"])
    assert isinstance(env, RobotEnvs)
    return env


def test_each_episode_draws_friction_masses_and_strengths_inside_their_ranges(tmp_path):
    env = randomised(tmp_path, 16, {"friction": [0.5, 0.6], "mass": [0.8, 1.2], "motor_strength": [0.7, 0.9]})
    model = env.robot.model
    env.reset(range(16))
    friction = env._batch._batch.expanded("geom_friction")[:, :, 0] / model.geom_friction[:, 0]
    mass = env._batch._batch.expanded("body_mass")[:, 1:] / model.body_mass[1:]
    inertia = env._batch._batch.expanded("body_inertia")[:, 1:] / model.body_inertia[1:]
    strength = env._batch._batch.expanded("actuator_forcerange")[:, :, 1] / model.actuator_forcerange[:, 1]
    for values, low, high in ((friction, 0.5, 0.6), (mass, 0.8, 1.2), (strength, 0.7, 0.9)):
        assert values.min() >= low and values.max() <= high and np.ptp(values) > 0.5 * (high - low)
    # One friction for the world, a factor for each body, whose inertia follows its mass.
    assert np.ptp(friction, axis=1).max() < 1e-12
    np.testing.assert_allclose(inertia, np.repeat(mass[:, :, None], 3, axis=2))
    subtree = env._batch._batch.expanded("body_subtreemass")[:, 1]
    np.testing.assert_allclose(subtree, (mass * model.body_mass[1:]).sum(axis=1))


def test_a_seed_gives_the_same_episode_again_whatever_runs_beside_it(tmp_path):
    ranges = {
        "friction": [0.3, 1.5],
        "mass": [0.5, 1.5],
        "motor_strength": [0.5, 1.0],
        "latency": [0, 2],
        "pushes": [0.5, 1],
    }
    actions = np.random.default_rng(0).uniform(-1.0, 1.0, (150, 3, 2))
    together, alone = randomised(tmp_path, 3, ranges), randomised(tmp_path, 1, ranges)
    together.reset([7, 8, 9])
    alone.reset([8])
    for action in actions:  # beyond the time limit, so that a second episode is compared too
        ours, theirs = together.step(action), alone.step(action[1:2])
        np.testing.assert_array_equal(ours.after[1], theirs.after[0])
    other = randomised(tmp_path, 1, ranges)
    other.reset([9])
    assert not np.array_equal(other.step(actions[0, 1:2]).after, alone.step(actions[0, 1:2]).after)


def test_an_action_takes_effect_after_its_latency(tmp_path):
    def find_first_motion(latency: int) -> int:
        env = randomised(tmp_path, 1, {"latency": [latency, latency]}, actuators=MOTORS)
        env.reset([0])
        env.step(np.zeros((1, 2)))
        moving = [np.abs(env.step(np.ones((1, 2))).after[0, 6:]).max() > 0.5 for _ in range(8)]
        return moving.index(True)

    assert [find_first_motion(latency) for latency in (0, 1, 3)] == [0, 1, 3]


def test_pushes_change_the_horizontal_speed_every_two_seconds(tmp_path):
    env, quiet = randomised(tmp_path, 1, {"pushes": [0.4, 0.4]}), randomised(tmp_path, 1, {})
    env.reset([0])
    quiet.reset([0])
    times, before = [], 0.0
    for step in range(99):
        speed = np.linalg.norm(env.step(np.zeros((1, 2))).after[0, :2])
        quiet.step(np.zeros((1, 2)))
        if speed - before > 0.2:
            times.append(step)
        before = speed
    # The episode has 100 steps of 0.02 s: one push falls into it.
    assert len(times) == 1
    assert np.abs(quiet.read_signals()[0, :2]).max() < 0.05


def test_motors_without_strength_move_nothing(tmp_path):
    env = randomised(tmp_path, 1, {"motor_strength": [0.0, 0.0]}, actuators=MOTORS)
    env.reset([0])
    for _ in range(5):
        step = env.step(np.ones((1, 2)))
    assert np.abs(step.after[0, 6:]).max() < 0.3


def test_evaluations_have_the_model_as_it_is_unless_the_card_wants_otherwise(tmp_path):
    ranges = {"motor_strength": [0.1, 1.0]}
    plain = puppy_env(tmp_path, {})
    drawn = puppy_env(tmp_path, {"randomisation": ranges})
    wanted = puppy_env(tmp_path, {"randomisation": {**ranges, "evaluation": True}})
    assert select_evaluation_options(drawn) == plain
    assert select_evaluation_options(wanted) == wanted

    def measure(spec):
        job = EvaluateJob(spec, None, "mean(front_angle)", tuple(range(4)))
        return [episode.fitness for episode in evaluate.run(job, tmp_path).episodes]

    assert measure(drawn) == measure(plain)
    assert measure(wanted) == measure(wanted) != measure(plain)


def test_a_push_is_part_of_the_physics_to_the_last_bit(tmp_path):
    env = randomised(tmp_path, 2, {"pushes": [0.5, 0.5]}, more="")
    env.reset([0, 1])
    robot = env.robot
    data = mujoco.MjData(robot.model)
    data.qpos[:], data.ctrl[:] = robot.start, robot.actions.centre
    mujoco.mj_forward(robot.model, data)
    for step in range(99):
        if step == env._randomiser._next_push[1]:
            rng = copy.deepcopy(env._randomiser._rngs[1])
            speed, direction = rng.uniform(0.5, 0.5), rng.uniform(0.0, 2.0 * np.pi)
            data.qvel[:2] += speed * np.array([np.cos(direction), np.sin(direction)])
        after = env.step(np.zeros((2, 2))).after[1]
        mujoco.mj_step(robot.model, data, robot.substeps)
        np.testing.assert_array_equal(after, data.qvel)
