"""One contract over every task card, in the real environment."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rewardsmith.contract.env_families import find_family, is_family_installed
from rewardsmith.contract.records import EvaluateJob, ProbeJob
from rewardsmith.spec.task_cards import load_cards, load_task
from rewardsmith.worker import evaluate, probe

OF_THEIR_OWN = ("metaworld", "robotics", "dm-control", "mjlab")
"""Extras whose cards `tests/families` and `tests/worker/mjlab` look at, in virtual environments of their own."""
CARDS = [
    pytest.param(task, id=task.name)
    for task in load_cards()
    if getattr(find_family(task.env.env_id), "extra", None) not in OF_THEIR_OWN
]
EPISODES = 4
LATE_CONTACT = ("lunar_lander", "lunar_lander_continuous", "pusher")
"""At random their legs or hand touch something after many steps only."""
LONG = (
    "acrobot",
    "ant",
    "ant_lie_down",
    "ant_wave_leg",
    "bipedal_walker",
    "half_cheetah",
    "half_cheetah_backward",
    "half_cheetah_target_speed",
    "hopper_back_flip",
    "hopper_back_flip_land",
    "hopper_front_flip",
    "humanoid_standup",
    "mountain_car_continuous",
    "swimmer",
)
"""Tasks with long random episodes: a single episode is measured."""


def here(task):
    """Skip where the family's packages are not installed."""
    if not is_family_installed(task.env.env_id):
        pytest.skip(f"the packages of {task.env.env_id} are not installed")
    return task


def evaluated(task, tmp_path, episodes=EPISODES):
    return evaluate.run(EvaluateJob(task.env, None, task.fitness, tuple(range(500, 500 + episodes))), tmp_path)


@pytest.mark.parametrize("task", CARDS)
def test_signals_exist_with_the_stated_shapes_and_none_is_constant(task, tmp_path):
    transitions = 800 if task.name in LATE_CONTACT else 200
    probe.run(ProbeJob(here(task).env, seed=0, transitions=transitions), tmp_path)
    with np.load(tmp_path / "transitions.npz") as arrays:
        for signal in task.env.signals:
            values = arrays[f"after/{signal.name}"]
            assert values.shape == (transitions, *signal.shape)
            assert np.ptp(values) > 0, signal.name


@pytest.mark.parametrize("task", CARDS)
def test_the_same_seeds_give_the_same_fitness(task, tmp_path):
    short = replace(task, env=replace(here(task).env, max_episode_steps=40))
    first = evaluated(short, tmp_path, 2)
    assert first.status == "ok"
    assert evaluated(short, tmp_path, 2).episodes == first.episodes


@pytest.mark.parametrize("task", CARDS)
def test_the_random_policy_scores_what_the_card_says(task, tmp_path):
    [anchor] = [anchor for anchor in here(task).anchors if anchor.policy == "random"]
    episodes = 1 if task.name in LONG else EPISODES
    error = 5 * anchor.std / np.sqrt(episodes)
    assert evaluated(task, tmp_path, episodes).fitness == pytest.approx(anchor.fitness, abs=error)


MAIN = [task for task in load_cards() if load_task(None, task.env.env_id).name == task.name]
"""Tasks that the environment reward pays for: those of the environments' main cards."""
COMPARED = [
    task
    for task in MAIN
    for anchor in task.anchors
    if anchor.policy == "environment-reward"
    and anchor.env_steps >= int(str(task.settings.get("search", {})["env_steps"]))
]
"""With anchors under the card's own budget: a smaller one may teach nothing, and then says so."""


@pytest.mark.parametrize("task", COMPARED, ids=lambda task: task.name)
def test_the_random_policy_scores_less_than_one_trained_on_the_environment_reward(task):
    fitness = {anchor.policy: anchor.fitness for anchor in task.anchors}
    assert fitness["random"] < fitness["environment-reward"]
