"""Complete small trainings: their reports, their files, and their reaction to bad input."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from fakes.training_case import FALLEN, PENDULUM, SMALL, UPRIGHT, faulty, job

from rewardsmith.contract.errors import ConfigError, FitnessError, ProgramError, TaskError
from rewardsmith.contract.records import CurvePoint, EnvSpec, Rung, Training, TrainSettings
from rewardsmith.contract.trainers import TRAINERS
from rewardsmith.worker.training import off_policy, policy, ppo
from rewardsmith.worker.training.ppo_learner import PPOLearner
from rewardsmith.worker.training.train import LEARNERS, run
from rewardsmith.worker.training.training_loop import NullTrainingCallback


class Watching(NullTrainingCallback):
    """Callback that records the reports of a training, and stops it at the rungs named."""

    def __init__(self, stop_at: tuple[int, ...] = ()) -> None:
        self.points: list[CurvePoint] = []
        self.rungs: list[Rung] = []
        self._stop_at = stop_at

    def on_curve_point(self, point: CurvePoint) -> None:
        self.points.append(point)

    def should_continue(self, rung: Rung) -> bool:
        self.rungs.append(rung)
        return rung.env_steps not in self._stop_at


def bits(folder: Path) -> bytes:
    return (folder / "policy.safetensors").read_bytes()


def test_every_trainer_has_a_learner_and_a_model_of_its_algorithm() -> None:
    assert list(LEARNERS) == [trainer.name for trainer in TRAINERS]
    for trainer in TRAINERS:
        models = ppo.MODELS if trainer.is_on_policy else off_policy.MODELS
        bases = [base for base in models[trainer.name].__mro__ if base.__module__.startswith("stable_baselines3.")]
        assert bases[0].__name__ == trainer.algorithm


def test_an_unknown_trainer_trains_nothing(tmp_path: Path) -> None:
    settings = replace(SMALL, trainer="ppo")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="no such trainer; allowed are 'fast', 'sb3', 'sac', 'td3'"):
        run(job(UPRIGHT, settings=settings, env_steps=500), tmp_path)


@pytest.mark.parametrize("trainer", ["fast", "sb3"])
@pytest.mark.parametrize("program", [UPRIGHT, None], ids=["program", "environment-reward"])
def test_training_ends_with_a_policy_and_its_curve(tmp_path: Path, trainer: str, program: str | None) -> None:
    watching = Watching()
    settings = replace(SMALL, trainer=trainer)
    training = run(job(program, settings=settings, env_steps=500), tmp_path, watching)

    assert (training.status, training.cause, training.env_steps) == ("ok", None, 512)
    assert [point.env_steps for point in training.curve] == [256, 512]
    assert list(training.curve) == watching.points
    assert set(training.curve[0].terms) == ({"upright", "effort"} if program else set())
    assert training.curve[0].fitness == training.curve[0].length
    assert all(point.approx_kl > 0 and 0 <= point.clip_fraction <= 1 for point in training.curve)
    assert training.cpu_s > 0 and (training.reward_s > 0) == (program is not None)
    action = policy.load(tmp_path).act(np.zeros((3, 4)))
    assert action.shape == (3, 1) and np.isfinite(action).all()


def test_curve_point_holds_means_over_the_episodes_that_ended(tmp_path: Path) -> None:
    program = 'WEIGHTS = {"alive": 2.0}\ndef reward(after):\n    return {"alive": np.ones(len(after.obs))}\n'
    env = replace(PENDULUM, max_episode_steps=4)
    training = run(job(program, env=env, fitness="2 * length + survived"), tmp_path)

    for point in training.curve:
        assert point.length is not None and point.fitness is not None and 0 < point.length <= 4
        assert point.reward == pytest.approx(2.0 * point.length)
        assert 2 * point.length <= point.fitness <= 2 * point.length + 1
        assert point.terms == {"alive": 1.0}
        assert point.episodes >= 64


def test_episode_longer_than_a_rollout_is_counted_whole(tmp_path: Path) -> None:
    env = replace(faulty("none"), max_episode_steps=100)
    training = run(job(None, env=env, fitness="last(obs[:, 0]) - start.obs[0]", env_steps=1024), tmp_path)

    lengths = [point.length for point in training.curve if point.episodes]
    assert lengths and all(length == 100 for length in lengths)


def test_same_job_gives_the_same_bits(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("a", "b", "c")]
    for folder, seed in zip(folders, (0, 0, 1), strict=True):
        folder.mkdir()
        run(job(seed=seed), folder)

    assert bits(folders[0]) == bits(folders[1]) != bits(folders[2])


def test_saved_policy_acts_as_the_trained_model(tmp_path: Path) -> None:
    learner = PPOLearner(job(), NullTrainingCallback())
    learner.run_iteration()
    learner.close()
    policy.save(learner.extract_policy(), tmp_path)
    obs = np.random.default_rng(0).standard_normal((5, 4)) * 0.1

    taken = learner.scaling.scale(obs)
    with torch.no_grad():
        mean = learner.model.policy.get_distribution(torch.from_numpy(taken)).mode().numpy()
    np.testing.assert_allclose(policy.load(tmp_path).act(obs), np.clip(mean, -3, 3), rtol=0, atol=1e-5)


def test_discrete_actions_train(tmp_path: Path) -> None:
    training = run(job(None, env=EnvSpec("CartPole-v1")), tmp_path)

    assert training.status == "ok"
    assert set(np.unique(policy.load(tmp_path).act(np.eye(4)))) <= {0.0, 1.0}


def test_only_named_signals_are_gathered() -> None:
    learner = PPOLearner(job(FALLEN, fitness="length"), NullTrainingCallback())
    learner.close()

    assert learner.env.layout.names == ("obs",)


@pytest.mark.parametrize("factor", [0.01, 100.0, 1e-6])
def test_scale_of_a_program_does_not_matter(tmp_path: Path, factor: float) -> None:
    scaled = UPRIGHT.replace("1.0,", f"{factor},").replace("0.05}", f"{0.05 * factor}}}")
    for name, program in (("plain", UPRIGHT), ("scaled", scaled)):
        run(job(program), tmp_path / name)

    plain, other = (policy.load(tmp_path / name).tensors for name in ("plain", "scaled"))
    for name, expected in plain.items():
        np.testing.assert_allclose(other[name], expected, rtol=0, atol=1e-4)


def test_program_with_memory_is_scored_step_by_step(tmp_path: Path) -> None:
    program = """
MEMORY = {"count": 0.0}
def reward(after, memory):
    memory.count = memory.count + 1.0
    return {"count": memory.count}
"""
    training = run(job(program, env=replace(PENDULUM, max_episode_steps=4), fitness="length"), tmp_path)

    for point in training.curve:
        assert point.length is not None and point.reward is not None
        # 1 + 2 + ... + length, of episodes of 1 to 4 steps: memory starts again with each.
        assert point.length <= point.reward <= 10


def test_rung_stops_a_training_and_keeps_its_policy(tmp_path: Path) -> None:
    watching = Watching(stop_at=(512,))
    training = run(job(rungs=(256, 512, 768), env_steps=1024), tmp_path, watching)

    assert (training.status, training.env_steps) == ("pruned", 512)
    assert [rung.env_steps for rung in watching.rungs] == [256, 512]
    assert watching.rungs[1].fitness is not None and watching.rungs[1].curve == tuple(watching.points)
    assert training.cause is not None and "512" in training.cause
    assert policy.load(tmp_path).spec.net_arch == (16, 16)


def test_rungs_that_are_passed_change_nothing(tmp_path: Path) -> None:
    for name, rungs in (("plain", ()), ("rungs", (256,))):
        (tmp_path / name).mkdir()
        run(job(rungs=rungs), tmp_path / name, Watching())

    assert bits(tmp_path / "plain") == bits(tmp_path / "rungs")


@pytest.mark.parametrize(
    ("program", "cause"),
    [
        ('def reward(after):\n    return {"up": after.obs[:, 1] / 0 * 0}\n', "not finite"),
        ('def reward(after):\n    return {"up": 1e30 * np.ones(len(after.obs))}\n', "'up' reaches 1e+30"),
        (UPRIGHT.replace("0.05}", "1e30}"), "'effort' reaches"),
        ('def reward(after):\n    return {"up": after.obs}\n', "shape"),
        ('def reward(after):\n    x = [][0]\n    return {"up": after.obs[:, 0]}\n', "line 2: IndexError"),
    ],
    ids=["nan", "huge", "huge-weight", "shape", "exception"],
)
def test_program_that_misbehaves_fails_with_its_cause(tmp_path: Path, program: str, cause: str) -> None:
    training = run(job(program), tmp_path)

    assert training.status == "failed"
    assert cause in (training.cause or "")
    assert not (tmp_path / "policy.json").exists()


def test_observations_that_go_nan_end_episodes_and_nothing_else(tmp_path: Path) -> None:
    training = run(job(None, env=faulty("nan")), tmp_path)

    assert training.status == "ok"
    assert re.search(r"the simulation broke in \d+ episodes, which ended there", training.cause or "")
    assert all(np.isfinite(array).all() for array in policy.load(tmp_path).tensors.values())


def test_environment_that_crashes_raises_its_own_error(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError, match="the simulator gave up"):
        run(job(None, env=faulty("crash")), tmp_path)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"env": EnvSpec("Hoper-v5")}, TaskError),
        ({"program": 'def reward(after):\n    return {"up": after.no_such}\n'}, TaskError),
        ({"program": "x = 1"}, ProgramError),
        ({"fitness": "no_such[-1]"}, TaskError),
        ({"fitness": "mean("}, FitnessError),
    ],
    ids=["environment", "signal", "program", "fitness-signal", "fitness"],
)
def test_what_does_not_exist_is_the_users_error(tmp_path: Path, changes: dict[str, object], error: type) -> None:
    with pytest.raises(error):
        run(job(**changes), tmp_path)


def fitness_after(program: str | None, steps: int, tmp_path: Path, **changes: object) -> float:
    training: Training = run(job(program, env_steps=steps, **changes), tmp_path)
    assert training.curve[-1].fitness is not None
    return training.curve[-1].fitness


QUICK_END = 'def reward(after):\n    return {"here": -np.ones(len(after.obs))}\n'
LEARNING = TrainSettings(n_steps=64, batch_size=64, n_epochs=5, learning_rate=1e-3, checkpoints=4)


def test_good_reward_beats_a_bad_one(tmp_path: Path) -> None:
    changes = {"settings": LEARNING, "env": replace(PENDULUM, max_episode_steps=200)}
    good, bad = (fitness_after(program, 12_000, tmp_path, **changes) for program in (UPRIGHT, QUICK_END))

    assert good > 100 > 20 > bad  # steps upright, of 200


HOP = """
WEIGHTS = {"forward": 1.0, "alive": 1.0, "effort": 0.001}

def reward(action, after):
    return {"forward": after.obs[:, 5], "alive": np.ones(len(action)), "effort": -np.sum(action**2, axis=1)}
"""


@pytest.mark.slow
def test_hopper_hops_with_a_good_reward_and_not_with_a_bad_one(tmp_path: Path) -> None:
    changes = {"env": EnvSpec("Hopper-v5"), "fitness": "sum(obs[:, 5]) * 0.008", "settings": TrainSettings()}
    good = fitness_after(HOP, 150_000, tmp_path, **changes)
    bad = fitness_after(HOP.replace('"forward": 1.0', '"forward": -1.0'), 150_000, tmp_path, **changes)

    assert good > 2.0 > 0.5 > bad  # metres, with exploration noise
    assert math.isfinite(bad)
