"""The environment's own reward with rl-zoo3's settings for stable-baselines3's PPO: what a person would run.

    python benchmarks/zoo_baseline.py ppo.yml [--tasks half_cheetah hopper]

`ppo.yml` is the file hyperparams/ppo.yml of the package rl_zoo3. Trains stable-baselines3's PPO on the evidence's
locomotion tasks, at the evidence's steps and on the training seeds of its reports, and prints the fitness beside that
of the evidence's rows (evidence.md). A training that is done is in the cache and not repeated.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from evidence_tables import format_values, list_fitness, render_table
from row_files import append_row, read_rows

from rewardsmith.api import baselines, planning

HERE = Path(__file__).parent
DATA, EVIDENCE = HERE / "data" / "zoo_baseline.jsonl", HERE / "data" / "evidence.jsonl"
CACHE = HERE.parent / "runs" / "zoo-baseline"
TASKS = ("half_cheetah", "hopper", "swimmer", "walker2d", "ant")
FINAL_SEEDS, FINAL_EPISODES = 5, 20


def measure_task(task: str, file: Path, env_steps: int) -> list[float]:
    """Return the fitness of each training seed of stable-baselines3's PPO with rl-zoo3's settings."""
    plan = planning.plan_without_search(
        "zoo baseline",
        task,
        overrides={
            "search": {"env_steps": env_steps, "final_seeds": FINAL_SEEDS},
            "evaluation": {"final_episodes": FINAL_EPISODES},
            "training": {"trainer": "sb3"},
        },
        trainer_config=file,
    )
    _, environment_reward = baselines.measure_anchors(
        plan.task, plan.config, CACHE, lambda line: print(line, file=sys.stderr, flush=True)
    )
    return list(environment_reward.interval.values)


def print_measured() -> None:
    """Print the rows as a table, beside the evidence's."""
    evidence = {(row["task"], row["arm"]): row for row in read_rows(EVIDENCE)}
    lines = []
    for row in read_rows(DATA):
        found = evidence[row["task"], "smith"]
        own = format_values(found["environment_reward"])
        lines.append((row["task"], format_values(row["fitness"]), own, format_values(list_fitness(found))))
    header = ("task", "environment reward, rl-zoo3's settings", "environment reward, the card's settings", "smith")
    print(render_table("Fitness over five training seeds, with 95 % intervals", header, lines))


def main() -> None:
    """Measure the tasks that have no row, and print all rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="rl-zoo3's hyperparams/ppo.yml")
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=TASKS)
    arguments = parser.parse_args()
    done = {row["task"] for row in read_rows(DATA)}
    steps = {row["task"]: row["steps_a_training"] for row in read_rows(EVIDENCE)}
    for task in arguments.tasks:
        if task not in done:
            append_row(DATA, {"task": task, "fitness": measure_task(task, arguments.file, steps[task])})
    print_measured()


if __name__ == "__main__":
    main()
