"""Learned weights: `training.blend = "barfi"` against fixed weights, with a good and with a misleading helper term.

    python benchmarks/learned_blend.py measure [--seeds 10]    # goes on where it stopped
    python benchmarks/learned_blend.py table                   # trains nothing

CartPole-v1 pays 1 a step; the good helper is an upright and centred pole, the misleading one speed to the right, which
ends episodes. FrozenLake-v1 (4 x 4, not slippery) pays 1 at the goal alone; the good helper is each step nearer, the
misleading one pays for standing beside the way. "fixed" is the sum of the environment reward and the helper, under the
program's weights, as a term of the program. `measure` appends a line for each training to
`benchmarks/data/learned_blend.jsonl`: the fitness of 20 fresh episodes of the policy, acting as it explores, and of the
training's episodes, mean over its checkpoints.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

os.environ.update({"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"})

from row_files import append_row, read_rows

from rewardsmith.contract.records import EnvSpec, EvaluateJob, Signal, TrainJob, TrainSettings
from rewardsmith.worker import evaluate
from rewardsmith.worker.training import train

TABLE = Path(__file__).parent / "data" / "learned_blend.jsonl"
CELLS = Signal("cell", (16,), "1", "1 for the cell of the lake on which the walker stands", "obs[0:16]")
OWN = Signal("own", (), "1", "the environment's own reward", "environment_reward")
STATE = tuple(
    Signal(name, (), unit, name, f"state[{index}]")
    for index, (name, unit) in enumerate((("position", "m"), ("velocity", "m/s"), ("angle", "rad")))
)
TASKS: dict[str, tuple[EnvSpec, str, int, dict[str, str]]] = {
    "cartpole": (
        EnvSpec("CartPole-v1", signals=(*STATE, OWN)),
        "length",
        40_960,
        {
            "own": "np.ones(len(after.angle))",
            "good": "1.0 - np.abs(after.angle) / 0.21 - np.abs(after.position) / 2.4",
            "bad": "3.0 * after.velocity",
        },
    ),
    "lake": (
        EnvSpec("FrozenLake-v1", {"is_slippery": False}, (CELLS, OWN)),
        "sum(own)",
        40_960,
        {
            "own": "after.cell[:, 15]",
            "good": "0.1 * (after.cell - before.cell) @ (np.arange(16) // 4 + np.arange(16) % 4)",
            "bad": "0.1 * after.cell[:, 8]",
        },
    ),
}
ARMS: dict[str, tuple[tuple[str, ...], str]] = {
    "environment reward": (("own",), "fixed"),
    "good, fixed": (("own", "good"), "fixed"),
    "good, learned": (("good",), "barfi"),
    "misleading, fixed": (("own", "bad"), "fixed"),
    "misleading, learned": (("bad",), "barfi"),
    "both, fixed": (("own", "good", "bad"), "fixed"),
    "both, learned": (("good", "bad"), "barfi"),
}
SETTINGS = {"n_envs": 8, "n_steps": 128, "n_epochs": 4, "batch_size": 256, "learning_rate": 3e-3, "net_arch": (32, 32)}
QUANTILES = {3: 4.303, 4: 3.182, 5: 2.776, 6: 2.571, 7: 2.447, 8: 2.365, 9: 2.306, 10: 2.262}
"""Of Student's t, 97.5 %, by the number of seeds."""
FIRST_EPISODE, EPISODES = 1_600_000_000, 20
Row = dict[str, Any]


def measure_arm(task: str, arm: str, seed: int) -> Row:
    """Train one arm on one seed and run its policy on fresh episodes."""
    env, fitness, env_steps, helpers = TASKS[task]
    terms, blend = ARMS[arm]
    returned = ", ".join(f'"{term}": {helpers[term]}' for term in terms)
    program = f"def reward(action, before, after):\n    return {{{returned}}}\n"
    settings = TrainSettings(blend=blend, **SETTINGS)  # type: ignore[arg-type]
    with tempfile.TemporaryDirectory() as folder:
        training = train.run(TrainJob(env, program, fitness, seed, env_steps, settings), Path(folder))
        seeds = tuple(range(FIRST_EPISODE, FIRST_EPISODE + EPISODES))
        evaluation = evaluate.run(EvaluateJob(env, folder, fitness, seeds, deterministic=False), Path(folder))
    return {
        "task": task,
        "arm": arm,
        "seed": seed,
        "fitness": evaluation.fitness,
        "training_fitness": fmean(point.fitness or 0.0 for point in training.curve),
        "weights": training.curve[-1].weights,
        "cause": training.cause,
        "cpu_s": training.cpu_s,
    }


def measure(seeds: int, tasks: list[str]) -> None:
    """Measure what the table lacks, seed by seed."""
    done = {(row["task"], row["arm"], row["seed"]) for row in read_rows(TABLE)}
    for seed in range(seeds):
        for task in tasks:
            for arm in ARMS:
                if (task, arm, seed) not in done:
                    row = measure_arm(task, arm, seed)
                    append_row(TABLE, row)
                    print(row, flush=True)


def print_table() -> None:
    """Print each arm's mean over seeds with its 95 % interval, and the learned weights."""
    rows = read_rows(TABLE)
    print("| task | arm | seeds | fitness | while training | learned weights, seed by seed |")
    print("|---|---|---|---|---|---|")
    for task in TASKS:
        for arm in ARMS:
            own = [row for row in rows if (row["task"], row["arm"]) == (task, arm)]
            if len(own) < 3:
                continue
            cells = [task, arm, str(len(own))]
            for key in ("fitness", "training_fitness"):
                values = [row[key] for row in own]
                half = QUANTILES[len(own)] * stdev(values) / len(own) ** 0.5
                cells.append(f"{fmean(values):.3g} [{fmean(values) - half:.3g}, {fmean(values) + half:.3g}]")
            names = list(own[0]["weights"])
            weights = {name: ", ".join(f"{row['weights'][name]:.2g}" for row in own) for name in names}
            cells.append("; ".join(f"{name} {values}" for name, values in weights.items()))
            print(f"| {' | '.join(cells)} |")


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("measure", "table"))
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--task", choices=tuple(TASKS), action="append")
    arguments = parser.parse_args()
    if arguments.command == "measure":
        measure(arguments.seeds, arguments.task or list(TASKS))
    print_table()


if __name__ == "__main__":
    main()
