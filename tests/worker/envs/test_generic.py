"""Any Gymnasium environment behind the common interface."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
from fakes.gym_reference import Reference, assert_equal_steps
from fakes.unusual_env import Unusual

from rewardsmith.contract.errors import TaskError
from rewardsmith.contract.records import EnvSpec, Signal
from rewardsmith.worker.envs.base import SignalLayout
from rewardsmith.worker.envs.generic import GenericEnv
from rewardsmith.worker.envs.make import make_envs


@pytest.mark.parametrize(("env_id", "episodes"), [("Pendulum-v1", 2), ("Reacher-v5", 12), ("InvertedPendulum-v5", 9)])
def test_equals_single_environments(env_id, episodes):
    env = GenericEnv(EnvSpec(env_id), 2, SignalLayout(()))
    assert assert_equal_steps(env, Reference(env_id, 2), seeds=(3, 4), steps=300) >= episodes


@pytest.mark.parametrize("env_id", ["CartPole-v1", "MountainCar-v0", "Acrobot-v1"])
def test_discrete_actions_are_numbers_from_zero(env_id):
    env, reference = make_envs(EnvSpec(env_id), 1), Reference(env_id, 1)
    assert env.actions.n == reference.envs[0].action_space.n
    np.testing.assert_array_equal(env.reset((5,)), reference.reset((5,)))
    rng = np.random.default_rng(0)
    for _ in range(100):
        action = env.actions.sample(rng)
        assert action.shape == (1,)
        step, [row] = env.step(action[None]), reference.step([int(action[0])])
        np.testing.assert_array_equal(step.obs[0], row.obs)
        assert step.terminated[0] == row.terminated


@pytest.fixture
def unusual():
    gymnasium.register("Unusual-v0", Unusual, max_episode_steps=4)
    yield "Unusual-v0"
    gymnasium.registry.pop("Unusual-v0")


def test_dict_observations_are_flattened(unusual):
    env = make_envs(EnvSpec(unusual), 1)
    np.testing.assert_array_equal(env.reset((0,)), [[0.25, 0.5, 1, 0, 0]])


def test_info_is_a_signal_and_zero_until_it_is_reported(unusual):
    spec = EnvSpec(unusual, signals=(Signal("distance", (), "m", "", "info[distance]"),))
    env = make_envs(spec, 1, ("distance",))
    env.reset((0,))
    assert env.read_signals().tolist() == [[0.0]]
    assert env.step(np.array([[0.0]])).after.tolist() == [[0.5]]


def test_an_offset_of_discrete_actions_stays_inside(unusual):
    env = make_envs(EnvSpec(unusual, signals=(Signal("sent", (), "1", "", "info[last_action]"),)), 1, ("sent",))
    env.reset((0,))
    assert env.step(np.array([[1.0]])).after.tolist() == [[6.0]]


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        (EnvSpec("Hoper-v5"), "near it: Hopper-v5"),
        (EnvSpec("Hopper-v9"), "Hopper-v9"),
        (EnvSpec("no_such_package:Thing-v0"), "no_such_package"),
        (EnvSpec("not an id"), "not an id"),
        (EnvSpec("Hopper-v5", {"gravity_of": 3}), "gravity_of=3"),
        (EnvSpec("Hopper-v5", {"xml_file": "/nowhere.xml"}), "/nowhere.xml"),
    ],
)
def test_what_cannot_be_made_says_why(spec, says):
    with pytest.raises(TaskError, match=says):
        make_envs(spec, 1)


@pytest.mark.parametrize(
    ("signal", "says"),
    [
        (Signal("a", (), "1", "", "qpos[0]"), "no MuJoCo model"),
        (Signal("a", (), "1", "", "info[nothing]"), "reports no 'nothing'"),
        (Signal("a", (), "1", "", "speed[0]"), "'speed'"),
        (Signal("a", (), "1", "", "state[9]"), "outside the field, of shape \\(4,\\)"),
        (Signal("a", (2,), "1", "", "state[0]"), "has shape \\(\\), stated is \\(2,\\)"),
    ],
)
def test_signals_that_cannot_be_read_say_why(signal, says):
    with pytest.raises(TaskError, match=says):
        make_envs(EnvSpec("CartPole-v1", signals=(signal,)), 1, ("a",))


def test_unknown_signal_names_the_nearest():
    with pytest.raises(TaskError, match="'cart_postion'; did you mean 'cart_position'"):
        make_envs(EnvSpec("CartPole-v1"), 1, ("cart_postion",))
