"""The contract of a task card, for families that run in a virtual environment of their own."""

from __future__ import annotations

from dataclasses import replace

import gymnasium
import numpy as np
import pytest
from fakes.families import tasks
from gymnasium import spaces

from rewardsmith.contract.fitness import Fitness
from rewardsmith.contract.records import EvaluateJob, ProbeJob
from rewardsmith.worker import evaluate, probe
from rewardsmith.worker.envs.make import make_envs

CARDS = tasks("metaworld", "robotics", "dm-control")
EPISODES = 2
UNMOVED = {
    "adroit_hammer": {"nail_depth", "nail_gap"},
    "door_open": {"target_gap", "door_angle", "door_rate"},
    "window_close": {"target_gap", "window_opening", "window_rate"},
    "window_open": {"window_opening", "window_rate"},
}
"""What random actions do not reach; an expert moves it in `test_metaworld`."""


@pytest.mark.parametrize("task", CARDS)
def test_signals_have_the_stated_shapes_and_move(task, tmp_path):
    probe.run(ProbeJob(task.env, seed=0, transitions=160), tmp_path)
    with np.load(tmp_path / "transitions.npz") as arrays:
        for signal in task.env.signals:
            values = arrays[f"after/{signal.name}"]
            assert values.shape == (160, *signal.shape)
            assert np.isfinite(values).all()
            assert np.ptp(values) > 0 or signal.name in UNMOVED.get(task.name, ()), signal.name


@pytest.mark.parametrize("task", CARDS)
def test_the_same_seeds_give_the_same_finite_fitness(task, tmp_path):
    short = replace(task.env, max_episode_steps=30)
    job = EvaluateJob(short, None, task.fitness, tuple(range(500, 500 + EPISODES)))
    first = evaluate.run(job, tmp_path)
    assert first.status == "ok"
    assert evaluate.run(job, tmp_path).episodes == first.episodes


@pytest.mark.parametrize("task", CARDS)
def test_the_random_policy_scores_low(task, tmp_path):
    [anchor] = [anchor for anchor in task.anchors if anchor.policy == "random"]
    best = 1000.0 if task.fitness == "sum(environment_reward)" else 1.0
    assert anchor.fitness < 0.6 * best
    measured = evaluate.run(EvaluateJob(task.env, None, task.fitness, (500,)), tmp_path)
    # A rare lucky touch lies far outside the spread of a few episodes.
    assert measured.fitness == pytest.approx(anchor.fitness, abs=5 * anchor.std + 0.02 * best)


@pytest.mark.parametrize("task", CARDS)
def test_two_hundred_steps_with_signals_equal_the_environment_itself(task):
    env = make_envs(task.env, 1, [signal.name for signal in task.env.signals], Fitness.parse(task.fitness).names)
    reference = gymnasium.make(task.env.env_id, disable_env_checker=True)
    rng = np.random.default_rng(7)
    np.testing.assert_array_equal(env.reset((3,))[0], flat(reference, reference.reset(seed=3)[0]))
    for _ in range(200):
        action = rng.uniform(-1, 1, reference.action_space.shape).astype(np.float32)
        step = env.step(action[None].astype(np.float64))
        obs, own, terminated, truncated, _ = reference.step(action.astype(reference.action_space.dtype))
        np.testing.assert_array_equal(step.final_obs[0], flat(reference, obs))
        assert (step.environment_reward[0], step.terminated[0], step.truncated[0]) == (own, terminated, truncated)
        if terminated or truncated:
            np.testing.assert_array_equal(step.obs[0], flat(reference, reference.reset()[0]))


def flat(env, obs):
    return spaces.flatten(env.observation_space, obs)
