"""Threads for the physics of one training: the gain of a step, of a report here, and of a report on more cores.

    python benchmarks/physics_threads.py [ENV ...] [--steps 1500] [--rounds 3] [--report-steps 8192] [--cores 16]

Scaling: steps of 8 simulations on one thread and on two, taken in turn. The least time is near that of an idle machine,
the median is that of this one. Physics: the part of a training's CPU time, with one thread.
Report: the wall time of 3 trainings on 2 slots and 2 cores, with `training.physics_threads` 1 and "auto", in turn.
Simulation: the wall time of a report on many cores. A step on k threads takes the time of ceil(8 / k) simulations and a
constant, which is that of two threads in the least times; the rest of a training stays on one thread.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.update({"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"})

import numpy as np
from throughput import describe_machine

from rewardsmith.contract.records import EnvSpec, TrainJob, TrainSettings
from rewardsmith.executors.local import LocalExecutor
from rewardsmith.worker.envs.make import make_envs
from rewardsmith.worker.training.ppo_learner import PPOLearner
from rewardsmith.worker.training.training_loop import NullTrainingCallback

ENVIRONMENTS = ("Hopper-v5", "HalfCheetah-v5", "Walker2d-v5")
SIMULATIONS = 8
"""Of a training with the default settings."""


@dataclass(frozen=True)
class Scaling:
    """Wall time of a step of 8 simulations, in microseconds."""

    alone: float
    """Least time on one thread."""
    together: float
    """Least time on two."""
    median_alone: float
    median_together: float

    def predict_step(self, threads: int) -> float:
        """Return the least time of a step on a number of threads, as a part of that on one."""
        if threads == 1:
            return 1.0
        constant = self.together - self.alone / 2
        return (math.ceil(SIMULATIONS / threads) / SIMULATIONS * self.alone + constant) / self.alone


class InTurn:
    """One thread and two, step by step; it keeps the times."""

    def __init__(self) -> None:
        """Begin with one thread."""
        self.times: tuple[list[float], list[float]] = ([], [])
        self.is_second = False

    def count_threads(self) -> int:
        """Return 1 or 2."""
        return 2 if self.is_second else 1

    def add_time(self, seconds: float) -> None:
        """Keep the time of the step."""
        self.times[self.is_second].append(1e6 * seconds)
        self.is_second = not self.is_second


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("envs", nargs="*", default=ENVIRONMENTS)
    parser.add_argument("--steps", type=int, default=1500, help="steps of 8 simulations, on one thread and on two")
    parser.add_argument("--rounds", type=int, default=3, help="reports with either setting")
    parser.add_argument("--report-steps", type=int, default=8192, help="environment steps of a training of the report")
    parser.add_argument("--cores", type=int, default=16, help="of the simulated machine")
    arguments = parser.parse_args()
    print(describe_machine(), f"load {os.getloadavg()[0]:.1f}", flush=True)

    for env_id in arguments.envs:
        scaling, share = measure_scaling(env_id, arguments.steps), measure_physics_share(env_id)
        print(
            f"{env_id}: a step least {scaling.alone:.0f} / {scaling.together:.0f} us on 1 / 2 threads, median "
            f"{scaling.median_alone:.0f} / {scaling.median_together:.0f} us; physics {share:.0%} of the CPU time"
        )
        for trainings in (1, 3, 6):
            times = [simulate_report(trainings, arguments.cores, share, scaling, shares) for shares in (False, True)]
            gain = f"{times[0]:.2f} -> {times[1]:.2f} trainings' time"
            print(f"  simulated, {arguments.cores} cores, {trainings} at once: {gain}", flush=True)
        two = [simulate_report(3, 2, share, scaling, shares) for shares in (False, True)]
        print(f"  simulated, 2 cores, report of 3: {two[0]:.2f} -> {two[1]:.2f} trainings' time", flush=True)

    walls: dict[int | str, list[float]] = {1: [], "auto": []}
    for _ in range(arguments.rounds):
        for threads, values in walls.items():
            values.append(time_report(arguments.envs[0], threads, arguments.report_steps))
            print(f"report, physics_threads = {threads}: {values[-1]:.1f} s, load {os.getloadavg()[0]:.1f}", flush=True)
    medians = {threads: statistics.median(values) for threads, values in walls.items()}
    print(f"report of 3 trainings on 2 cores, medians: {medians[1]:.1f} s -> {medians['auto']:.1f} s")


def measure_scaling(env_id: str, steps: int) -> Scaling:
    """Time steps of 8 simulations on one thread and on two, in turn."""
    threads = InTurn()
    env = make_envs(EnvSpec(env_id), SIMULATIONS, threads=threads)
    rng = np.random.default_rng(0)
    env.reset(range(SIMULATIONS))
    for _ in range(2 * steps):
        env.step(rng.uniform(-1.0, 1.0, (SIMULATIONS, env.actions.width)))
    env.close()
    alone, together = threads.times
    return Scaling(min(alone), min(together), statistics.median(alone), statistics.median(together))


def measure_physics_share(env_id: str, rollouts: int = 3) -> float:
    """Return the part of a training's CPU time that steps the simulations, with one thread."""
    job = TrainJob(EnvSpec(env_id), None, "length", 0, 1, TrainSettings(physics_threads=1))
    learner = PPOLearner(job, NullTrainingCallback())
    physics: Any = learner.env
    step, spent = physics._physics.step, [0.0]

    def timed_step(ctrl: Any) -> None:
        began = time.process_time()
        step(ctrl)
        spent[0] += time.process_time() - began

    learner.run_iteration()
    physics._physics.step = timed_step
    began = time.process_time()
    for _ in range(rollouts):
        learner.run_iteration()
    total = time.process_time() - began
    learner.close()
    return spent[0] / total


def simulate_report(trainings: int, cores: int, share: float, scaling: Scaling, shares_cores: bool) -> float:
    """Return the wall time of a report, in times of a training on one thread.

    Args:
        trainings: all are ready at the beginning.
        cores: as many run at once.
        share: of physics in a training's time.
        scaling: of a step.
        shares_cores: trainings step their simulations on the free cores.
    """
    waiting, running, now = trainings, list[float](), 0.0
    while waiting or running:
        # Fill the cores; every running training goes at the speed that its share of the cores gives.
        while waiting and len(running) < cores:
            running.append(1.0)
            waiting -= 1
        threads = min(SIMULATIONS, max(1, cores // len(running))) if shares_cores else 1
        duration = 1.0 - share + share * min(1.0, scaling.predict_step(threads))
        first = min(running)
        now += first * duration
        running = [left - first for left in running if left > first]
    return now


def time_report(env_id: str, threads: int | str, env_steps: int) -> float:
    """Return the wall time of 3 trainings on 2 slots, the start of the worker not counted."""
    settings = TrainSettings(physics_threads=threads)  # type: ignore[arg-type]
    warm = TrainJob(EnvSpec(env_id), None, "length", 9, 8, TrainSettings(n_steps=1, n_epochs=1, batch_size=8))
    executor = LocalExecutor(2, cores=2)
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(3) as pool:
        try:
            executor.run(warm, Path(folder) / "warm")
            began = time.perf_counter()
            jobs = [TrainJob(EnvSpec(env_id), None, "length", seed, env_steps, settings) for seed in range(3)]
            list(pool.map(lambda job: executor.run(job, Path(folder) / f"s{job.seed}"), jobs))
            return time.perf_counter() - began
        finally:
            executor.close()


if __name__ == "__main__":
    main()
