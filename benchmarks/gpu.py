"""Steps a second of a task of mjlab: mjlab's own reward beside a generated program in its sealed process.

    .venv-mjlab/bin/python benchmarks/gpu.py            on a GPU Go1 with 4,096 environments, else cartpole with 64
    .venv-mjlab/bin/python benchmarks/gpu.py --card go1_velocity --envs 2048 --iterations 20

The ways run in one process, a few rollouts of each in turn, so that all meet the same load. "mjlab" is rsl_rl's own
loop with mjlab's reward manager. Shares are of the wall time; the device is waited for between the phases.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import platform
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from rewardsmith.contract.records import TrainJob, TrainSettings
from rewardsmith.spec.task_cards import load_task
from rewardsmith.worker.mjlab.learner import LabLearner
from rewardsmith.worker.mjlab.settings import build_learner_dict
from rewardsmith.worker.mjlab.tasks import load_lab_task, make_lab_env
from rewardsmith.worker.training.training_loop import NullTrainingCallback

REWARDS = Path(__file__).parent / "rewards"
PROGRAMS = {"lab_cartpole_balance": REWARDS / "cartpole_balance.py", "go1_velocity": REWARDS / "go1_walk.py"}
"""Card to the program that is measured on it."""


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    is_gpu = torch.cuda.is_available()
    parser.add_argument("--card", choices=PROGRAMS, default="go1_velocity" if is_gpu else "lab_cartpole_balance")
    parser.add_argument("--envs", type=int, default=4_096 if is_gpu else 64)
    parser.add_argument("--iterations", type=int, default=30 if is_gpu else 12, help="rollouts of each way")
    options = parser.parse_args()
    print(describe_machine())

    job = TrainJob(load_task(None, options.card).env, None, "length", 0, 10**9, TrainSettings(n_envs=options.envs))
    own = LabLearner(job, NullTrainingCallback(), options.envs)
    program = PROGRAMS[options.card].read_text(encoding="utf-8")
    sealed = LabLearner(replace(job, program=program), NullTrainingCallback(), options.envs)
    plain, steps = build_plain_loop(job, options.envs)
    ways: dict[str, Callable[[], None]] = {
        "mjlab": plain,
        "environment reward": own.run_iteration,
        "generated program": sealed.run_iteration,
    }
    for run in ways.values():  # compiles, and warms up
        run()
    for learner in (own, sealed):
        learner.times.seconds = dict.fromkeys(learner.times.seconds, 0.0)

    seconds = dict.fromkeys(ways, 0.0)
    for _ in range(max(1, options.iterations // 3)):
        for name, run in ways.items():
            seconds[name] += measure(run, 3)
    rollouts = 3 * max(1, options.iterations // 3)
    length = steps // options.envs
    print(f"\n{options.card}: {options.envs:,} environments, {rollouts} rollouts of {length} steps each way\n")
    print(f"{'way':<20}{'steps/s':>10}{'of mjlab':>10}   physics    copy  scoring  learner")
    for name, taken in seconds.items():
        print(f"{name:<20}{rollouts * steps / taken:>10,.0f}{seconds['mjlab'] / taken:>10.0%}", end="")
        times = {"environment reward": own, "generated program": sealed}.get(name)
        shares = [value / taken for value in times.times.seconds.values()] if times else []
        print("   " + "".join(f"{share:>8.1%}" for share in shares))
    scored = sealed.times.seconds["scoring"] / (rollouts * steps) * 1e6
    waited = sealed.reward_source.waited_s
    print(f"\nscoring, with its statistics: {scored:.2f} us a step; {waited:.2f} s in the reward process in all")
    own.close()
    sealed.close()


def build_plain_loop(job: TrainJob, n: int) -> tuple[Callable[[], None], int]:
    """Return one iteration of rsl_rl's own loop on mjlab's own environments, and its environment steps."""
    from mjlab.rl import RslRlVecEnvWrapper
    from rsl_rl.algorithms import PPO

    task = load_lab_task(job.env)
    config = task.learner_config
    env = RslRlVecEnvWrapper(make_lab_env(task, n, job.seed), clip_actions=config.clip_actions)
    env.episode_length_buf = torch.randint_like(env.episode_length_buf, high=env.max_episode_length)
    algorithm: Any = PPO.construct_algorithm(env.get_observations(), env, build_learner_dict(config), task.device)
    algorithm.train_mode()
    present = {"obs": env.get_observations()}

    def iterate() -> None:
        with torch.no_grad():
            for _ in range(config.num_steps_per_env):
                observed, rewards, dones, extras = env.step(algorithm.act(present["obs"]))
                algorithm.process_env_step(observed, rewards, dones, extras)
                present["obs"] = observed
            algorithm.compute_returns(present["obs"])
        algorithm.update()

    return iterate, n * config.num_steps_per_env


def measure(run: Callable[[], None], times: int) -> float:
    """Return the wall time of some calls, in seconds."""
    start = time.perf_counter()
    for _ in range(times):
        run()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def describe_machine() -> str:
    """Return card or processor, versions and precision."""
    packages = ("mjlab", "mujoco", "mujoco-warp", "warp-lang", "rsl-rl-lib", "torch")
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)
    precision = f"float32, matrix products: {torch.get_float32_matmul_precision()}"
    if not torch.cuda.is_available():
        return f"no GPU, {platform.processor() or platform.machine()}\n{versions}\n{precision}"
    properties = torch.cuda.get_device_properties(0)
    tf32 = torch.backends.cuda.matmul.allow_tf32
    memory = f"{properties.total_memory / 2**30:.0f} GiB"
    precision += f", TF32 {'on' if tf32 else 'off'}"
    return f"{properties.name}, {memory}, CUDA {torch.version.cuda}\n{versions}\n{precision}"


if __name__ == "__main__":
    main()
