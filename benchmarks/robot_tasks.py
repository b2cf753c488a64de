"""Anchors of the robots' task cards: random actions, and policies of the programs in `tests/rewards`.

    nice python benchmarks/robot_tasks.py [TASK ...] [--seeds 3]    measures what benchmarks/data/robot_tasks.json lacks
    python benchmarks/robot_tasks.py --print                          the anchors as lines for the cards

Each training is written down when it ends, so that an interrupted run goes on where it was.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from rewardsmith.contract.records import EvaluateJob, TrainJob, TrainSettings, load
from rewardsmith.contract.robots import is_robot
from rewardsmith.spec.task_cards import Task, load_cards
from rewardsmith.worker import evaluate
from rewardsmith.worker.training import train

DATA = Path(__file__).parent / "data" / "robot_tasks.json"
REWARDS = Path(__file__).parents[1] / "tests" / "rewards"
RANDOM_EPISODES = 50
EPISODES = 20
FIRST_EPISODE = 10_000


def main() -> None:
    """Measure what is missing, or print the anchors."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tasks", nargs="*")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--print", action="store_true", dest="prints")
    options = parser.parse_args()
    tasks = [task for task in load_cards() if is_robot(task.env)]
    chosen = [task for task in tasks if not options.tasks or task.name in options.tasks]
    measured: dict[str, Any] = json.loads(DATA.read_text()) if DATA.exists() else {}
    if options.prints:
        print_anchors(tasks, measured)
        return
    for task in chosen:
        measure_random(task, measured)
    for seed in range(options.seeds):
        for task in chosen:
            measure_reference(task, seed, measured)


def measure_random(task: Task, measured: dict[str, Any]) -> None:
    """Measure random actions, where they are missing."""
    entry = measured.setdefault(task.name, {"random": None, "reference": {}})
    if entry["random"] is None:
        entry["random"] = run_episodes(task, None, RANDOM_EPISODES)
        save(measured)


def measure_reference(task: Task, seed: int, measured: dict[str, Any]) -> None:
    """Train and measure a policy of the task's program, where it is missing."""
    entry = measured[task.name]
    if str(seed) in entry["reference"]:
        return
    program = (REWARDS / f"{task.name}_good.py").read_text(encoding="utf-8")
    settings = load(TrainSettings, task.settings.get("training", {}))
    steps = int(str(task.settings["search"]["env_steps"]))
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        training = train.run(TrainJob(task.env, program, task.fitness, seed, steps, settings), Path(folder))
        assert training.status == "ok", training.cause
        values = run_episodes(task, folder, EPISODES)
    entry["reference"][str(seed)] = {
        "fitness": float(np.mean(values)),
        "env_steps": steps,
        "wall_s": round(time.perf_counter() - start),
        "curve": [[point.env_steps, point.fitness] for point in training.curve],
    }
    save(measured)
    print(task.name, seed, entry["reference"][str(seed)], flush=True)


def run_episodes(task: Task, policy: str | None, count: int) -> list[float]:
    """Return the fitness of episodes."""
    seeds = tuple(range(FIRST_EPISODE, FIRST_EPISODE + count))
    with tempfile.TemporaryDirectory() as folder:
        result = evaluate.run(EvaluateJob(task.env, policy, task.fitness, seeds), Path(folder))
    assert result.status == "ok", result.cause
    return [episode.fitness for episode in result.episodes]


def save(measured: dict[str, Any]) -> None:
    """Write everything that was measured so far."""
    part = DATA.with_suffix(".part")
    part.write_text(json.dumps(measured, indent=1) + "\n")
    part.replace(DATA)


def print_anchors(tasks: list[Task], measured: dict[str, Any]) -> None:
    """Print the anchors of each task as TOML."""
    simulation = describe_versions("gymnasium", "mujoco")
    trained = describe_versions("gymnasium", "mujoco", "torch", "rewardsmith")
    for task in tasks:
        entry = measured.get(task.name)
        if entry is None or entry["random"] is None:
            continue
        print(f"\n# {task.name}")
        print_anchor("random", entry["random"], simulation)
        runs = list(entry["reference"].values())
        if runs:
            print_anchor("reference", [run["fitness"] for run in runs], trained, runs[0]["env_steps"])


def print_anchor(policy: str, values: list[float], versions: str, env_steps: int = 0) -> None:
    """Print one anchor."""
    print(f'\n[[anchors]]\npolicy = "{policy}"\nfitness = {np.mean(values):.4g}')
    if len(values) > 1:
        print(f"std = {np.std(values, ddof=1):.4g}")
    if env_steps:
        print(f"env_steps = {env_steps:_}")
    print(f'seeds = {len(values)}\nversions = "{versions}"')


def describe_versions(*packages: str) -> str:
    """Return the versions of packages in a line."""
    return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)


if __name__ == "__main__":
    main()
