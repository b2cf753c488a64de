"""Environment steps per CPU second, end to end with learning: a generated reward here against SB3's PPO as it comes.

    python benchmarks/throughput.py [ENV ...] [--rounds 5] [--steps 8192]

Both learn in the same process on one thread and take turns, so that a busy machine slows both. SB3 as it comes has one
environment, its default settings and the environment's own reward; here the training has its default settings and
a reward program in its reward process. The figure is CPU time, the reward process's included; wall time stands beside.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version

os.environ.update({"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"})

import torch
from stable_baselines3 import PPO

from rewardsmith.records import EnvSpec, TrainJob, TrainSettings
from rewardsmith.worker.train import Learner, Unattended

ENVIRONMENTS = ("Hopper-v5", "HalfCheetah-v5", "Walker2d-v5", "Ant-v5", "Humanoid-v5")
PROGRAM = """
WEIGHTS = {"progress": 1.0, "alive": 1.0, "effort": 0.001}

def reward(before, action, after):
    progress = shaping.tolerance(after.obs[:, 5], (1.0, np.inf), margin=1.0)
    return {"progress": progress, "alive": np.ones(len(action)), "effort": -np.sum(action**2, axis=1)}
"""
PACKAGES = ("rewardsmith", "stable-baselines3", "torch", "numpy", "mujoco", "gymnasium")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("envs", nargs="*", default=ENVIRONMENTS)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=8192, help="environment steps of a round for each side")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(machine())
    print(f"{'':16}{'SB3 as it comes':>22}{'rewardsmith':>22}{'ratio':>8}{'(wall)':>8}{'reward process':>16}")
    for env in arguments.envs:
        print(row(env, arguments.rounds, arguments.steps), flush=True)


def row(env: str, rounds: int, steps: int) -> str:
    """Measure one environment."""
    theirs, ours = as_it_comes(env), with_program(env)
    theirs(2048), ours(2048)
    pairs = [(timed(theirs, steps), timed(ours, steps)) for _ in range(rounds)]
    cpu = [(steps / a.cpu_s, steps / b.cpu_s) for a, b in pairs]
    ratio = statistics.median(b / a for a, b in cpu)
    wall = statistics.median(a.wall_s / b.wall_s for a, b in pairs)
    reward_us = statistics.median(b.reward_s for _, b in pairs) / steps * 1e6
    before, after = (statistics.median(side) for side in zip(*cpu, strict=True))
    return (
        f"{env:16}{before:>13,.0f} steps/s{after:>14,.0f} steps/s{ratio:>7.1f}x{wall:>7.1f}x{reward_us:>9.2f} us/step"
    )


def as_it_comes(env: str) -> Callable[[int], float]:
    """Return a function that trains SB3's PPO with its defaults for some steps."""
    model = PPO("MlpPolicy", env, seed=0, device="cpu")

    def advance(steps: int) -> float:
        model.learn(steps, reset_num_timesteps=False)
        return 0.0

    return advance


def with_program(env: str) -> Callable[[int], float]:
    """Return a function that trains on the program for some steps and returns the wall time spent on rewards."""
    job = TrainJob(EnvSpec(env), PROGRAM, "mean(obs[:, 5])", seed=0, env_steps=1, settings=TrainSettings())
    learner = Learner(job, Unattended())

    def advance(steps: int) -> float:
        waited, done = learner.scorer.waited_s, learner.done
        while learner.done < done + steps:
            learner.advance()
        return learner.scorer.waited_s - waited

    return advance


class Timing:
    """What a call took."""

    def __init__(self, cpu_s: float, wall_s: float, reward_s: float) -> None:
        self.cpu_s, self.wall_s, self.reward_s = cpu_s, wall_s, reward_s


def timed(advance: Callable[[int], float], steps: int) -> Timing:
    """Train and measure; the wait for the reward process, which computes meanwhile, counts as CPU time."""
    cpu, wall = time.process_time(), time.perf_counter()
    reward_s = advance(steps)
    return Timing(time.process_time() - cpu + reward_s, time.perf_counter() - wall, reward_s)


def machine() -> str:
    """Describe the machine and the versions."""
    versions = ", ".join(f"{package} {version(package)}" for package in PACKAGES)
    return f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n{versions}"


if __name__ == "__main__":
    main()
