"""Threads that step the simulations: the same bits at any number, and as many as pay."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from fakes.changing_threads import ChangingThreads

from rewardsmith.contract.records import EnvSpec, Signal, TrainJob, TrainSettings
from rewardsmith.worker.core_share import CoreShare
from rewardsmith.worker.envs import mujoco_physics
from rewardsmith.worker.envs.make import make_envs
from rewardsmith.worker.envs.thread_choice import (
    ROUND,
    ROUNDS_BETWEEN_TRIALS,
    TRIAL_STEPS,
    FixedThreads,
    FreeCoreThreads,
    ThreadChoice,
)
from rewardsmith.worker.training.ppo_learner import PPOLearner
from rewardsmith.worker.training.training_loop import NullTrainingCallback

SIGNALS = (
    Signal("body", (3,), "m", "", "xpos[1]"),
    Signal("velocity", (3,), "m/s", "", "xvelp[2]"),
    Signal("centre", (3,), "m", "", "subtree_com[1]"),
)
NAMES = tuple(signal.name for signal in SIGNALS)

pytestmark = pytest.mark.skipif(mujoco_physics.mujoco_batch is None, reason="this MuJoCo has no batch")


def collect(spec: EnvSpec, threads: ThreadChoice | None, steps: int = 300) -> list[np.ndarray]:
    """Return everything that an environment of 5 rows gives, under the same random actions."""
    env = make_envs(spec, 5, NAMES, threads=threads)
    rng = np.random.default_rng(0)
    seen = [env.reset([3, 4, 5, 6, 7]).copy(), env.read_signals().copy()]
    with np.errstate(all="ignore"):
        for _ in range(steps):
            step = env.step(rng.uniform(-1.0, 1.0, (5, env.actions.width)))
            seen += [np.array(part, copy=True) for part in step]
            seen += [env.read_signals().copy(), env.read_start_signals().copy()]
    env.close()
    return seen


@pytest.mark.parametrize(
    "spec",
    [
        EnvSpec("Hopper-v5", signals=SIGNALS),
        EnvSpec("HalfCheetah-v5", {"max_episode_steps": 40}, signals=SIGNALS),
        EnvSpec("Humanoid-v5", {"include_cfrc_ext_in_observation": False}, signals=SIGNALS),
        EnvSpec("Pusher-v5", signals=SIGNALS),
        # Simulations that MuJoCo has to reset.
        EnvSpec("HalfCheetah-v5", {"reset_noise_scale": 1e9}, signals=SIGNALS),
    ],
    ids=["hopper", "cheetah", "humanoid", "pusher", "diverging"],
)
def test_any_number_of_threads_gives_the_same_bits(spec):
    steps = 60 if spec.env_id == "Humanoid-v5" else 300
    expected = collect(spec, None, steps)
    for threads in (FixedThreads(1), FixedThreads(2), FixedThreads(4), FixedThreads(5), ChangingThreads(8)):
        found = collect(spec, threads, steps)
        assert all(np.array_equal(one, other, equal_nan=True) for one, other in zip(expected, found, strict=True))


def test_a_simulation_that_diverges_is_found_on_several_threads():
    broken = collect(EnvSpec("HalfCheetah-v5", {"reset_noise_scale": 1e9}, signals=SIGNALS), FixedThreads(2), 20)
    assert any(part.dtype == bool and part.shape == (5,) and part.all() for part in broken)


@pytest.mark.parametrize("number", [2, "auto"])
def test_a_training_gives_the_same_policy_on_one_thread_and_on_several(number):
    class FourCores(NullTrainingCallback):
        def count_free_cores(self) -> int:
            return 4

    tensors = []
    for physics_threads in (1, number):
        settings = TrainSettings(n_envs=4, n_steps=64, physics_threads=physics_threads)
        job = TrainJob(EnvSpec("Hopper-v5"), None, "length", 0, 1024, settings)
        learner = PPOLearner(job, FourCores())
        assert learner.run() == "ok"
        tensors.append(learner.extract_policy().tensors)
        learner.close()
    assert tensors[0].keys() == tensors[1].keys()
    assert all(np.array_equal(tensors[0][name], tensors[1][name]) for name in tensors[0])


# ---------------------------------------------------------------- choice


class Clock:
    """Steps of which each takes as long as `cost` says for its number of threads."""

    def __init__(self, cost: Callable[[int], float], free: int = 4, most: int = 8) -> None:
        self.cost, self.free = cost, free
        self.choice = FreeCoreThreads(most, lambda: self.free)

    def step(self, steps: int) -> list[int]:
        """Return the numbers of threads of the next steps."""
        return list(self._iter_steps(steps))

    def _iter_steps(self, steps: int) -> Iterator[int]:
        for _ in range(steps):
            threads = self.choice.count_threads()
            self.choice.add_time(self.cost(threads))
            yield threads


def test_threads_that_pay_are_kept():
    clock = Clock(lambda threads: 1.0 / threads)
    counts = clock.step(2 * ROUND)
    assert counts[: 2 * TRIAL_STEPS] == [1, 4] * TRIAL_STEPS
    assert set(counts[2 * TRIAL_STEPS :]) == {4}


def test_threads_that_do_not_pay_are_tried_seldom():
    clock = Clock(lambda threads: 1.1 if threads > 1 else 1.0)
    counts = clock.step(ROUND * ROUNDS_BETWEEN_TRIALS)
    assert counts.count(4) == TRIAL_STEPS
    assert clock.step(2 * TRIAL_STEPS).count(4) == TRIAL_STEPS


def test_threads_that_wait_for_a_core_end_their_trial_early():
    clock = Clock(lambda threads: 15.0 if threads > 1 else 1.0)
    assert clock.step(ROUND * ROUNDS_BETWEEN_TRIALS).count(4) == 2


def test_threads_that_pay_no_more_end_with_their_round():
    clock = Clock(lambda threads: 1.0 / threads)
    assert clock.step(ROUND)[-1] == 4
    clock.cost = lambda threads: 5.0 if threads > 1 else 1.0
    clock.step(ROUND)
    assert set(clock.step(ROUND)) == {1}


def test_a_core_that_another_training_takes_is_left_at_the_next_round():
    clock = Clock(lambda threads: 1.0 / threads)
    clock.step(ROUND)
    clock.free = 1
    assert set(clock.step(ROUND)) == {1}
    clock.free = 2
    assert clock.step(ROUND)[-1] == 2


def test_there_are_no_more_threads_than_simulations():
    assert max(Clock(lambda threads: 1.0 / threads, free=64, most=3).step(ROUND)) == 3


def test_jobs_of_a_worker_share_its_cores_while_they_run():
    share = CoreShare(6)
    read, write = os.pipe()
    turn_read, turn_write = os.pipe()
    share.set_jobs(1)
    pid = os.fork()
    if pid == 0:
        for _ in range(2):
            os.write(write, bytes([share.count_cores_per_job()]))
            os.read(turn_read, 1)
        os._exit(0)
    assert os.read(read, 1) == bytes([6])
    share.set_jobs(4)
    os.write(turn_write, b".")
    assert os.read(read, 1) == bytes([1])
    os.write(turn_write, b".")
    os.waitpid(pid, 0)
