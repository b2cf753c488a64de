"""The policy that a training begins with."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from rewardsmith.contract.records import InitialPolicy, OffPolicySettings, TrainJob, TrainSettings
from rewardsmith.spec.task_cards import load_task
from rewardsmith.worker.training import policy, train
from rewardsmith.worker.training.off_policy import OffPolicyLearner
from rewardsmith.worker.training.rollout_learner import RolloutLearner
from rewardsmith.worker.training.training_loop import NullTrainingCallback

PENDULUM = load_task(None, "pendulum")
UP = "def reward(after):\n    return {'up': after.cos_angle}\n"
DOWN = "def reward(after):\n    return {'down': -after.cos_angle}\n"
SMALL = OffPolicySettings(net_arch=(8, 8), learning_starts=200, n_steps=8, updates_per_step=0.05, batch_size=32)
TRAINERS = ("fast", "sb3", "sac", "td3")


def make_settings(trainer: str = "fast", **changes: object) -> TrainSettings:
    settings = TrainSettings(trainer=trainer, n_envs=4, n_steps=64, n_epochs=2, net_arch=(16, 16), off_policy=SMALL)  # type: ignore[arg-type]
    return replace(settings, **changes)  # type: ignore[arg-type]


def make_job(settings: TrainSettings, env_steps: int = 3_200, program: str = UP, **changes: object) -> TrainJob:
    made = TrainJob(PENDULUM.env, program, PENDULUM.fitness, 0, env_steps, settings)
    return replace(made, **changes)  # type: ignore[arg-type]


def make_learner(job: TrainJob) -> RolloutLearner:
    learner = train.LEARNERS[job.settings.trainer]
    return learner(job, NullTrainingCallback())


def make_folder(path: Path) -> Path:
    path.mkdir()
    return path


def read_tensors(folder: Path) -> dict[str, np.ndarray]:
    return load_file(folder / "policy.safetensors")


@pytest.mark.parametrize("trainer", TRAINERS)
def test_a_training_begins_with_the_policy_that_it_inherits(trainer: str, tmp_path: Path) -> None:
    settings = make_settings(trainer)
    train.run(make_job(settings, 1_600), tmp_path)
    learner = make_learner(make_job(settings, seed=7, initial_policy=InitialPolicy(str(tmp_path), "g0c01")))
    try:
        own, inherited = learner.extract_policy().tensors, read_tensors(tmp_path)
        assert own.keys() == inherited.keys()
        assert all(np.array_equal(own[name], inherited[name]) for name in own)
        if isinstance(learner, OffPolicyLearner):
            target, critic = learner.model.critic_target.state_dict(), learner.model.critic.state_dict()
            assert all(np.array_equal(target[name], critic[name]) for name in critic)
            assert learner.inherited_from == "g0c01"
            learner.run_iteration()
            assert not learner.actor.is_random, "an inherited policy explores by itself"
    finally:
        learner.close()


def test_a_share_mixes_inherited_and_random_parameters(tmp_path: Path) -> None:
    settings = make_settings()
    train.run(make_job(settings, 1_024), tmp_path)
    inherited = read_tensors(tmp_path)
    fresh = make_learner(make_job(settings, seed=7))
    mixed = make_learner(make_job(settings, seed=7, initial_policy=InitialPolicy(str(tmp_path), "g0c01", share=0.25)))
    try:
        random, own = fresh.extract_policy().tensors, mixed.extract_policy().tensors
        for name in own:
            share = 1.0 if name in policy.NORMALISATION else 0.25
            np.testing.assert_allclose(own[name], share * inherited[name] + (1 - share) * random[name], atol=1e-6)
    finally:
        fresh.close()
        mixed.close()


@pytest.mark.parametrize("trainer", ["fast", "sac"])
def test_equal_seeds_and_parents_give_equal_trainings(trainer: str, tmp_path: Path) -> None:
    settings = make_settings(trainer)
    train.run(make_job(settings, 1_024), make_folder(tmp_path / "parent"))
    initial = InitialPolicy(str(tmp_path / "parent"), "g0c01", 0.5)
    job = make_job(settings, 1_600, DOWN, initial_policy=initial)
    trainings = [train.run(job, make_folder(tmp_path / name)) for name in ("a", "b")]
    assert trainings[0].curve == trainings[1].curve
    assert trainings[0].inherited_from == "g0c01"
    assert (tmp_path / "a/policy.safetensors").read_bytes() == (tmp_path / "b/policy.safetensors").read_bytes()
    from_nothing = train.run(replace(job, initial_policy=None), make_folder(tmp_path / "c"))
    assert from_nothing.inherited_from is None
    assert from_nothing.curve != trainings[0].curve


@pytest.mark.parametrize(
    ("parent", "child", "expected"),
    [
        ({}, {"trainer": "sac"}, "is of another algorithm, PPO; this training is with SAC"),
        ({"trainer": "sac"}, {"trainer": "td3"}, "is of another algorithm, SAC; this training is with TD3"),
        ({}, {"net_arch": (8,)}, r"has another network, \[16, 16\] tanh; this training has \[8\] tanh"),
        ({}, {"normalize_obs": False}, "was trained on normalised observations, and this training is not"),
        ({"normalize_obs": False}, {}, "was not trained on normalised observations, and this training is"),
    ],
)
def test_a_policy_that_does_not_fit_is_a_line_and_a_start_from_nothing(
    parent: dict[str, object], child: dict[str, object], expected: str, tmp_path: Path
) -> None:
    train.run(make_job(make_settings(**parent), 256), make_folder(tmp_path / "parent"))  # type: ignore[arg-type]
    settings = make_settings(**child)  # type: ignore[arg-type]
    plain = train.run(make_job(settings, 512), make_folder(tmp_path / "plain"))
    initial = InitialPolicy(str(tmp_path / "parent"), "g0c01")
    training = train.run(make_job(settings, 512, initial_policy=initial), make_folder(tmp_path / "child"))
    assert (training.status, training.inherited_from) == ("ok", None)
    assert training.curve == plain.curve
    assert training.cause is not None
    assert training.cause.startswith("trained from nothing: the policy of g0c01 ")
    assert "\n" not in training.cause
    assert re.search(expected, training.cause)


def test_other_observations_missing_and_old_policies_are_told_apart(tmp_path: Path) -> None:
    settings = make_settings()
    hopper = load_task(None, "hopper")
    walker_job = TrainJob(hopper.env, None, hopper.fitness, 0, 256, settings)
    train.run(walker_job, make_folder(tmp_path / "hopper"))
    job = make_job(settings, 256, initial_policy=InitialPolicy(str(tmp_path / "hopper"), "g0c01"))
    training = train.run(job, make_folder(tmp_path / "child"))
    assert "takes observations of 11 numbers, and this environment gives 3" in str(training.cause)

    gone = replace(job, initial_policy=InitialPolicy(str(tmp_path / "nowhere"), "g0c01"))
    training = train.run(gone, make_folder(tmp_path / "gone"))
    assert (training.status, training.inherited_from) == ("ok", None)
    assert str(training.cause).startswith("trained from nothing: cannot read the policy in")

    # A policy of an earlier version: without the count of its observations it can go on, without its critic it cannot.
    train.run(make_job(settings, 512), make_folder(tmp_path / "old"))
    tensors = read_tensors(tmp_path / "old")
    del tensors["obs_count"]
    save_file(tensors, tmp_path / "old/policy.safetensors")
    initial = InitialPolicy(str(tmp_path / "old"), "g0c01")
    assert train.run(replace(job, initial_policy=initial), make_folder(tmp_path / "new")).inherited_from == "g0c01"
    actor = {name: array for name, array in tensors.items() if "critic" not in name}
    save_file(actor, tmp_path / "old/policy.safetensors")
    training = train.run(replace(job, initial_policy=initial), make_folder(tmp_path / "newer"))
    assert "lacks critic.0.weight, which a training needs to go on" in str(training.cause)
