"""The gain of training the best programs of a search again before one of them is chosen.

    python benchmarks/choosing.py RUNS... [--best 3] [--jobs 2]

RUNS are finished searches, such as those of `benchmarks/presets.py`; they are copied, not changed. The best three
programs of each are trained with two further seeds, and with the report's three seeds, which no choice sees. The table
shows the fitness of the chosen program on the report's seeds, for several ways to choose. Trainings are kept in the
copies, so a second call continues.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev

from rewardsmith.api.searches import open_journal
from rewardsmith.executors import open_executor
from rewardsmith.search.callbacks import NullCallback
from rewardsmith.search.concurrency import results_or_raise, run_in_threads
from rewardsmith.search.probe import probe_environment
from rewardsmith.search.steps import evaluator, evolution, trainer
from rewardsmith.search.storage import Run
from rewardsmith.search.trial import TrialRunner

FURTHER = 500
"""First training seed of the trainings between search and report."""


@dataclass(frozen=True)
class Finalist:
    """One of the best programs of a search."""

    search: float
    """Fitness by which the search ranked it."""
    further: tuple[float, ...]
    report: float
    """Mean over the seeds of the report."""


WAYS: dict[str, Callable[[Finalist], float]] = {
    "the search's seed": lambda finalist: finalist.search,
    "and one more": lambda finalist: mean((finalist.search, finalist.further[0])),
    "and two more": lambda finalist: mean((finalist.search, *finalist.further)),
    "two more alone": lambda finalist: mean(finalist.further),
    "(the best afterwards)": lambda finalist: finalist.report,
}


def main() -> None:
    """Train what is missing, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--best", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    finalists_by_task: defaultdict[str, list[list[Finalist]]] = defaultdict(list)
    for path in arguments.runs:
        task, finalists = measure_finalists(path, arguments.best, arguments.jobs)
        finalists_by_task[task].append(finalists)
        print(f"{path}: {len(finalists)} programs", flush=True)
    print_table(finalists_by_task)


def measure_finalists(path: Path, best: int, jobs: int) -> tuple[str, list[Finalist]]:
    """Train the best programs of a search further; return the search's task and these programs."""
    copy = Path(tempfile.gettempdir()) / "choosing" / path.resolve().relative_to("/")
    if not copy.exists():
        shutil.copytree(path, copy)
    run = Run.open(copy, {"jobs": jobs})
    config, top = run.config, evolution.rank_candidates(run.read_candidates())[:best]
    selection = evaluator.episode_seeds(config, evaluator.SELECTION, config.evaluation.episodes)
    report = evaluator.episode_seeds(config, evaluator.REPORT, config.evaluation.final_episodes)
    with open_journal(run) as journal, open_executor(config, NullCallback().on_notice) as executor:
        trials = TrialRunner(run, journal, executor, NullCallback(), probe_environment(run, journal, executor))

        def train_seeds(
            owner: str, source: str, first: int, count: int, episodes: tuple[int, ...]
        ) -> tuple[float, ...]:
            outcomes = trials.run_trials(owner, source, trainer.training_seeds(config, first, count), episodes)
            return tuple(trial.fitness for trial in outcomes if trial.fitness is not None)

        def train_finalist(place: int) -> Finalist:
            id, source = top[place].id, top[place].proposal.source
            further = train_seeds(f"final/further-{id}", source, FURTHER, 2, selection)
            reported = train_seeds(f"final/{id}", source, trainer.FINAL_SEEDS, config.search.final_seeds, report)
            return Finalist(top[place].fitness or 0.0, further, mean(reported))

        return run.task.name, results_or_raise(run_in_threads(train_finalist, range(len(top))))


def print_table(finalists_by_task: dict[str, list[list[Finalist]]]) -> None:
    """Print the worth of each way of choosing, a row per task, and the gain of two more seeds alone."""
    print("| task | searches | " + " | ".join(WAYS) + " | any of them |")
    print("|---" * (len(WAYS) + 3) + "|")
    gains = []
    for task, searches in finalists_by_task.items():
        worth = [mean(max(finalists, key=way).report for finalists in searches) for way in WAYS.values()]
        anyone = mean(mean(finalist.report for finalist in finalists) for finalists in searches)
        print(f"| {task} | {len(searches)} | " + " | ".join(f"{value:.3g}" for value in (*worth, anyone)) + " |")
        for finalists in searches:
            before, after = (max(finalists, key=WAYS[way]).report for way in ("the search's seed", "two more alone"))
            gains.append((after - before) / abs(mean(finalist.report for finalist in finalists)))
    if len(gains) > 1:
        print(f"two more alone: {mean(gains):+.1%} ± {stdev(gains) / len(gains) ** 0.5:.1%} (standard error)")


if __name__ == "__main__":
    main()
