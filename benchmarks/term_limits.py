"""Limits of terms: `training.constraints` against fixed weights, for the same program, steps and seeds.

    python benchmarks/term_limits.py measure [--env-steps 100000] [--seeds 3]    # goes on where it stopped
    python benchmarks/term_limits.py table                                       # trains nothing

HalfCheetah-v5 pays speed and charges effort (the mean square of the action). `measure` trains the program with several
weights of the effort, and with the limit "effort <= 0.2" that begins at a weight of 0.1 (too light) and of 10 (so heavy
that it holds the speed down). It appends a line for each training to `benchmarks/data/term_limits.jsonl`: the mean
speed and effort of the last checkpoint's training steps, and of ten fresh episodes of the policy.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from statistics import fmean
from typing import Any

os.environ.update({"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"})

import numpy as np
from row_files import append_row, read_rows

from rewardsmith.contract.records import EvaluateJob, TrainJob, TrainSettings
from rewardsmith.sandbox.recorded import EpisodeFile
from rewardsmith.spec.task_cards import load_task
from rewardsmith.worker import evaluate
from rewardsmith.worker.training import train

TABLE = Path(__file__).parent / "data" / "term_limits.jsonl"
LIMIT = "effort <= 0.2"
PROGRAM = """
WEIGHTS = {{"speed": 1.0, "effort": -{weight}}}

def reward(action, after):
    return {{"speed": after.x_velocity, "effort": np.mean(action**2, axis=1)}}
"""
ARMS: dict[str, tuple[float, tuple[str, ...]]] = {
    "weight 0.1": (0.1, ()),
    "weight 1": (1.0, ()),
    "weight 10": (10.0, ()),
    "limit, from 0.1": (0.1, (LIMIT,)),
    "limit, from 10": (10.0, (LIMIT,)),
}
FIRST_EPISODE, EPISODES = 1_600_000_000, 10
Row = dict[str, Any]


def measure_arm(arm: str, seed: int, env_steps: int) -> Row:
    """Train one arm on one seed and run its policy on fresh episodes."""
    weight, constraints = ARMS[arm]
    task = load_task(None, "half_cheetah")
    settings = TrainSettings(constraints=constraints)
    job = TrainJob(task.env, PROGRAM.format(weight=weight), task.fitness, seed, env_steps, settings)
    with tempfile.TemporaryDirectory() as folder:
        training = train.run(job, Path(folder))
        last = training.curve[-1]
        seeds = tuple(range(FIRST_EPISODE, FIRST_EPISODE + EPISODES))
        evaluation = evaluate.run(EvaluateJob(task.env, folder, task.fitness, seeds), Path(folder))
        tables = EpisodeFile.in_folder(Path(folder)).read_columns(range(EPISODES), ())
    efforts = [float(np.mean(table.actions**2)) for table in tables if table.actions is not None]
    return {
        "arm": arm,
        "seed": seed,
        "env_steps": env_steps,
        "train_speed": last.terms["speed"],
        "train_effort": last.terms["effort"],
        "multiplier": last.multipliers.get(LIMIT),
        "speed": evaluation.fitness,
        "effort": fmean(efforts),
    }


def measure(env_steps: int, seeds: int) -> None:
    """Measure what the table lacks, seed by seed."""
    done = {(row["arm"], row["seed"], row["env_steps"]) for row in read_rows(TABLE)}
    for seed in range(seeds):
        for arm in ARMS:
            if (arm, seed, env_steps) in done:
                continue
            row = measure_arm(arm, seed, env_steps)
            append_row(TABLE, row)
            print(row, flush=True)


def print_table() -> None:
    """Print the mean and the range over seeds of each arm."""
    rows = read_rows(TABLE)
    print("| arm | seeds | effort in training | speed in training | effort of the policy | speed of the policy |")
    print("|---|---|---|---|---|---|")
    for arm in ARMS:
        own = [row for row in rows if row["arm"] == arm]
        if not own:
            continue
        cells = []
        for key in ("train_effort", "train_speed", "effort", "speed"):
            values = [row[key] for row in own]
            cells.append(f"{fmean(values):.3g} ({min(values):.3g} to {max(values):.3g})")
        print(f"| {arm} | {len(own)} | {' | '.join(cells)} |")


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("measure", "table"))
    parser.add_argument("--env-steps", type=int, default=100_000)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    if arguments.command == "measure":
        measure(arguments.env_steps, arguments.seeds)
    print_table()


if __name__ == "__main__":
    main()
