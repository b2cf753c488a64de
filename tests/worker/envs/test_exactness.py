"""Batched MuJoCo environments equal Gymnasium's to the last bit."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest
from fakes.gym_reference import Reference, assert_equal_steps

from rewardsmith.contract.records import EnvSpec, Signal
from rewardsmith.worker.envs import mujoco_physics
from rewardsmith.worker.envs.make import make_envs
from rewardsmith.worker.envs.mujoco_env import MujocoEnv

TASKS = (
    "Ant-v5",
    "HalfCheetah-v5",
    "Hopper-v5",
    "Humanoid-v5",
    "HumanoidStandup-v5",
    "InvertedDoublePendulum-v5",
    "InvertedPendulum-v5",
    "Pusher-v5",
    "Reacher-v5",
    "Swimmer-v5",
    "Walker2d-v5",
)
SLOW = ("Ant-v5", "Humanoid-v5", "HumanoidStandup-v5")
SIGNALS = (
    Signal("place", (), "m", "", "qpos[0]"),
    Signal("body", (3,), "m", "", "xpos[1]"),
    Signal("velocity", (3,), "m/s", "", "xvelp[2]"),
    Signal("spin", (3,), "rad/s", "", "xvelr[2]"),
    Signal("centre", (3,), "m", "", "subtree_com[1]"),
    Signal("seen", (2,), "1", "", "obs[0:2]"),
)
NAMES = tuple(signal.name for signal in SIGNALS)


@pytest.mark.parametrize("env_id", TASKS)
def test_two_thousand_steps_with_signals_equal_gymnasium(env_id):
    env = make_envs(EnvSpec(env_id, signals=SIGNALS), 2, NAMES)
    assert isinstance(env, MujocoEnv)
    # The two environments of a slow task make its 2,000 steps together.
    steps = 1010 if env_id in SLOW else 2000
    ended = assert_equal_steps(env, Reference(env_id, 2), seeds=(3, 4), steps=steps)
    assert ended >= 2  # every task ends at the latest after 1,000 steps: resets are part of the comparison


@pytest.mark.parametrize(
    ("env_id", "kwargs"),
    [
        ("Ant-v5", {"include_cfrc_ext_in_observation": False, "contact_cost_weight": 0.1}),
        ("Ant-v5", {"exclude_current_positions_from_observation": False, "terminate_when_unhealthy": False}),
        ("HalfCheetah-v5", {"ctrl_cost_weight": 0.5, "exclude_current_positions_from_observation": False}),
        ("HalfCheetah-v5", {"frame_skip": 2, "reset_noise_scale": 0.5}),
        ("Hopper-v5", {"terminate_when_unhealthy": False, "healthy_reward": 2.0}),
        ("Hopper-v5", {"exclude_current_positions_from_observation": False}),
        ("Humanoid-v5", {"include_cinert_in_observation": False, "include_qfrc_actuator_in_observation": False}),
        ("Reacher-v5", {"reward_control_weight": 0.3, "max_episode_steps": 20}),
        ("Swimmer-v5", {"exclude_current_positions_from_observation": False}),
        ("Walker2d-v5", {"forward_reward_weight": 3.0}),
    ],
)
def test_keyword_arguments_count(env_id, kwargs):
    env = make_envs(EnvSpec(env_id, kwargs), 2)
    assert isinstance(env, MujocoEnv)
    assert_equal_steps(env, Reference(env_id, 2, **kwargs), seeds=(0, 1), steps=120)


@pytest.mark.parametrize(
    "kwargs",
    [
        {"healthy_z_range": (1.0, 1.3)},
        {"healthy_angle_range": (-0.05, 0.3)},
        {"healthy_state_range": (-4.0, 4.0)},
        {"healthy_state_range": (-0.1, 50.0), "healthy_angle_range": (-1.0, 1.0)},
    ],
)
def test_hopper_ends_where_its_health_does(kwargs):
    env = make_envs(EnvSpec("Hopper-v5", kwargs), 2)
    ended = assert_equal_steps(env, Reference("Hopper-v5", 2, **kwargs), seeds=(5, 6), steps=150)
    assert ended > 10


@pytest.mark.parametrize("env_id", ["Hopper-v5", "InvertedDoublePendulum-v5", "Reacher-v5"])
def test_without_mujoco_batch_the_loop_is_as_exact(env_id, monkeypatch):
    monkeypatch.setattr(mujoco_physics, "mujoco_batch", None)
    env = make_envs(EnvSpec(env_id, signals=SIGNALS), 2, ("place", "body", "velocity"))
    assert_equal_steps(env, Reference(env_id, 2), seeds=(1, 2), steps=200)


def test_time_limit_of_the_spec_counts():
    env = make_envs(EnvSpec("HalfCheetah-v5", max_episode_steps=7), 2)
    ended = assert_equal_steps(env, Reference("HalfCheetah-v5", 2, max_episode_steps=7), seeds=(0, 1), steps=30)
    assert ended == 8
    assert env.max_episode_steps == 7


def test_reset_without_seeds_continues_the_generators():
    env, reference = make_envs(EnvSpec("Hopper-v5"), 2), Reference("Hopper-v5", 2)
    env.reset((1, 2))
    reference.reset((1, 2))
    np.testing.assert_array_equal(env.reset(), reference.reset((None, None)))


def test_rows_do_not_depend_on_how_many_run_beside_them():
    one, four = make_envs(EnvSpec("Walker2d-v5"), 1), make_envs(EnvSpec("Walker2d-v5"), 4)
    actions = np.random.default_rng(0).uniform(-1, 1, (100, 4, 6))
    one.reset((12,))
    four.reset((10, 11, 12, 13))
    for action in actions:
        np.testing.assert_array_equal(one.step(action[2:3]).obs[0], four.step(action).obs[2])


@pytest.mark.parametrize("loop", [False, True])
def test_signals_are_current_not_one_substep_behind(loop, monkeypatch):
    if loop:
        monkeypatch.setattr(mujoco_physics, "mujoco_batch", None)
    env, reference = make_envs(EnvSpec("HalfCheetah-v5", signals=SIGNALS), 1, NAMES), Reference("HalfCheetah-v5", 1)
    env.reset((0,))
    reference.reset((0,))
    original = reference.envs[0].unwrapped
    for action in np.random.default_rng(0).uniform(-1, 1, (20, 1, 6)).astype(np.float32):
        after = env.layout.unpack_signals(env.step(action).after)
        reference.step(action)
        lagging = original.data.body(1).xpos.copy()
        present = _forwarded(original)
        np.testing.assert_allclose(after["body"][0], present.body(1).xpos, rtol=1e-12)
        np.testing.assert_allclose(after["centre"][0], present.subtree_com[1], rtol=1e-12)
        spin, velocity = _object_velocity(original.model, present, body=2)
        np.testing.assert_allclose(after["velocity"][0], velocity, atol=1e-10)
        np.testing.assert_allclose(after["spin"][0], spin, atol=1e-10)
        assert not np.allclose(after["body"][0], lagging, atol=1e-6)


def _forwarded(original):
    data = mujoco.MjData(original.model)
    data.qpos[:], data.qvel[:] = original.data.qpos, original.data.qvel
    mujoco.mj_forward(original.model, data)
    return data


def _object_velocity(model, data, body):
    both = np.zeros(6)
    mujoco.mj_objectVelocity(model, data, mujoco.mjtObj.mjOBJ_XBODY, body, both, 0)
    return both[:3], both[3:]
