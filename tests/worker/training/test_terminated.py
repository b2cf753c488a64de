"""The argument `terminated`: a training pays for falls and for successes, never for a time limit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fakes.training_case import PENDULUM, SMALL, job

from rewardsmith.contract.records import EnvSpec, ReferenceScores, TrainSettings
from rewardsmith.worker.training import score_checks
from rewardsmith.worker.training.off_policy import OffPolicyLearner
from rewardsmith.worker.training.ppo_learner import PPOLearner
from rewardsmith.worker.training.score_checks import ScoreChecker
from rewardsmith.worker.training.train import run
from rewardsmith.worker.training.training_loop import NullTrainingCallback

STEPS = "def reward(after):\n    return {'alive': 1.0 + 0.0 * after.obs[:, 0]}\n"
FALL = """
WEIGHTS = {"fall": 10.0}

def reward(after, terminated):
    return {"alive": 1.0 + 0.0 * after.obs[:, 0], "fall": -1.0 * terminated}
"""
FALL_WITH_MEMORY = """
WEIGHTS = {"fall": 10.0}
MEMORY = {"steps": 0.0}

def reward(terminated, memory):
    memory.steps = memory.steps + 1.0
    return {"alive": np.ones(len(terminated)), "fall": -1.0 * terminated, "steps": 0.0 * memory.steps}
"""
HOPPER = EnvSpec("Hopper-v5", max_episode_steps=15)
"""Both time limits and falls occur."""


@pytest.mark.parametrize("program", [FALL, FALL_WITH_MEMORY], ids=["plain", "memory"])
def test_a_fall_penalty_changes_the_total_at_falls_only(program: str) -> None:
    settings = TrainSettings(n_envs=3, n_steps=60, net_arch=(16, 16))
    learner = PPOLearner(job(program, env=HOPPER, settings=settings), NullTrainingCallback())
    try:
        learner.collect_rollout()
        total = learner.reward_source.score(learner.rollout).total
    finally:
        learner.close()

    ends = learner.rollout.episode_ends
    assert {end.truncated for end in ends} == {True, False}
    expected = np.ones_like(total)
    for end in ends:
        expected[end.step, end.env] = 1.0 if end.truncated else -9.0
    np.testing.assert_array_equal(total, expected)


def test_off_policy_training_pays_for_falls_only() -> None:
    settings = TrainSettings(trainer="sac", n_envs=3)
    settings = replace(settings, off_policy=replace(settings.off_policy, learning_starts=10_000, net_arch=(16,)))
    learner = OffPolicyLearner(job(FALL, env=HOPPER, settings=settings, env_steps=600), NullTrainingCallback())
    try:
        for _ in range(60):
            learner.run_iteration()
        buffer = learner.model.replay_buffer
        kept = slice(0, buffer.pos)
        fallen = (buffer.dones[kept] == 1.0) & (buffer.timeouts[kept] == 0.0)
        assert fallen.any() and buffer.timeouts[kept].any()
        np.testing.assert_array_equal(buffer.rewards[kept], np.where(fallen, -9.0, 1.0))
    finally:
        learner.close()


@pytest.mark.parametrize("program", [FALL, FALL_WITH_MEMORY], ids=["plain", "memory"])
def test_transitions_that_are_scored_again_keep_their_ends(
    tmp_path: Path, program: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked = []
    score_again = ScoreChecker._score_again
    monkeypatch.setattr(score_checks, "INTERVAL", 1)
    monkeypatch.setattr(ScoreChecker, "_score_again", lambda *args: (checked.append(1), score_again(*args)))
    env = replace(PENDULUM, max_episode_steps=6)
    training = run(job(program, env=env, settings=SMALL, env_steps=2048), tmp_path)
    assert (training.status, training.cause) == ("ok", None)
    assert len(checked) >= 3


@pytest.mark.parametrize(("paid", "status"), [(-1.0, "ok"), (0.0, "failed")])
def test_the_trials_transitions_are_scored_again_with_their_ends(
    tmp_path: Path, paid: float, status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(score_checks, "INTERVAL", 1)
    reference = ReferenceScores(
        action=(0.0,) * 2,
        before={},
        after={"obs": (0.0,) * 8},
        start={},
        terms={"alive": (1.0, 1.0), "fall": (0.0, paid)},
        terminated=(False, True),
    )
    training = run(job(FALL, reference=reference, env_steps=16 * 256), tmp_path)
    assert training.status == status


def test_a_program_that_does_not_take_the_ends_is_sent_none() -> None:
    learner = PPOLearner(job(STEPS, env=HOPPER), NullTrainingCallback())
    try:
        learner.collect_rollout()
        assert learner.reward_source._make_transitions(learner.rollout).terminated is None
    finally:
        learner.close()
