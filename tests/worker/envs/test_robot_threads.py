"""Threads that step robots: the same bits at any number, with randomised models too."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import mujoco
import numpy as np
import pytest
from fakes.changing_threads import ChangingThreads
from fakes.robots import puppy_env, spell_puppy

from rewardsmith.contract.records import EnvSpec, TrainJob, TrainSettings
from rewardsmith.spec.task_cards import find_env
from rewardsmith.worker.envs import mujoco_physics
from rewardsmith.worker.envs.make import make_envs
from rewardsmith.worker.envs.robot_batch import can_move_simulations
from rewardsmith.worker.envs.thread_choice import FixedThreads, ThreadChoice
from rewardsmith.worker.training.ppo_learner import PPOLearner
from rewardsmith.worker.training.training_loop import NullTrainingCallback

pytestmark = pytest.mark.skipif(mujoco_physics.mujoco_batch is None, reason="this MuJoCo has no batch")

DRAWN = {
    "friction": [0.5, 1.2],
    "mass": [0.8, 1.2],
    "motor_strength": [0.7, 1.1],
    "latency": [0, 2],
    "pushes": [0.0, 0.5],
}


@pytest.fixture(autouse=True)
def own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store of each test is its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def collect(spec: EnvSpec, names: tuple[str, ...], threads: ThreadChoice | None) -> list[np.ndarray]:
    """Return everything that 4 robots give under the same random actions."""
    env = make_envs(spec, 4, names, threads=threads)
    rng = np.random.default_rng(0)
    seen = [env.reset([3, 4, 5, 6]).copy(), env.read_signals().copy()]
    ended = 0
    with np.errstate(all="ignore"):
        for _ in range(130):
            step = env.step(rng.uniform(-1.0, 1.0, (4, env.actions.width)))
            ended += step.ended.size
            seen += [np.array(part, copy=True) for part in step]
            seen += [env.read_signals().copy(), env.read_start_signals().copy()]
    assert ended
    return seen


@pytest.mark.parametrize("drawn", [None, DRAWN], ids=["plain", "randomised"])
def test_any_number_of_threads_gives_a_robot_the_same_bits(drawn):
    spec = replace(find_env("quadruped")[0], max_episode_steps=60)
    if drawn:
        spec = replace(spec, kwargs={**spec.kwargs, "randomisation": drawn})
    names = ("height", "upright", "forward_velocity", "FR_thigh_ground_force", "joint_velocities")
    expected = collect(spec, names, None)
    for threads in (FixedThreads(1), FixedThreads(2), FixedThreads(4), ChangingThreads(4)):
        found = collect(spec, names, threads)
        assert all(np.array_equal(one, other, equal_nan=True) for one, other in zip(expected, found, strict=True))


def test_sensors_and_objects_are_the_same_on_threads(tmp_path):
    more = (
        '<sensor><accelerometer site="imu"/><touch site="imu"/><actuatorfrc actuator="front"/></sensor>'
        '<keyframe><key name="home" qpos="0 0 0.172 1 0 0 0 0 0  0.5 0 0.05 1 0 0 0"/></keyframe>'
    )
    world = (
        '<body name="ball" pos="0.5 0 0.05"><freejoint/><geom type="sphere" size="0.05" mass="0.1"/></body>'
        '<site name="still"/>'
    )
    free = '<freejoint name="root"/><site name="imu" size="0.2"/>'
    spec = replace(puppy_env(tmp_path, {"end": ""}, free=free, more=more, world=world), max_episode_steps=50)
    expected = collect(spec, ("ball_ground_force",), None)
    found = collect(spec, ("ball_ground_force",), ChangingThreads(4))
    assert all(np.array_equal(one, other, equal_nan=True) for one, other in zip(expected, found, strict=True))


def test_a_simulation_whose_state_is_not_all_of_it_stays_on_one_thread():
    plain, asleep = (mujoco.MjSpec.from_string(spell_puppy()) for _ in range(2))
    asleep.option.enableflags |= int(mujoco.mjtEnableBit.mjENBL_SLEEP)
    assert can_move_simulations(plain.compile())
    assert not can_move_simulations(asleep.compile())


@pytest.mark.parametrize("number", [2, "auto"])
def test_a_robot_s_training_gives_the_same_policy_on_one_thread_and_on_several(number):
    class FourCores(NullTrainingCallback):
        def count_free_cores(self) -> int:
            return 4

    tensors = []
    for physics_threads in (1, number):
        settings = TrainSettings(n_envs=4, n_steps=64, physics_threads=physics_threads)
        learner = PPOLearner(TrainJob(find_env("quadruped")[0], None, "length", 0, 512, settings), FourCores())
        assert learner.run() == "ok"
        tensors.append(learner.extract_policy().tensors)
        learner.close()
    assert all(np.array_equal(tensors[0][name], tensors[1][name]) for name in tensors[0])
