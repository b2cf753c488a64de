"""What a job costs beside its training: the start in a warm worker, memory at its peak, and scoring step by step.

    python benchmarks/workers.py [ENV ...] [--jobs 20] [--rollouts 12]

Start: from handing over a training to the first point of its curve: the fork, the environment, the model, one step of 8
environments, its update and the report; with a program the start of its reward process too, which a longer rollout
hides. Wall time, of which the least of many comes near that of a quiet machine; and CPU time of the processes below.
Memory: the training process at its peak (resident, what it shares with the worker included), and what it and its
reward process have to themselves.
Scoring: CPU time of asking, answering and checking, in both processes, as a part of the training's, for a program with
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
from throughput import machine

from rewardsmith.contract.records import CurvePoint, EnvSpec, TrainJob, TrainSettings
from rewardsmith.executors.local import LocalExecutor
from rewardsmith.worker.bench import PROGRAM
from rewardsmith.worker.training.learner import Learner, Unattended

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
    print(machine())
    for env in arguments.envs:
        print(env)
        with tempfile.TemporaryDirectory() as folder:
            report_worker(env, arguments.jobs, Path(folder))
        for name, program in (("with memory", REMEMBERING), ("without memory", PROGRAM)):
            share, us = scoring(env, program, arguments.rollouts)
            print(f"  scoring, {name:16} {share:6.1%} of the CPU time, {us:.1f} us per environment step", flush=True)


def report_worker(env: str, jobs: int, folder: Path) -> None:
    """Measure and print starts and memory."""
    executor = LocalExecutor(1)
    try:
        for name, program in (("own reward", None), ("with a program", PROGRAM)):
            job = TrainJob(EnvSpec(env), program, "length", seed=0, env_steps=8, settings=ONE_STEP)
            starts = [started(executor, job, folder / f"{name}-{i}") for i in range(jobs + 1)][1:]
            walls, cpus = zip(*starts, strict=True)
            wall = f"{min(walls):6.3f} s least, {statistics.median(walls):.3f} s median of {jobs}"
            print(f"  start, {name:17} {wall}; CPU {statistics.median(cpus):.3f} s", flush=True)
        peak, added = memory(executor, env, folder / "memory")
    finally:
        executor.close()
    print(f"  memory {'':17} {peak:6.0f} MiB at the peak; with its reward process {added:.0f} MiB of its own")


def started(executor: LocalExecutor, job: TrainJob, out: Path) -> tuple[float, float]:
    """Return the wall and the CPU time from a job to the first point of its curve, in s."""
    seen: list[tuple[float, float]] = []
    cpu, wall = running_s(), time.perf_counter()
    executor.run(job, out, lambda point: seen.append((time.perf_counter() - wall, running_s() - cpu)))
    return seen[0]


def memory(executor: LocalExecutor, env: str, out: Path) -> tuple[float, float]:
    """Return what a training with the default settings takes: its peak, and what is its alone, in MiB."""
    figures: list[tuple[float, float]] = []

    def look(point: CurvePoint) -> None:
        (worker,) = (pid for pid in children(os.getpid()) if "rewardsmith.worker" in command(pid))
        (training,) = children(worker)
        family = [training, *descendants(training)]
        peak = field(Path(f"/proc/{training}/status"), "VmHWM")
        figures.append((peak, sum(map(private, family))))

    executor.run(TrainJob(EnvSpec(env), PROGRAM, "length", seed=0, env_steps=20_480), out, look)
    return max(peak for peak, _ in figures), max(added for _, added in figures)


def scoring(env: str, program: str, rollouts: int) -> tuple[float, float]:
    """Return the part of a training's CPU time that goes into scoring, and its microseconds per environment step."""
    learner = Learner(TrainJob(EnvSpec(env), program, "length", seed=0, env_steps=1), Unattended())
    score = learner.scorer.score
    spent = 0.0

    def timed(rollout):  # type: ignore[no-untyped-def]
        nonlocal spent
        began = time.process_time()
        scored = score(rollout)
        spent += time.process_time() - began
        return scored

    learner.advance()
    learner.scorer.score = timed  # type: ignore[method-assign]
    done, began, inside = learner.done, time.process_time(), running_s()
    for _ in range(rollouts):
        learner.advance()
    trusted, inside = time.process_time() - began, running_s() - inside
    steps = learner.done - done
    learner.close()
    return (spent + inside) / (trusted + inside), (spent + inside) / steps * 1e6


def running_s() -> float:
    """Return how long the processes below this one have run on a core, in s."""
    total = 0
    for pid in descendants(os.getpid()):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
            total += int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])
    return total / 1e9


def descendants(pid: int) -> Iterator[int]:
    """Return all processes below one."""
    for child in children(pid):
        yield child
        yield from descendants(child)


def children(pid: int) -> list[int]:
    """Return the processes that one has started, by any of its threads."""
    return [int(child) for task in Path(f"/proc/{pid}/task").glob("*/children") for child in task.read_text().split()]


def command(pid: int) -> str:
    """Return a process's command line."""
    return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")


def private(pid: int) -> float:
    """Return the memory that a process shares with no other, in MiB; 0 where it has just ended."""
    rollup = Path(f"/proc/{pid}/smaps_rollup")
    try:
        return field(rollup, "Private_Clean") + field(rollup, "Private_Dirty")
    except (FileNotFoundError, ProcessLookupError):
        return 0.0


def field(path: Path, name: str) -> float:
    """Return a size of a file of /proc, in MiB."""
    (line,) = (line for line in path.read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    main()
