"""Warm starts: what `search.warm_start = "parent"` gains, per task.

    python benchmarks/warm_start.py measure [--seeds 2] [--env-steps 60000]    # hours; goes on where it stopped
    python benchmarks/warm_start.py measure --tasks hopper_back_flip_land --env-steps 100000
    python benchmarks/warm_start.py table                                      # seconds; trains nothing

`measure` appends a line for each unit to `benchmarks/data/warm_start.jsonl`. A unit is a parent, its child and a
seed; where the ledgers of `benchmarks/ledgers` have the task, the programs are a designer's answer of the second
generation and the parent that it was shown, else a program of `tests/rewards` is its own child. For a task whose card
has a stage, the parent is a program for the stage, and `warm` is the curriculum. A unit trains

    parent        the parent's program from nothing, N steps
    warm          the child's program from the parent's policy, N steps
    nothing       the child's program from nothing, 2 N steps; looked at after N too

and evaluates the policy of each training on 10 fresh episodes. `warm` is compared with `nothing` at equal steps of the
child (N), which is what a search pays, and at equal steps of the whole lineage (2 N). Intervals are bootstrapped over
units. The rows of 28 November have a further figure, `best`: the policy of the checkpoint with the best return, for a
setting that has been removed since (RESULTS.md, learning that is kept).
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

os.environ.update({"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"})

import numpy as np
from row_files import append_row, drop_torn_line, read_rows
from selection import read_programs

HERE = Path(__file__).parent
TABLE = HERE / "data" / "warm_start.jsonl"
LEDGER_TASKS = ("hopper", "half_cheetah", "hopper_back_flip")
REWARD_TASKS = ("walker2d", "swimmer", "reacher", "inverted_double_pendulum")
CURRICULA = {"hopper_back_flip_land": "hopper_back_flip"}
"""Task with a stage before it, to the task whose program is for the stage."""
PRESET = "smith"
FIRST_SEED, FIRST_EPISODE, EPISODES = 300, 1_500_000_000, 10
BOOTSTRAP = 10_000

Row = dict[str, Any]
Pairs = list[tuple[float, float]]
"""Fitness with the new setting and without, of trainings that differ in nothing else."""


@dataclass(frozen=True)
class Unit:
    """A parent, its child and a seed."""

    task: str
    pair: str
    """Places of both programs among the designer's answers, "1>5"; "good" for a program of `tests/rewards`."""
    seed: int


# ---------------------------------------------------------------- programs


def list_units(tasks: Sequence[str], seeds: int) -> Iterator[tuple[Unit, str, str]]:
    """Yield the units with the texts of parent and child, seed by seed, so that an unfinished table can be used too."""
    pairs = {task: find_ledger_pairs(task) for task in LEDGER_TASKS if task in tasks}
    for seed in range(seeds):
        for task in tasks:
            if task in pairs:
                parent, child, sources = pairs[task][seed % len(pairs[task])]
                yield Unit(task, f"{parent}>{child}", seed), sources[parent], sources[child]
            else:
                pair = "stage" if task in CURRICULA else "good"
                yield Unit(task, pair, seed), read_reward(CURRICULA.get(task, task)), read_reward(task)


def read_reward(task: str) -> str:
    """Return the good program of a task among the tests' programs."""
    return (HERE.parent / "tests" / "rewards" / f"{task}_good.py").read_text(encoding="utf-8")


def find_ledger_pairs(task: str) -> list[tuple[int, int, dict[int, str]]]:
    """Return the places of parents and children in a task's ledger: a prompt shows the program that it refines."""
    sources = read_programs(task, PRESET)
    lines = (HERE / "ledgers" / task / f"{PRESET}.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [row for row in map(json.loads, lines) if row["role"] == "designer"]
    pairs = []
    for child in sources:
        prompt = json.dumps(rows[child]["request"]["messages"])
        shown = [place for place in sources if place < child and json.dumps(sources[place].strip())[1:-1] in prompt]
        if shown:
            pairs.append((shown[0], child, sources))
    return pairs


# ---------------------------------------------------------------- trainings


class UnitTrainer:
    """Trains and evaluates the units of one task."""

    def __init__(self, task: str, folder: Path) -> None:
        """Probe the task's environment."""
        from rewardsmith.api.planning import plan_search
        from rewardsmith.contract.records import ProbeJob
        from rewardsmith.worker import probe

        self.plan, self.folder = plan_search(None, task, overrides={"search": {"designer": "symbolic"}}), folder
        folder.mkdir(parents=True, exist_ok=True)
        found = probe.run(ProbeJob(self.plan.task.env, 0, 256), folder)
        spec = self.plan.task.env
        self.env = replace(spec, signals=found.signals, privileged_signals=found.privileged_signals)

    def train_unit(self, unit: Unit, parent: str, child: str, env_steps: int) -> Row:
        """Return the line of the table for one unit."""
        seed, folder = FIRST_SEED + unit.seed, self.folder / "parent"
        row: Row = {"task": unit.task, "pair": unit.pair, "seed": unit.seed, "env_steps": env_steps}
        began = time.process_time()
        (row["parent"],) = self.train_program(parent, seed, (env_steps,), save_to=folder)
        (row["warm"],) = self.train_program(child, seed + 1_000, (env_steps,), begin_with=folder)
        row["nothing"], row["nothing_twice"] = self.train_program(child, seed + 1_000, (env_steps, 2 * env_steps))
        return row | {"cpu_s": round(time.process_time() - began, 1)}

    def train_program(
        self, source: str, seed: int, marks: Sequence[int], save_to: Path | None = None, begin_with: Path | None = None
    ) -> list[Row]:
        """Train a program; return what the policy is worth at each mark, in environment steps."""
        from rewardsmith.contract.records import InitialPolicy, Rung, TrainJob
        from rewardsmith.contract.reward_program import parse_program
        from rewardsmith.worker.training import policy as policies
        from rewardsmith.worker.training.ppo_learner import PPOLearner
        from rewardsmith.worker.training.training_loop import NullTrainingCallback

        # As many checkpoints up to the first mark as a training has by default; the marks before the last are rungs.
        settings = self.plan.config.training
        settings = replace(settings, checkpoints=settings.checkpoints * marks[-1] // marks[0])
        initial = InitialPolicy(str(begin_with), "the parent") if begin_with else None
        text, fitness = parse_program(source).source, self.plan.task.fitness
        job = TrainJob(self.env, text, fitness, seed, marks[-1], settings, rungs=tuple(marks), initial_policy=initial)
        found: list[Row] = []

        def measure() -> None:
            found.append({"last": self.evaluate(learner.extract_policy()), "at": learner.num_timesteps})

        class Marks(NullTrainingCallback):
            """Measures at each mark before the last."""

            def should_continue(self, rung: Rung) -> bool:
                measure()
                return True

        learner = PPOLearner(job, Marks())
        try:
            status = learner.run()
            if status != "ok" or (begin_with and learner.inherited_from is None):
                raise RuntimeError(learner.stop_reason or learner.list_warnings())
            measure()
            if save_to:
                policies.save(learner.extract_policy(), save_to)
        finally:
            learner.close()
        return found

    def evaluate(self, policy: Any) -> float | None:
        """Return a policy's mean fitness on fresh episodes."""
        from rewardsmith.contract.records import EvaluateJob
        from rewardsmith.worker import evaluate
        from rewardsmith.worker.training import policy as policies

        folder = self.folder / "evaluated"
        policies.save(policy, folder)
        seeds = tuple(range(FIRST_EPISODE, FIRST_EPISODE + EPISODES))
        return evaluate.run(EvaluateJob(self.env, str(folder), self.plan.task.fitness, seeds), folder).fitness


def measure_units(table: Path, tasks: Sequence[str], seeds: int, env_steps: int) -> None:
    """Train what the table lacks."""
    table.parent.mkdir(parents=True, exist_ok=True)
    drop_torn_line(table)
    done = {Unit(row["task"], row["pair"], row["seed"]) for row in read_rows(table)}
    trainers: dict[str, UnitTrainer] = {}
    with tempfile.TemporaryDirectory() as folder:
        for unit, parent, child in list_units(tasks, seeds):
            if unit in done:
                continue
            if unit.task not in trainers:
                trainers[unit.task] = UnitTrainer(unit.task, Path(folder) / unit.task)
            try:
                row = trainers[unit.task].train_unit(unit, parent, child, env_steps)
            except Exception as error:  # noqa: BLE001 - a program that fails is a line of the table, not the end of it
                failed = f"{type(error).__name__}: {error}"
                row = {"task": unit.task, "pair": unit.pair, "seed": unit.seed, "failed": failed}
            append_row(table, row)
            print(json.dumps(row), flush=True)


# ---------------------------------------------------------------- the table


Difference = Callable[[Row], list[tuple[float | None, float | None]]]
"""What a line of the table says about a comparison: pairs of the fitness with the new setting and without."""

COMPARISONS: Mapping[str, Difference] = {
    "warm_start = parent against none, equal steps of the child": lambda row: [
        (row["warm"]["last"], row["nothing"]["last"])
    ],
    "warm_start = parent against none, equal steps of the lineage": lambda row: [
        (row["warm"]["last"], row["nothing_twice"]["last"])
    ],
}


def print_tables(rows: Sequence[Row]) -> None:
    """Print the tables of all comparisons."""
    measured = [row for row in rows if "failed" not in row]
    cpu_s = sum(row["cpu_s"] for row in measured)
    print(f"{len(measured)} units, {len(rows) - len(measured)} failed; {cpu_s:,.0f} s CPU")
    for title, compare in COMPARISONS.items():
        units: dict[str, list[Pairs]] = {}
        for row in measured:
            pairs = _known(compare(row))
            if pairs:
                units.setdefault(row["task"], []).append(pairs)
        print_table(title, units)


def print_table(title: str, units: Mapping[str, Sequence[Pairs]]) -> None:
    """Print both means and the mean difference with its interval, per task and over the tasks.

    Args:
        title: of the comparison.
        units: task to its units; each has a pair (new, old) for each of its trainings.
    """
    print(f"\n{title}\n")
    print("| task | units | new | old | difference [95 %] | higher, equal, lower |")
    print("|---|---|---|---|---|---|")
    relative: list[list[float]] = []
    for task, of_task in units.items():
        pairs = [pair for unit in of_task for pair in unit]
        differences = [fmean(new - old for new, old in unit) for unit in of_task]
        scale = fmean(abs(old) for _, old in pairs) or 1.0
        relative.append([difference / scale for difference in differences])
        interval = _format_interval([differences], "+.3g") if len(differences) > 1 else "one unit"
        signs = [sum(sign(new - old) for new, old in pairs) for sign in (_is_higher, _is_equal, _is_lower)]
        means = f"{fmean(new for new, _ in pairs):.3g} | {fmean(old for _, old in pairs):.3g}"
        shown = f"{fmean(differences):+.3g} [{interval}]"
        print(f"| {task} | {len(of_task)} | {means} | {shown} | {', '.join(map(str, signs))} |")
    if len(relative) > 1:
        mean, count = fmean(fmean(values) for values in relative), sum(map(len, relative))
        print(f"| all, relative to old | {count} | | | {mean:+.1%} [{_format_interval(relative, '+.1%')}] | |")


def _format_interval(groups: Sequence[Sequence[float]], form: str) -> str:
    return ", ".join(format(bound, form) for bound in bootstrap_interval(groups))


def bootstrap_interval(groups: Sequence[Sequence[float]], seed: int = 0) -> tuple[float, float]:
    """Return the 95 % interval of the mean over groups of each group's mean; units are drawn again within groups.

    Of several groups, the groups are drawn again too: the tasks stand for tasks in general.
    """
    rng, means = np.random.default_rng(seed), []
    arrays = [np.asarray(group, dtype=np.float64) for group in groups if len(group)]
    for _ in range(BOOTSTRAP):
        drawn = rng.integers(len(arrays), size=len(arrays)) if len(arrays) > 1 else range(len(arrays))
        means.append(np.mean([rng.choice(arrays[group], size=len(arrays[group])).mean() for group in drawn]))
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def _known(pairs: list[tuple[float | None, float | None]]) -> Pairs:
    return [(new, old) for new, old in pairs if new is not None and old is not None]


def _is_higher(difference: float) -> bool:
    return difference > 0.0


def _is_equal(difference: float) -> bool:
    return difference == 0.0


def _is_lower(difference: float) -> bool:
    return difference < 0.0


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    measure = commands.add_parser("measure", help="train what the table lacks")
    measure.add_argument("--tasks", nargs="+", default=[*LEDGER_TASKS, *REWARD_TASKS])
    measure.add_argument("--seeds", type=int, default=2)
    measure.add_argument("--env-steps", type=int, default=60_000)
    shown = commands.add_parser("table", help="print the comparisons")
    for command in (measure, shown):
        command.add_argument("--table", type=Path, default=TABLE)
    options = parser.parse_args()
    if options.command == "measure":
        measure_units(options.table, options.tasks, options.seeds, options.env_steps)
    else:
        print_tables(read_rows(options.table))


if __name__ == "__main__":
    main()
