"""The environment of every task: number of signals, steps per CPU second bare and with ten signals, anchors.

    python benchmarks/environments.py [TASK ...] [--family NAME] [--rounds 3] [--steps 2048]

"Bare" is one environment of `gymnasium.make`, stepped in a loop under random actions and reset at the end of an
episode. It is compared with eight environments of `make_envs` that gather ten signals, the card's first. Both run in
one process on one thread and take turns; each number is the median over the rounds. Cards of families that are not
installed are left out. The table is Markdown.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable, Iterator

os.environ.update({"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"})

import numpy as np

from rewardsmith.contract.env_families import is_family_installed
from rewardsmith.contract.package_data import find_data_folder
from rewardsmith.spec.task_cards import Task, load_cards
from rewardsmith.worker.envs.catalogue import survey_environment
from rewardsmith.worker.envs.make import make_envs
from rewardsmith.worker.envs.open_env import open_env

ENVS, SIGNALS = 8, 10
HEAD = (
    *("task", "environment", "card's signals", "catalogue", "bare steps/s", "8 with ten signals", "ratio"),
    *("random", "environment reward"),
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
    for task in list_tasks(arguments.tasks, arguments.family):
        print("| " + " | ".join(measure_task(task, arguments.rounds, arguments.steps)) + " |", flush=True)


def list_tasks(names: list[str], families: list[str] | None) -> Iterator[Task]:
    """Yield the cards of these names and families that can be run here."""
    within = {path.stem for family in families or ["*"] for path in find_data_folder("envs").glob(f"{family}/*.toml")}
    for task in load_cards():
        if task.name in within and (not names or task.name in names) and is_family_installed(task.env.env_id):
            yield task


def measure_task(task: Task, rounds: int, steps: int) -> list[str]:
    """Measure one task's environment; return its line of the table."""
    signals = [signal.name for signal in survey_environment(task.env).signals]
    theirs, ours = make_bare_side(task), make_gathering_side(task, signals[:SIGNALS])
    for warm_up in (theirs, ours):
        warm_up(steps // 8)
    pairs = [(measure_speed(theirs, steps), measure_speed(ours, steps)) for _ in range(rounds)]
    ratio = statistics.median(b / a for a, b in pairs)
    before, after = (statistics.median(side) for side in zip(*pairs, strict=True))
    anchors = {anchor.policy: f"{anchor.fitness:.3g}" for anchor in task.anchors}
    counts = (str(len(task.env.signals)), str(len(signals)))
    figures = (f"{before:,.0f}", f"{after:,.0f}", f"{ratio:.1f}×")
    anchored = (anchors.get("random", "-"), anchors.get("environment-reward", "-"))
    return [task.name, task.env.env_id, *counts, *figures, *anchored]


def make_bare_side(task: Task) -> Callable[[int], None]:
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


def make_gathering_side(task: Task, signals: list[str]) -> Callable[[int], None]:
    """Return a function that steps eight environments at once, with signals gathered."""
    env = make_envs(task.env, ENVS, signals)
    env.reset(range(ENVS))
    rng = np.random.default_rng(0)

    def advance(steps: int) -> None:
        for _ in range(steps // ENVS):
            env.step(np.stack([env.actions.sample(rng) for _ in range(ENVS)]))

    return advance


def measure_speed(advance: Callable[[int], None], steps: int) -> float:
    """Return environment steps per CPU second."""
    begun = time.process_time()
    advance(steps)
    return steps / (time.process_time() - begun)


if __name__ == "__main__":
    main()
