"""Meta-World: ids of its tasks, their goals, and signals that follow its scripted experts."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
from fakes.families import needs, tasks

from rewardsmith.contract.records import EnvSpec
from rewardsmith.worker.envs.make import make_envs

REACH = "Meta-World/reach-v3"
GAPS = ("target_gap", "target_distance", "head_distance")
"""Signals that say how far the task is from done."""

pytestmark = needs(REACH)


@pytest.mark.filterwarnings("ignore:Constant.s. may be too high:UserWarning")
@pytest.mark.parametrize("task", tasks("metaworld"))
def test_an_expert_succeeds_moves_every_signal_and_closes_the_gap(task):
    signals = [signal.name for signal in task.env.signals]
    env = make_envs(task.env, 1, signals, ("success",))
    followed = follow(env, expert(task.env.env_id))
    assert followed["success"][-1] == 1
    assert not followed["success"][:-1].any()
    # The target stays where it is, and some experts keep the fingers as they are.
    for name in set(signals) - {"target_position", "gripper_opening"}:
        assert np.ptp(followed[name], axis=0).any(), name
    for name in set(signals) & set(GAPS):
        assert abs(followed[name][-1]) < min(0.1, 0.6 * np.abs(followed[name]).max()), name


def expert(env_id):
    from metaworld.policies import ENV_POLICY_MAP

    return ENV_POLICY_MAP[env_id.removeprefix("Meta-World/")]()


def follow(env, policy):
    """Return the signals of an expert's episode, up to its success."""
    obs, taken = env.reset((2,)), []
    for _ in range(200):
        step = env.step(np.clip(policy.get_action(obs[0]), -1, 1)[None])
        obs = step.obs
        taken.append(step.after[0].copy())
        if env.layout.unpack_signals(step.after)["success"][0]:
            break
    return env.layout.unpack_signals(np.array(taken))


def test_a_task_is_that_of_the_benchmark():
    ours = gymnasium.make(REACH, disable_env_checker=True)
    theirs = gymnasium.make("Meta-World/MT1", env_name="reach-v3", seed=0, disable_env_checker=True)
    for env in (ours, theirs):
        env.unwrapped.seed(5)
    for _ in range(3):
        np.testing.assert_array_equal(ours.reset()[0], theirs.reset()[0])
        action = np.array([0.3, -0.2, 0.5, 1.0], dtype=np.float32)
        for _ in range(20):
            np.testing.assert_array_equal(ours.step(action)[0], theirs.step(action)[0])


def test_the_seed_of_a_reset_chooses_the_goal_among_fifty():
    env = make_envs(EnvSpec(REACH), 1)
    goals = [tuple(env.reset((seed,))[0, 36:39].copy()) for seed in (0, 1, 2, 0)]
    assert goals[0] == goals[3]
    assert len(set(goals)) == 3


def test_an_episode_is_cut_after_five_hundred_steps():
    env = make_envs(EnvSpec(REACH), 1)
    env.reset((0,))
    ended = [len(env.step(np.zeros((1, 4))).ended) for _ in range(500)]
    assert env.max_episode_steps == 500
    assert ended == [0] * 499 + [1]


def test_a_task_without_a_card_has_signals_and_a_success_to_measure():
    names = ("hand_position", "hammer_position", "object_position", "target_position")
    env = make_envs(EnvSpec("Meta-World/hammer-v3"), 1, names, ("success",))
    obs = env.reset((0,))
    values = env.layout.unpack_signals(env.read_signals())
    assert set(values) == {*names, "success"}
    np.testing.assert_array_equal(values["target_position"][0], obs[0, 36:39])
    np.testing.assert_allclose(values["hand_position"][0], obs[0, :3], atol=1e-3)
