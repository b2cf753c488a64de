"""The programs of `tests/rewards`: they fit their tasks, and the good ones beat the bad ones when trained."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakes.paths import REWARDS

from rewardsmith.contract.env_families import is_family_installed
from rewardsmith.contract.records import EvaluateJob, TrainJob, TrainSettings, load
from rewardsmith.contract.reward_files import load_reward
from rewardsmith.spec.task_cards import load_task
from rewardsmith.worker import evaluate

TASKS = sorted({path.stem.rpartition("_")[0] for path in REWARDS.glob("*.py")})
ENV_STEPS = {
    "arm_lift": 350_000,
    "arm_push": 200_000,
    "arm_reach": 200_000,
    "biped_squat": 200_000,
    "biped_walk": 200_000,
    "hand_turn_pen": 200_000,
    "quadruped_rear": 200_000,
    "quadruped_turn": 200_000,
    "quadruped_walk": 300_000,
    "ant": 200_000,
    "bipedal_walker": 150_000,
    "cartpole": 30_000,
    "crafter_tree": 20_000,
    "fetch_reach": 30_000,
    "hopper": 150_000,
    "hopper_back_flip": 150_000,
    "hopper_back_flip_land": 200_000,
    "inverted_pendulum": 50_000,
    "lava_cross": 60_000,
    "lunar_lander": 150_000,
    "mountain_car_continuous": 60_000,
    "pusher": 150_000,
    "reach": 60_000,
    "reacher": 150_000,
    "swimmer": 200_000,
    "walker2d": 150_000,
}
SEEDS = {"lunar_lander": 3}
"""Training seeds where one decides too much: the good program came to -1.6, -0.1 and -0.7."""


def test_every_task_has_a_good_and_a_bad_program():
    assert {path.stem for path in REWARDS.glob("*.py")} == {
        f"{task}_{kind}" for task in TASKS for kind in ("good", "bad")
    }


@pytest.mark.parametrize("path", sorted(REWARDS.glob("*.py")), ids=lambda path: path.stem)
def test_a_program_reads_signals_of_its_card(path):
    task = load_task(None, path.stem.rpartition("_")[0])
    assert set(load_reward(path).signals) <= {signal.name for signal in task.env.signals}


@pytest.mark.slow
@pytest.mark.parametrize("name", TASKS)
def test_a_policy_of_the_good_program_beats_that_of_the_bad_one_and_a_random_one(name, tmp_path):
    if not is_family_installed(load_task(None, name).env.env_id):
        pytest.skip(f"the packages of {name} are not installed")
    good, bad = (fitness_after_training(name, kind, tmp_path / kind) for kind in ("good", "bad"))
    random = measured(name, None, tmp_path)
    assert good > max(bad, random) + 0.1 * abs(random)


def fitness_after_training(name: str, kind: str, folder: Path) -> float:
    """Return a program's fitness, the mean over its training seeds."""
    from rewardsmith.worker.training import train

    task, found = load_task(None, name), []
    settings = load(TrainSettings, task.settings.get("training", {}))
    program = (REWARDS / f"{name}_{kind}.py").read_text(encoding="utf-8")
    for seed in range(SEEDS.get(name, 1)):
        out = folder / str(seed)
        out.mkdir(parents=True)
        job = TrainJob(task.env, program, task.fitness, seed, ENV_STEPS.get(name, 80_000), settings)
        assert train.run(job, out).status == "ok"
        found.append(measured(name, str(out), out))
    return sum(found) / len(found)


def measured(name: str, policy: str | None, folder: Path) -> float:
    task = load_task(None, name)
    result = evaluate.run(EvaluateJob(task.env, policy, task.fitness, tuple(range(100, 110))), folder)
    assert result.fitness is not None
    return result.fitness
