"""One contract over every task card, in the real environment."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rewardsmith.records import EvaluateJob, ProbeJob
from rewardsmith.tasks import cards
from rewardsmith.worker import evaluate, probe

CARDS = [pytest.param(task, id=task.name) for task in cards()]
EPISODES = 6


def evaluated(task, tmp_path):
    return evaluate.run(EvaluateJob(task.env, None, task.fitness, tuple(range(500, 500 + EPISODES))), tmp_path)


@pytest.mark.parametrize("task", CARDS)
def test_signals_exist_with_the_stated_shapes_and_none_is_constant(task, tmp_path):
    probe.run(ProbeJob(task.env, seed=0, transitions=200), tmp_path)
    with np.load(tmp_path / "transitions.npz") as arrays:
        for signal in task.env.signals:
            values = arrays[f"after/{signal.name}"]
            assert values.shape == (200, *signal.shape)
            assert np.ptp(values) > 0, signal.name


@pytest.mark.parametrize("task", CARDS)
def test_the_same_seeds_give_the_same_fitness(task, tmp_path):
    short = replace(task, env=replace(task.env, max_episode_steps=60))
    first = evaluated(short, tmp_path)
    assert first.status == "ok"
    assert evaluated(short, tmp_path).episodes == first.episodes


@pytest.mark.parametrize("task", CARDS)
def test_the_random_policy_scores_what_the_card_says(task, tmp_path):
    [anchor] = [anchor for anchor in task.anchors if anchor.policy == "random"]
    error = 5 * anchor.std / np.sqrt(EPISODES)
    assert evaluated(task, tmp_path).fitness == pytest.approx(anchor.fitness, abs=error)
