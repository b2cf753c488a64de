"""The cost of a job besides its training: the start in a warm worker, peak memory, and scoring step by step.

    python benchmarks/workers.py [ENV ...] [--jobs 20] [--rollouts 12]

Start: the time from the submission of a training to the first point of its curve. It covers the fork, the environment,
the model, one step of 8 environments, its update and the report; with a program also the start of its reward process,
which a longer rollout hides. The wall time is the least and the median of many starts (the least is near that of a
quiet machine); the CPU time is that of all child processes.
Memory: the training process at its peak (resident, pages shared with the worker included), and the private memory of
it and its reward process.
Scoring: CPU time of sending, scoring and checking, in both processes, as a part of the training's, for a program with
memory (called once per step of 8 environments) and for one without (called once per rollout).
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

os.environ.update({"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"})

import torch
from throughput import PROGRAM, describe_machine

from rewardsmith.contract.records import CurvePoint, EnvSpec, TrainJob, TrainSettings
from rewardsmith.executors.local import LocalExecutor
from rewardsmith.worker.training.ppo_learner import PPOLearner
from rewardsmith.worker.training.training_loop import NullTrainingCallback

ENVIRONMENTS = ("Hopper-v5", "HalfCheetah-v5", "Humanoid-v5")
ONE_STEP = TrainSettings(n_envs=8, n_steps=1, batch_size=8, n_epochs=1, checkpoints=1)
REMEMBERING = """
WEIGHTS = {"progress": 1.0, "record": 0.1, "alive": 1.0, "effort": 0.001}
MEMORY = {"best": -10.0, "stage": 0.0}

def reward(before, action, after, memory):
    speed = after.obs[:, 5]
    record = np.maximum(speed - memory.best, 0.0)
    memory.best = np.maximum(memory.best, speed)
    memory.stage = np.where(speed > 1.0, memory.stage + 1.0, memory.stage)
    progress = shaping.tolerance(speed, (1.0, np.inf), margin=1.0)
    effort = -np.sum(action**2, axis=1)
    return {"progress": progress, "record": record, "alive": np.ones(len(action)), "effort": effort}
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("envs", nargs="*", default=ENVIRONMENTS)
    parser.add_argument("--jobs", type=int, default=20, help="trainings to start")
    parser.add_argument("--rollouts", type=int, default=12, help="of 2,048 steps, per environment and program")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(describe_machine())
    for env in arguments.envs:
        print(env)
        with tempfile.TemporaryDirectory() as folder:
            report_worker(env, arguments.jobs, Path(folder))
        for name, program in (("with memory", REMEMBERING), ("without memory", PROGRAM)):
            share, us = measure_scoring(env, program, arguments.rollouts)
            print(f"  scoring, {name:16} {share:6.1%} of the CPU time, {us:.1f} us per environment step", flush=True)


def report_worker(env: str, jobs: int, folder: Path) -> None:
    """Measure and print starts and memory."""
    executor = LocalExecutor(1)
    try:
        for name, program in (("environment reward", None), ("with a program", PROGRAM)):
            job = TrainJob(EnvSpec(env), program, "length", seed=0, env_steps=8, settings=ONE_STEP)
            starts = [measure_start(executor, job, folder / f"{name}-{i}") for i in range(jobs + 1)][1:]
            walls, cpus = zip(*starts, strict=True)
            wall = f"{min(walls):6.3f} s least, {statistics.median(walls):.3f} s median of {jobs}"
            print(f"  start, {name:18} {wall}; CPU {statistics.median(cpus):.3f} s", flush=True)
        peak, added = measure_memory(executor, env, folder / "memory")
    finally:
        executor.close()
    print(f"  memory {'':18} {peak:6.0f} MiB at the peak; with its reward process {added:.0f} MiB private")


def measure_start(executor: LocalExecutor, job: TrainJob, out: Path) -> tuple[float, float]:
    """Return the wall and the CPU time from a job to the first point of its curve, in s."""
    points: list[tuple[float, float]] = []
    cpu, wall = read_running_s(), time.perf_counter()
    executor.run(job, out, lambda point: points.append((time.perf_counter() - wall, read_running_s() - cpu)))
    return points[0]


def measure_memory(executor: LocalExecutor, env: str, out: Path) -> tuple[float, float]:
    """Return the memory of a training with the default settings: its peak, and its private part, in MiB."""
    sizes_mib: list[tuple[float, float]] = []

    def look(point: CurvePoint) -> None:
        (worker,) = (pid for pid in list_children(os.getpid()) if "rewardsmith.worker" in read_command(pid))
        (training,) = list_children(worker)
        family = [training, *list_descendants(training)]
        peak = read_mib(Path(f"/proc/{training}/status"), "VmHWM")
        sizes_mib.append((peak, sum(map(read_private_mib, family))))

    executor.run(TrainJob(EnvSpec(env), PROGRAM, "length", seed=0, env_steps=20_480), out, look)
    return max(peak for peak, _ in sizes_mib), max(added for _, added in sizes_mib)


def measure_scoring(env: str, program: str, rollouts: int) -> tuple[float, float]:
    """Return the part of a training's CPU time that goes into scoring, and its microseconds per environment step."""
    learner = PPOLearner(TrainJob(EnvSpec(env), program, "length", seed=0, env_steps=1), NullTrainingCallback())
    score = learner.reward_source.score
    spent = 0.0

    def timed(rollout):  # type: ignore[no-untyped-def]
        nonlocal spent
        began = time.process_time()
        scored = score(rollout)
        spent += time.process_time() - began
        return scored

    learner.run_iteration()
    learner.reward_source.score = timed  # type: ignore[method-assign]
    done, began, inside = learner.num_timesteps, time.process_time(), read_running_s()
    for _ in range(rollouts):
        learner.run_iteration()
    trusted, inside = time.process_time() - began, read_running_s() - inside
    steps = learner.num_timesteps - done
    learner.close()
    return (spent + inside) / (trusted + inside), (spent + inside) / steps * 1e6


def read_running_s() -> float:
    """Return the time that the descendants of this process have run on a core, in s."""
    total = 0
    for pid in list_descendants(os.getpid()):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
            total += int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])
    return total / 1e9


def list_descendants(pid: int) -> Iterator[int]:
    """Return all descendants of a process."""
    for child in list_children(pid):
        yield child
        yield from list_descendants(child)


def list_children(pid: int) -> list[int]:
    """Return the child processes of a process, started by any of its threads."""
    return [int(child) for task in Path(f"/proc/{pid}/task").glob("*/children") for child in task.read_text().split()]


def read_command(pid: int) -> str:
    """Return a process's command line."""
    return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")


def read_private_mib(pid: int) -> float:
    """Return the memory that a process shares with no other, in MiB; 0 if it has just ended."""
    rollup = Path(f"/proc/{pid}/smaps_rollup")
    try:
        return read_mib(rollup, "Private_Clean") + read_mib(rollup, "Private_Dirty")
    except (FileNotFoundError, ProcessLookupError):
        return 0.0


def read_mib(path: Path, name: str) -> float:
    """Return a size of a file of /proc, in MiB."""
    (line,) = (line for line in path.read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    main()
