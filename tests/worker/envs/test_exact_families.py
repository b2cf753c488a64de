"""Under `make`, with signals gathered, every Gymnasium environment of a card runs as it does without rewardsmith."""

from __future__ import annotations

import pytest
from fakes.gym_reference import Reference, assert_equal_steps

from rewardsmith.contract.env_families import is_family_installed
from rewardsmith.contract.fitness import Fitness
from rewardsmith.contract.package_data import find_data_folder
from rewardsmith.spec.task_cards import load_cards
from rewardsmith.worker.envs.make import make_envs

FAMILIES = ("gymnasium_mujoco", "classic_control", "box2d")
NAMES = {path.stem for family in FAMILIES for path in find_data_folder("envs").glob(f"{family}/*.toml")}
TASKS = {task.name: task for task in load_cards() if task.name in NAMES}


def distinct(task):
    return task.env.env_id, tuple(task.env.kwargs.items()), task.env.max_episode_steps


# Cards that share an environment differ in signals alone.
ENVIRONMENTS = {distinct(task): name for name, task in TASKS.items()}


@pytest.mark.parametrize("name", sorted(ENVIRONMENTS.values()))
def test_two_hundred_steps_equal_the_environment_itself(name):
    task = TASKS[name]
    if not is_family_installed(task.env.env_id):
        pytest.skip(f"{task.env.env_id} is not installed")
    signals = [signal.name for signal in task.env.signals]
    env = make_envs(task.env, 1, signals, Fitness.parse(task.fitness).names)
    limit = {} if task.env.max_episode_steps is None else {"max_episode_steps": task.env.max_episode_steps}
    reference = Reference(task.env.env_id, 1, **task.env.kwargs, **limit)
    assert_equal_steps(env, reference, seeds=(3,), steps=200)
