"""The catalogue that is read from an environment."""

from __future__ import annotations

import keyword

import numpy as np
import pytest
from fakes.unusual_env import Unusual

from rewardsmith.contract.fitness import RESERVED
from rewardsmith.contract.records import EnvSpec, Signal
from rewardsmith.contract.signal_source import may_leak_reward
from rewardsmith.worker.envs.catalogue import survey_environment
from rewardsmith.worker.envs.make import make_envs


@pytest.mark.parametrize("env_id", ["Hopper-v5", "Ant-v5", "Humanoid-v5", "Reacher-v5", "CartPole-v1", "Acrobot-v1"])
def test_every_derived_signal_can_be_gathered_under_a_valid_name(env_id):
    signals = survey_environment(EnvSpec(env_id)).signals
    names = [signal.name for signal in signals]
    assert len(set(names)) == len(names)
    assert all(name.isidentifier() and not keyword.iskeyword(name) and name not in RESERVED for name in names)
    env = make_envs(EnvSpec(env_id, signals=signals), 1, names)
    env.reset((0,))
    step = env.step(np.zeros((1, env.actions.width)))
    assert np.isfinite(step.after).all()


def test_the_card_comes_first_and_nothing_is_named_twice():
    mine = Signal("speed", (), "m/s", "forward velocity", "qvel[rootx]")
    signals = survey_environment(EnvSpec("Hopper-v5", signals=(mine,))).signals
    assert signals[0] == mine
    assert [signal.name for signal in signals if signal.source == "qvel[rootx]"] == ["speed"]


def test_a_model_gives_bodies_joints_sites_and_actuators():
    names = {signal.name: signal for signal in survey_environment(EnvSpec("InvertedDoublePendulum-v5")).signals}
    assert names["pole2_velocity"].shape == (3,)
    assert names["hinge2_angle"].unit == "rad"
    assert "between -1.0 and 1.0" in names["slider_offset"].meaning
    assert names["tip_site_position"].source == "site_xpos[tip]"
    assert names["slide_actuator_force"].source == "actuator_force[slide]"


def test_unnamed_elements_have_stable_names():
    names = [signal.name for signal in survey_environment(EnvSpec("Hopper-v5")).signals]
    assert [name for name in names if name.endswith("actuator_force")] == [
        f"actuator{number}_actuator_force" for number in range(3)
    ]


def test_known_observations_have_names():
    assert survey_environment(EnvSpec("CartPole-v1")).signals[2].name == "pole_angle"


@pytest.mark.parametrize(
    ("key", "leaking"),
    [
        ("reward_forward", True),
        ("reward_survive", True),
        ("unscaled_reward", True),
        ("grasp_reward", True),
        ("distance_penalty", True),
        ("is_success", True),
        ("success", True),
        ("episode_return", True),
        ("x_position", False),
        ("distance_from_origin", False),
        ("tendon_length", False),
        ("crew", False),
    ],
)
def test_entries_of_info_that_tell_the_reward_are_no_signals(key, leaking):
    assert may_leak_reward(key) == leaking


def test_numbers_of_info_are_signals_and_its_reward_is_not():
    import gymnasium

    gymnasium.register("Telling-v0", Unusual, max_episode_steps=4)
    names = [signal.name for signal in survey_environment(EnvSpec("Telling-v0")).signals]
    gymnasium.registry.pop("Telling-v0")
    assert names == ["goal", "mode", "obs", "distance", "last_action"]


def test_no_gymnasium_mujoco_task_offers_its_reward():
    signals = survey_environment(EnvSpec("Ant-v5")).signals
    assert not [signal.name for signal in signals if may_leak_reward(signal.name) or "info" in signal.source]
