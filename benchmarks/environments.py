"""Every task's environment: signals on offer, steps per CPU second bare and with ten signals gathered, anchors.

    python benchmarks/environments.py [TASK ...] [--family NAME] [--rounds 3] [--steps 2048]

Bare is one environment of `gymnasium.make`, stepped in a loop under random actions and reset where an episode ends;
beside it are eight environments of `make` that gather ten signals, the card's first. Both run in one process, on one
thread and take turns; a figure is the median over the rounds. Cards of families that are not installed are left out.
Printed as Markdown.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable, Iterator

os.environ.update({"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"})

import numpy as np

from rewardsmith.contract.env_families import installed
from rewardsmith.contract.package_data import folder
from rewardsmith.spec.task_cards import Task, cards
from rewardsmith.worker.envs.catalogue import catalogue
from rewardsmith.worker.envs.make import make
from rewardsmith.worker.envs.open_env import open_env

ENVS, SIGNALS = 8, 10
HEAD = (
    *("task", "environment", "card's signals", "catalogue", "bare steps/s", "8 with ten signals", "ratio"),
    *("random", "own reward"),
)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tasks", nargs="*")
    parser.add_argument("--family", action="append", help="folder of `envs`; may be repeated")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=2048, help="environment steps of a round for each side")
    arguments = parser.parse_args()
    print("| " + " | ".join(HEAD) + " |")
    print("|" + "---|" * 2 + "---:|" * (len(HEAD) - 2))
    for task in chosen(arguments.tasks, arguments.family):
        print("| " + " | ".join(row(task, arguments.rounds, arguments.steps)) + " |", flush=True)


def chosen(names: list[str], families: list[str] | None) -> Iterator[Task]:
    """Yield the cards of these names and families that can be run here."""
    within = {path.stem for family in families or ["*"] for path in folder("envs").glob(f"{family}/*.toml")}
    for task in cards():
        if task.name in within and (not names or task.name in names) and installed(task.env.env_id):
            yield task


def row(task: Task, rounds: int, steps: int) -> list[str]:
    """Measure one task's environment; return its line of the table."""
    signals = [signal.name for signal in catalogue(task.env)]
    theirs, ours = bare(task), gathering(task, signals[:SIGNALS])
    for warm_up in (theirs, ours):
        warm_up(steps // 8)
    pairs = [(timed(theirs, steps), timed(ours, steps)) for _ in range(rounds)]
    ratio = statistics.median(b / a for a, b in pairs)
    before, after = (statistics.median(side) for side in zip(*pairs, strict=True))
    anchors = {anchor.policy: f"{anchor.fitness:.3g}" for anchor in task.anchors}
    counts = (str(len(task.env.signals)), str(len(signals)))
    figures = (f"{before:,.0f}", f"{after:,.0f}", f"{ratio:.1f}×")
    return [task.name, task.env.env_id, *counts, *figures, anchors.get("random", "-"), anchors.get("own-reward", "-")]


def bare(task: Task) -> Callable[[int], None]:
    """Return a function that steps one environment as Gymnasium makes it."""
    env = open_env(task.env)
    env.reset(seed=0)
    env.action_space.seed(0)

    def advance(steps: int) -> None:
        for _ in range(steps):
            *_, terminated, truncated, _info = env.step(env.action_space.sample())
            if terminated or truncated:
                env.reset()

    return advance


def gathering(task: Task, signals: list[str]) -> Callable[[int], None]:
    """Return a function that steps eight environments at once, with signals gathered."""
    env = make(task.env, ENVS, signals)
    env.reset(range(ENVS))
    rng = np.random.default_rng(0)

    def advance(steps: int) -> None:
        for _ in range(steps // ENVS):
            env.step(np.stack([env.actions.sample(rng) for _ in range(ENVS)]))

    return advance


def timed(advance: Callable[[int], None], steps: int) -> float:
    """Return environment steps per CPU second."""
    begun = time.process_time()
    advance(steps)
    return steps / (time.process_time() - begun)


if __name__ == "__main__":
    main()
