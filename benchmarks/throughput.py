"""Throughput: environment steps per CPU second, end to end with learning, against stable-baselines3's PPO.

    python benchmarks/throughput.py [ENV ...] [--rounds 5] [--steps 8192] [--json]

Both learn in one process on one thread and take turns, so that a busy machine slows both. SB3 trains with its default
settings, one environment and the environment reward; rewardsmith trains with its default settings and a program in
its reward process. CPU times include the reward process's; wall times are printed too.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

# Before torch is imported, which reads them.
os.environ.update({"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"})

import gymnasium
import torch
from gymnasium import spaces
from stable_baselines3 import PPO

from rewardsmith.contract.errors import SandboxUnavailable, UserError
from rewardsmith.contract.records import EnvSpec, TrainJob
from rewardsmith.worker.training.ppo_learner import PPOLearner
from rewardsmith.worker.training.training_loop import NullTrainingCallback

ENVIRONMENTS = ("Hopper-v5", "HalfCheetah-v5", "Walker2d-v5", "Ant-v5", "Humanoid-v5")
ROUNDS = 5
STEPS = 8192
"""Environment steps of a round, of each side."""
ROLLOUT = 2048
"""Environment steps of a rollout, of either side with its defaults: one goes before the first round."""
PROGRAM = """
WEIGHTS = {"progress": 1.0, "alive": 1.0, "effort": 0.001}

def reward(before, action, after):
    speed = after.obs[:, min(5, after.obs.shape[1] - 1)]
    progress = shaping.tolerance(speed, (1.0, np.inf), margin=1.0)
    return {"progress": progress, "alive": np.ones(len(action)), "effort": -np.sum(action**2, axis=1)}
"""
PACKAGES = ("rewardsmith", "stable-baselines3", "torch", "numpy", "mujoco", "gymnasium")

Advance = Callable[[int], float]
"""Trains for some environment steps; returns the wall time in s that was spent waiting for rewards."""


@dataclass(frozen=True)
class Timing:
    """Time of a training over some steps, in s."""

    cpu_s: float
    """CPU time, the reward process's included."""
    wall_s: float
    reward_s: float
    """Part of both: the wait for the reward process."""


@dataclass(frozen=True)
class ThroughputComparison:
    """The two sides in one environment: medians over the rounds."""

    env_id: str
    sb3_steps_per_s: float
    """Environment steps per CPU second of SB3 with its defaults."""
    steps_per_s: float
    """The same of this project's training."""
    ratio: float
    """Of the CPU times of a round."""
    wall_ratio: float
    reward_us: float
    """Microseconds per environment step spent on rewards."""


def main(arguments: Sequence[str]) -> int:
    """Measure, print a line per environment, and return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("envs", nargs="*", default=ENVIRONMENTS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--steps", type=int, default=STEPS, help="environment steps of a round; rounded up to rollouts")
    parser.add_argument("--json", action="store_true", help="print JSON lines")
    chosen = parser.parse_args(arguments)
    try:
        _print_line(json.dumps({"machine": describe_machine()}) if chosen.json else f"{describe_machine()}\n{HEADER}")
        for env_id in chosen.envs:
            comparison = compare_throughput(env_id, chosen.rounds, chosen.steps)
            _print_line(json.dumps(asdict(comparison)) if chosen.json else format_row(comparison))
    except (UserError, SandboxUnavailable) as error:
        sys.stderr.write(f"{error}\n")
        return 2 if isinstance(error, UserError) else 1
    except KeyboardInterrupt:
        return 130
    return 0


HEADER = f"{'':18}{'SB3, defaults':>18}{'rewardsmith':>18}{'ratio':>9}{'of wall':>9}{'reward process':>17}"


def format_row(comparison: ThroughputComparison) -> str:
    """Return a line of the table; see `HEADER`."""
    sides = f"{comparison.sb3_steps_per_s:>10,.0f} steps/s{comparison.steps_per_s:>10,.0f} steps/s"
    ratios = f"{comparison.ratio:>8.1f}x{comparison.wall_ratio:>8.1f}x"
    return f"{comparison.env_id:18}{sides}{ratios}{comparison.reward_us:>9.2f} us/step"


def compare_throughput(env_id: str, rounds: int, steps: int) -> ThroughputComparison:
    """Let the two sides take turns in one environment.

    Raises:
        TaskError: if the environment cannot be used.
        SandboxUnavailable: if programs cannot be sealed on this machine.
    """
    torch.set_num_threads(1)
    steps = ROLLOUT * math.ceil(steps / ROLLOUT)
    # rewardsmith's side first: its error for a wrong environment name is one readable line.
    learner = PPOLearner(TrainJob(EnvSpec(env_id), PROGRAM, "length", seed=0, env_steps=1), NullTrainingCallback())
    try:
        ours, theirs = make_program_training(learner), make_sb3_training(env_id)
        theirs(ROLLOUT), ours(ROLLOUT)
        pairs = [(measure(theirs, steps), measure(ours, steps)) for _ in range(rounds)]
    finally:
        learner.close()
    return ThroughputComparison(
        env_id=env_id,
        sb3_steps_per_s=statistics.median(steps / sb3.cpu_s for sb3, _ in pairs),
        steps_per_s=statistics.median(steps / own.cpu_s for _, own in pairs),
        ratio=statistics.median(sb3.cpu_s / own.cpu_s for sb3, own in pairs),
        wall_ratio=statistics.median(sb3.wall_s / own.wall_s for sb3, own in pairs),
        reward_us=statistics.median(own.reward_s for _, own in pairs) / steps * 1e6,
    )


def make_sb3_training(env_id: str) -> Advance:
    """Return the training of SB3's PPO with its defaults on the environment reward."""
    env = gymnasium.make(env_id)
    policy = "MultiInputPolicy" if isinstance(env.observation_space, spaces.Dict) else "MlpPolicy"
    model = PPO(policy, env, seed=0, device="cpu")

    def advance(steps: int) -> float:
        model.learn(steps, reset_num_timesteps=False)
        return 0.0

    return advance


def make_program_training(learner: PPOLearner) -> Advance:
    """Return the training of rewardsmith on a program."""

    def advance(steps: int) -> float:
        waited, goal = learner.reward_source.waited_s, learner.num_timesteps + steps
        while learner.num_timesteps < goal:
            learner.run_iteration()
        return learner.reward_source.waited_s - waited

    return advance


def measure(advance: Advance, steps: int) -> Timing:
    """Train and measure; the wait for the reward process, which computes meanwhile, counts as CPU time."""
    cpu, wall = time.process_time(), time.perf_counter()
    reward_s = advance(steps)
    return Timing(time.process_time() - cpu + reward_s, time.perf_counter() - wall, reward_s)


def describe_machine() -> str:
    """Describe the machine and the versions."""
    versions = ", ".join(f"{package} {version(package)}" for package in PACKAGES)
    return f"{_processor_name()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n{versions}"


def _processor_name() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _print_line(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
