"""What it is worth to train the best programs of a search again before one of them is named the best.

    python benchmarks/choosing.py RUNS... [--best 3] [--jobs 2]

RUNS are finished searches, such as `benchmarks/presets.py` leaves; they are copied, not changed. The best three
programs of each are trained with two further seeds, and with the report's three seeds, which no choice sees. The
table says what the chosen program is worth on those, for several ways to choose. What is trained is kept in the
copies: a second call goes on.
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

from rewardsmith.api.searches import journal_of
from rewardsmith.executors import workplace
from rewardsmith.search.callbacks import Silent
from rewardsmith.search.concurrency import raised, together
from rewardsmith.search.probe import look
from rewardsmith.search.steps import evaluator, evolution, trainer
from rewardsmith.search.storage import Run
from rewardsmith.search.trial import Trials

FURTHER = 500
"""Where the seeds begin of the trainings between search and report."""


@dataclass(frozen=True)
class Finalist:
    """One of the best programs of a search."""

    search: float
    """Fitness by which the search ranked it."""
    further: tuple[float, ...]
    report: float
    """Mean over the seeds of the report."""


WAYS: dict[str, Callable[[Finalist], float]] = {
    "the search's seed": lambda one: one.search,
    "and one more": lambda one: mean((one.search, one.further[0])),
    "and two more": lambda one: mean((one.search, *one.further)),
    "two more alone": lambda one: mean(one.further),
    "(the best afterwards)": lambda one: one.report,
}


def main() -> None:
    """Train what is missing, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--best", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    found: defaultdict[str, list[list[Finalist]]] = defaultdict(list)
    for path in arguments.runs:
        task, finalists = measured(path, arguments.best, arguments.jobs)
        found[task].append(finalists)
        print(f"{path}: {len(finalists)} programs", flush=True)
    table(found)


def measured(path: Path, best: int, jobs: int) -> tuple[str, list[Finalist]]:
    """Return a search's task, and its best programs."""
    copy = Path(tempfile.gettempdir()) / "choosing" / path.resolve().relative_to("/")
    if not copy.exists():
        shutil.copytree(path, copy)
    run = Run.open(copy, {"jobs": jobs})
    config, top = run.config, evolution.ranked(run.candidates())[:best]
    selection = evaluator.seeds(config, evaluator.SELECTION, config.evaluation.episodes)
    report = evaluator.seeds(config, evaluator.REPORT, config.evaluation.final_episodes)
    with journal_of(run) as journal, workplace(config, Silent().notice) as executor:
        trials = Trials(run, journal, executor, Silent(), look(run, journal, executor))

        def fitness(owner: str, source: str, first: int, count: int, episodes: tuple[int, ...]) -> tuple[float, ...]:
            outcomes = trials.of(owner, source, trainer.seeds(config, first, count), episodes)
            return tuple(trial.fitness for trial in outcomes if trial.fitness is not None)

        def finalist(place: int) -> Finalist:
            id, source = top[place].id, top[place].proposal.source
            further = fitness(f"final/further-{id}", source, FURTHER, 2, selection)
            anew = fitness(f"final/{id}", source, trainer.FINAL_SEEDS, config.search.final_seeds, report)
            return Finalist(top[place].fitness or 0.0, further, mean(anew))

        return run.task.name, raised(together(finalist, range(len(top))))


def table(found: dict[str, list[list[Finalist]]]) -> None:
    """Print what each way of choosing is worth, a row per task, and the gain of two more seeds alone."""
    print("| task | searches | " + " | ".join(WAYS) + " | any of them |")
    print("|---" * (len(WAYS) + 3) + "|")
    gains = []
    for task, searches in found.items():
        worth = [mean(max(one, key=way).report for one in searches) for way in WAYS.values()]
        anyone = mean(mean(one.report for one in finalists) for finalists in searches)
        print(f"| {task} | {len(searches)} | " + " | ".join(f"{value:.3g}" for value in (*worth, anyone)) + " |")
        for finalists in searches:
            before, after = (max(finalists, key=WAYS[way]).report for way in ("the search's seed", "two more alone"))
            gains.append((after - before) / abs(mean(one.report for one in finalists)))
    if len(gains) > 1:
        print(f"two more alone: {mean(gains):+.1%} ± {stdev(gains) / len(gains) ** 0.5:.1%} (standard error)")


if __name__ == "__main__":
    main()
