"""SAC and TD3: they learn from a program's rewards, and their policies act without torch as they do with it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rewardsmith.contract.errors import ConfigError, TaskError
from rewardsmith.contract.records import EnvSpec, EvaluateJob, OffPolicySettings, TrainJob, TrainSettings
from rewardsmith.spec.config import resolve_config
from rewardsmith.spec.task_cards import load_task
from rewardsmith.worker import evaluate
from rewardsmith.worker.training import policy, train
from rewardsmith.worker.training.off_policy import OffPolicyLearner
from rewardsmith.worker.training.training_loop import NullTrainingCallback

UP = "def reward(after):\n    return {'up': after.cos_angle}\n"
PENDULUM = load_task(None, "pendulum")
SMALL = OffPolicySettings(learning_rate=1e-3, net_arch=(64, 64), learning_starts=200)
TRAINERS = ("sac", "td3")


def job(trainer: str, env_steps: int = 400, **changes: object) -> TrainJob:
    settings = TrainSettings(trainer=trainer, n_envs=4, gamma=0.98, off_policy=SMALL)  # type: ignore[arg-type]
    made = TrainJob(PENDULUM.env, UP, PENDULUM.fitness, 0, env_steps, settings)
    return replace(made, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("trainer", TRAINERS)
def test_the_saved_policy_acts_as_the_trained_one(trainer: str, tmp_path: Path) -> None:
    learner = OffPolicyLearner(job(trainer), NullTrainingCallback())
    try:
        assert learner.run() == "ok"
        policy.save(learner.extract_policy(), tmp_path)
        obs = np.random.default_rng(0).normal(size=(32, 3)).astype(np.float32)
        expected, _ = learner.model.predict(obs, deterministic=True)
    finally:
        learner.close()
    np.testing.assert_allclose(policy.load(tmp_path).act(obs.astype(np.float64)), expected, atol=1e-5)


@pytest.mark.parametrize("trainer", TRAINERS)
def test_equal_seeds_give_equal_trainings(trainer: str, tmp_path: Path) -> None:
    curves = [train.run(job(trainer), _folder(tmp_path / str(i))).curve for i in range(2)]
    assert curves[0] == curves[1]
    assert curves[0][0].approx_kl is curves[0][0].clip_fraction is None
    one, other = (policy.load(tmp_path / str(i)).tensors for i in range(2))
    assert all(np.array_equal(one[name], other[name]) for name in one)


def test_ends_by_the_time_limit_are_stored_as_truncations() -> None:
    learner = OffPolicyLearner(job("sac", env=replace(PENDULUM.env, max_episode_steps=5)), NullTrainingCallback())
    try:
        for _ in range(6):
            learner.run_iteration()
        buffer = learner.model.replay_buffer
        assert buffer.dones[:6, 0].tolist() == [0, 0, 0, 0, 1, 0]
        assert buffer.timeouts[:6, 0].tolist() == [0, 0, 0, 0, 1, 0]
        after_the_end = buffer.observations[5, 0]
        assert not np.array_equal(buffer.next_observations[4, 0], after_the_end)
        np.testing.assert_array_equal(buffer.next_observations[3, 0], buffer.observations[4, 0])
        assert np.abs(buffer.actions[:6]).max() <= 1.0
    finally:
        learner.close()


def test_choices_and_images_are_refused_in_a_line(tmp_path: Path) -> None:
    own = replace(job("sac"), program=None, fitness="length")
    with pytest.raises(TaskError, match="'sac' is for boxes, and this environment has choices for actions"):
        train.run(replace(own, env=EnvSpec("CartPole-v1")), tmp_path)
    with pytest.raises(TaskError, match="has images for observations"):
        train.run(replace(own, env=EnvSpec("CarRacing-v3")), tmp_path)


def test_settings_are_nested_and_what_does_not_fit_together_is_refused() -> None:
    config = resolve_config({"training": {"trainer": "td3", "off_policy": {"batch_size": 512}}})
    assert config.training.off_policy.batch_size == 512
    with pytest.raises(ConfigError, match="deterministic = false is not for"):
        resolve_config({"training": {"trainer": "sac"}, "evaluation": {"deterministic": False}})
    with pytest.raises(ConfigError, match=r"training\.off_policy\.batchsize.*did you mean 'batch_size'"):
        resolve_config({"training": {"off_policy": {"batchsize": 1}}})


@pytest.mark.slow
@pytest.mark.parametrize("trainer", TRAINERS)
def test_a_pendulum_is_swung_up(trainer: str, tmp_path: Path) -> None:
    assert train.run(job(trainer, env_steps=8_000), tmp_path).status == "ok"
    measured = evaluate.run(EvaluateJob(PENDULUM.env, str(tmp_path), PENDULUM.fitness, tuple(range(10))), tmp_path)
    assert (measured.fitness or 0.0) > 0.5


def _folder(path: Path) -> Path:
    path.mkdir()
    return path
