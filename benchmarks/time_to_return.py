"""CPU time until the policy reaches a return in the environment reward: rewardsmith and SB3's PPO with its defaults.

    python benchmarks/time_to_return.py [ENV ...] [--target 2000] [--seeds 5] [--limit 500000] [--patience inf]
                                        [--trainer fast]

Both train on the environment reward, in turns of 10,240 steps, in one process on one thread. After each turn the policy
acts without noise for five episodes; that time does not count. A side ends at its first mean return at or above the
target, at the limit of environment steps, or once it has used `--patience` times the CPU time of the other side, if
that one has ended.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

os.environ.update({"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"})

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3 import PPO
from throughput import describe_machine

from rewardsmith.contract.records import EnvSpec, TrainJob, TrainSettings
from rewardsmith.worker.envs.make import make_envs
from rewardsmith.worker.training.ppo_learner import PPOLearner
from rewardsmith.worker.training.training_loop import NullTrainingCallback

ENVIRONMENTS = ("Hopper-v5", "HalfCheetah-v5", "Walker2d-v5")
TURN = 10_240
EPISODES = 5
EVALUATION_SEED = 1_000_000

Act = Callable[[NDArray[np.float64]], NDArray[np.floating]]


@dataclass
class Side:
    """One of the two sides: its training for some steps, and its current policy."""

    train: Callable[[int], None]
    policy: Callable[[], Act]
    steps: int = 0
    cpu_s: float = 0.0
    best: float = -np.inf
    reached_s: float | None = None

    def turn(self, env: str, target: float) -> None:
        """Train for a turn and evaluate the policy."""
        began = time.process_time()
        self.train(TURN)
        self.cpu_s += time.process_time() - began
        self.steps += TURN
        mean = measure_return(env, self.policy())
        self.best = max(self.best, mean)
        if mean >= target:
            self.reached_s = self.cpu_s

    @property
    def outcome(self) -> str:
        """Text of the CPU time to the target, or of the best return without it."""
        if self.reached_s is None:
            return f"not reached ({self.best:,.0f} at best, {self.cpu_s:.0f} s)"
        return f"{self.reached_s:.1f} s ({self.steps:,} steps)"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("envs", nargs="*", default=ENVIRONMENTS)
    parser.add_argument("--target", type=float, default=2000.0)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--limit", type=int, default=500_000, help="environment steps of each side and seed")
    parser.add_argument("--patience", type=float, default=math.inf, help="multiple of the other side's CPU time")
    parser.add_argument("--trainer", choices=("fast", "sb3"), default="fast", help="the update of this side")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(describe_machine())
    settings = replace(TrainSettings(), trainer=arguments.trainer)
    for env in arguments.envs:
        print(f"{env}: CPU time to a return of {arguments.target:g}")
        times: list[tuple[float | None, float | None]] = []
        for seed in range(arguments.seeds):
            theirs, ours = make_sb3_side(env, seed), make_rewardsmith_side(env, seed, settings)
            run_race([ours, theirs], env, arguments)
            times.append((theirs.reached_s, ours.reached_s))
            print(f"  seed {seed}   SB3, defaults: {theirs.outcome:42} rewardsmith: {ours.outcome}", flush=True)
        for name, side in zip(("SB3, defaults", "rewardsmith"), zip(*times, strict=True), strict=True):
            print(f"  median   {name}: {format_median(side)}")


def run_race(sides: list[Side], env: str, arguments: argparse.Namespace) -> None:
    """Let the sides take turns until each has reached the target, its limit, or the end of its patience."""
    running = list(sides)
    while running:
        for side in running:
            side.turn(env, arguments.target)
        out = [side for side in sides if side.reached_s is not None or side.steps >= arguments.limit]
        latest = arguments.patience * min((side.cpu_s for side in out), default=math.inf)
        running = [side for side in sides if side not in out and side.cpu_s < latest]


def format_median(times: tuple[float | None, ...]) -> str:
    """Return the median; a run that did not reach the target counts as the longest."""
    middle = statistics.median(float("inf") if time is None else time for time in times)
    return "not reached" if middle == float("inf") else f"{middle:.1f} s"


def make_sb3_side(env: str, seed: int) -> Side:
    """Return SB3's PPO with its defaults."""
    model = PPO("MlpPolicy", env, seed=seed, device="cpu")
    act: Act = lambda obs: model.predict(obs, deterministic=True)[0]  # noqa: E731
    return Side(lambda steps: model.learn(steps, reset_num_timesteps=False) and None, lambda: act)


def make_rewardsmith_side(env: str, seed: int, settings: TrainSettings) -> Side:
    """Return the training of rewardsmith on the environment reward."""
    job = TrainJob(EnvSpec(env), None, "length", seed, env_steps=1, settings=settings)
    learner = PPOLearner(job, NullTrainingCallback())

    def train(steps: int) -> None:
        goal = learner.num_timesteps + steps
        while learner.num_timesteps < goal:
            learner.run_iteration()

    return Side(train, lambda: learner.extract_policy().act)


def measure_return(env: str, act: Act) -> float:
    """Return the mean return of episodes with fixed seeds, acting without noise."""
    batch = make_envs(EnvSpec(env), EPISODES)
    obs = batch.reset(range(EVALUATION_SEED, EVALUATION_SEED + EPISODES))
    returns, running = np.zeros(EPISODES), np.ones(EPISODES, np.bool_)
    low, high = np.array(batch.actions.low), np.array(batch.actions.high)
    while running.any():
        step = batch.step(np.clip(act(obs), low, high))
        returns += running * step.environment_reward
        running &= ~(step.terminated | step.truncated)
        obs = step.obs
    batch.close()
    return float(returns.mean())


if __name__ == "__main__":
    main()
