"""Policies of selection compared: how well each finds the best program of a search, at equal environment steps.

    python benchmarks/selection.py train [--jobs 2] [--seeds 6]            # hours; can be interrupted and goes on
    python benchmarks/selection.py simulate [--budget 12 18 24] [TABLE]    # minutes; trains nothing
    python benchmarks/selection.py simulate --model 0.2 0.5 0.8            # programs drawn from the model, not a table

`train` trains every program of `benchmarks/ledgers` on its task with several seeds and appends a line for each training
to `benchmarks/data/selection.jsonl`. `simulate` plays searches on that table: a search draws programs and seeds from
it, and a policy decides which training is next and which program is named. All policies draw the same programs and
seeds. Every training costs the same, so equal numbers of trainings are equal environment steps.

A third of a program's seeds is hidden from every selection; "worth" is the named program's mean over these fresh seeds,
on fresh episodes. "of the best's" is this worth as a part of the mean over all seeds of the best program that the
search designed; that mean is the highest of several noisy ones and so a little too high. "regret" is the mean over all
seeds of the task's best program minus that of the named one. Intervals are 95 % over programs.
"""

from __future__ import annotations

import argparse
import json
import math
import queue
import shutil
import tempfile
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import NormalDist, fmean
from typing import Any

import numpy as np
from row_files import append_row, drop_torn_line, read_rows

from rewardsmith.search.finalists import ROUND_SIZE
from rewardsmith.search.shrinkage import Variances, allocate_trainings, estimate_variances, shrink_fitness

HERE = Path(__file__).parent
TABLE = HERE / "data" / "selection.jsonl"
TASKS = ("hopper", "half_cheetah", "hopper_back_flip")
PRESETS = ("smith", "eureka", "text2reward")
ENV_STEPS = 150_000
FIRST_SEED = 100
"""First training seed; seed s of the table is trained with the seed 100 + s."""
CPU_S = 25.0
"""CPU time of one training and its evaluation on the slower machine of RESULTS.md, for the expected time."""
POPULATION = 4
"""Programs of a generation, for the early end."""
NORMAL = NormalDist()


# ---------------------------------------------------------------- training the table


@dataclass(frozen=True)
class Cell:
    """One training of the table."""

    task: str
    preset: str
    program: int
    """Place of the program among the designer's answers in its ledger."""
    seed: int

    @property
    def name(self) -> str:
        """Name of the training's folder."""
        return f"{self.task}-{self.preset}-{self.program}-s{self.seed}"


def read_programs(task: str, preset: str) -> dict[int, str]:
    """Return the programs in a ledger by the place of their answers; answers without a program are left out."""
    from rewardsmith.search.steps.designer.answer_parser import parse_answer

    answers = []
    for line in (HERE / "ledgers" / task / f"{preset}.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if row["role"] == "designer":
            answers.append(row["answer"].get("text") or row["answer"].get("content") or "")
    programs = {place: parse_answer(text).source for place, text in enumerate(answers)}
    return {place: source for place, source in programs.items() if source}


def train_table(table: Path, jobs: int, seeds: int) -> None:
    """Train what the table lacks, seed by seed, so that an unfinished table can be used too."""
    from rewardsmith.api.planning import plan_search
    from rewardsmith.executors import open_executor
    from rewardsmith.report.text import format_duration

    # What is left.
    table.parent.mkdir(parents=True, exist_ok=True)
    drop_torn_line(table)
    done = {Cell(row["task"], row["preset"], row["program"], row["seed"]) for row in read_rows(table)}
    programs = {(task, preset): read_programs(task, preset) for task in TASKS for preset in PRESETS}
    cells = [
        Cell(task, preset, place, seed)
        for seed in range(seeds)
        for (task, preset), sources in programs.items()
        for place in sources
    ]
    left: queue.Queue[Cell] = queue.Queue()
    for cell in cells:
        if cell not in done:
            left.put(cell)
    expected = format_duration(left.qsize() * CPU_S / jobs)
    print(f"{left.qsize()} of {len(cells)} trainings left; about {expected} at {CPU_S:g} s each", flush=True)

    settings = {"search": {"env_steps": ENV_STEPS, "designer": "symbolic"}, "jobs": jobs}
    plans = {task: plan_search(None, task, overrides=settings) for task in TASKS}
    with tempfile.TemporaryDirectory() as folder, open_executor(plans[TASKS[0]].config, print) as executor:
        trainer = TableTrainer(executor, plans, Path(folder))
        lock = threading.Lock()

        def work() -> None:
            while True:
                try:
                    cell = left.get_nowait()
                except queue.Empty:
                    return
                row = trainer.train_cell(cell, programs[cell.task, cell.preset][cell.program])
                with lock:
                    append_row(table, row)
                    print(f"{cell.name}: {row['status']}, {left.qsize()} left", flush=True)

        threads = [threading.Thread(target=work, daemon=True) for _ in range(jobs)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


class TableTrainer:
    """Trains and evaluates the cells of the table, without a search around them."""

    def __init__(self, executor: Any, plans: Mapping[str, Any], folder: Path) -> None:
        """Probe the environments.

        Args:
            executor: where trainings run.
            plans: task to its plan.
            folder: for the jobs; each is removed when it is done.
        """
        from rewardsmith.contract.records import ProbeJob

        self.executor, self.plans, self.folder = executor, plans, folder
        self.probes = {
            task: executor.run(ProbeJob(plan.task.env, 0, 1024), folder / "probe" / task)
            for task, plan in plans.items()
        }

    def train_cell(self, cell: Cell, source: str) -> dict[str, Any]:
        """Return the line of the table for one training."""
        from rewardsmith.search.steps import evaluator, trainer

        plan, probe, out = self.plans[cell.task], self.probes[cell.task], self.folder / cell.name
        row: dict[str, Any] = {"task": cell.task, "preset": cell.preset, "program": cell.program, "seed": cell.seed}
        training = trainer.train_policy(
            *(self.executor, plan.task, probe, plan.config, source, FIRST_SEED + cell.seed),
            *(out / "train", lambda point: None),
        )
        row |= {"status": training.status, "cause": training.cause, "steps": training.env_steps}
        row |= {"cpu_s": round(training.cpu_s, 2)}
        row["curve"] = [[point.env_steps, point.fitness, point.reward] for point in training.curve]
        if training.status == "ok":
            # Selection and report, on episodes of their own as in a search.
            selection = evaluator.episode_seeds(plan.config, evaluator.SELECTION, 10)
            report = evaluator.episode_seeds(plan.config, evaluator.REPORT, 20)
            evaluation = evaluator.evaluate_policy(
                self.executor, plan.task, probe, out / "train", selection + report, out / "eval"
            )
            values = [episode.fitness for episode in evaluation.episodes]
            row |= {"selection": fmean(values[:10]), "report": fmean(values[10:])}
        shutil.rmtree(out, ignore_errors=True)
        return row


# ---------------------------------------------------------------- simulated searches


@dataclass(frozen=True)
class ProgramRecord:
    """A program of the table: each training's fitness on the episodes of the selection and on those of the report."""

    selection: tuple[float, ...]
    report: tuple[float, ...]


Programs = Mapping[str, ProgramRecord]


@dataclass
class SimulatedSearch:
    """A search on the table: programs in the order in which they are designed, and the trainings that are left."""

    order: Sequence[str]
    left: Mapping[str, list[float]]
    """Fitness of the trainings that a selection may still use, by program; taken from the end."""
    rng: np.random.Generator
    fitness: dict[str, list[float]] = field(default_factory=dict)

    def design(self, count: int, seeds: int = 1) -> None:
        """Add new programs, each trained on some seeds."""
        for program in self.order[len(self.fitness) : len(self.fitness) + count]:
            self.fitness[program] = []
            for _ in range(seeds):
                self.train(program)

    def train(self, program: str) -> bool:
        """Train a program once more; return whether the table had a further seed of it."""
        if not self.left[program]:
            return False
        self.fitness[program].append(self.left[program].pop())
        return True

    @property
    def open_fitness(self) -> dict[str, list[float]]:
        """Fitness of the programs of which the table has more seeds."""
        return {program: values for program, values in self.fitness.items() if self.left[program]}

    def highest_mean(self) -> str:
        """Return the program with the highest mean."""
        return max(self.fitness, key=lambda program: fmean(self.fitness[program]))

    def highest_estimate(self) -> str:
        """Return the program with the highest shrunken estimate, as the product names it."""
        estimates = shrink_fitness(self.fitness)
        return max(estimates, key=lambda program: estimates[program].mean)


Policy = Callable[[SimulatedSearch, int], str]
"""Spends a number of further trainings on the programs that a search has designed, and names one."""


def name_highest_mean(search: SimulatedSearch, count: int) -> str:
    """Name the highest mean; nothing is trained further."""
    return search.highest_mean()


def retrain_best(finalists: int) -> Policy:
    """Train the best few in turn, and name the highest estimate."""

    def policy(search: SimulatedSearch, count: int) -> str:
        best = sorted(search.fitness, key=lambda program: -fmean(search.fitness[program]))[:finalists]
        for number in range(count):
            search.train(best[number % len(best)])
        return search.highest_estimate()

    return policy


def follow_knowledge_gradient(batch: int) -> Policy:
    """Train as the product does (`allocate_trainings`), in batches of this size."""

    def policy(search: SimulatedSearch, count: int) -> str:
        while count > 0:
            chosen = allocate_trainings(search.fitness, min(batch, count))
            trained = [search.train(program) for program in chosen]
            if not any(trained):
                break
            count -= sum(trained)
        return search.highest_estimate()

    return policy


def sample_top_two(search: SimulatedSearch, count: int) -> str:
    """Train by top-two Thompson sampling on the shrunken estimates (Russo, 2020)."""
    for _ in range(count):
        estimates = shrink_fitness(search.fitness)
        names = list(estimates)
        means = np.array([estimates[name].mean for name in names])
        deviations = np.array([estimates[name].deviation for name in names])
        chosen = names[int(np.argmax(search.rng.normal(means, deviations)))]
        if search.rng.random() < 0.5:
            draws = (names[int(np.argmax(search.rng.normal(means, deviations)))] for _ in range(50))
            chosen = next((name for name in draws if name != chosen), chosen)
        search.train(chosen)
    return search.highest_estimate()


def halve_over_seeds(search: SimulatedSearch, count: int) -> str:
    """Train the best third, then half of these, and so on; name the highest mean of those left."""
    left = sorted(search.fitness, key=lambda program: -fmean(search.fitness[program]))
    kept = max(2, round(len(left) / 3))
    while count > 0:
        left = sorted(left, key=lambda program: -fmean(search.fitness[program]))[: max(2, kept)]
        trained = 0
        for program in left:
            trained += count > trained and search.train(program)
        count -= trained
        kept //= 2
        if not trained:
            break
    return max(left, key=lambda program: fmean(search.fitness[program]))


def expected_improvement(variances: Variances, incumbent: float, count: int) -> float:
    """Return how much the best of some new programs, trained once each, is expected to beat the incumbent's estimate.

    The estimate of a new program after one training is normal around the mean of all programs with the deviation
    ``s = between / sqrt(between + within)``, so the expectation for the best of n is
    ``integral from incumbent to infinity of 1 - cdf((x - mean) / s)^n``.

    Args:
        variances: of the programs so far; new ones are taken to be like them.
        incumbent: the highest estimate so far.
        count: how many new programs; at least 1.

    Returns:
        The gain in units of fitness; 0 where programs do not differ.
    """
    spread = variances.between + variances.within
    deviation = variances.between / math.sqrt(spread) if spread > 0.0 else 0.0
    if deviation == 0.0:
        return 0.0
    start, end, parts = (incumbent - variances.mean) / deviation, 6.0, 200
    if start >= end:
        return 0.0
    width = (end - start) / parts
    tails = [1.0 - NORMAL.cdf(start + (part + 0.5) * width) ** count for part in range(parts)]
    return deviation * width * sum(tails)


@dataclass(frozen=True)
class Rule:
    """A policy and the share of the trainings that it spends after the last generation."""

    name: str
    policy: Policy
    share: float = 0.0
    seeds: int = 1
    """Seeds of each program in the search."""
    early_end: float = 0.0
    """The search ends when a generation's expected improvement is below this many deviations between programs."""

    def run(self, search: SimulatedSearch, budget: int) -> str:
        """Play a search with a number of trainings, and return the program that is named."""
        programs = round(budget * (1.0 - self.share)) // self.seeds
        while len(search.fitness) < min(programs, len(search.order)):
            if self.early_end and self._ends_early(search):
                break
            search.design(min(POPULATION if self.early_end else programs, programs - len(search.fitness)), self.seeds)
        spent = sum(map(len, search.fitness.values()))
        return self.policy(search, budget - spent if self.share or self.early_end else 0)

    def _ends_early(self, search: SimulatedSearch) -> bool:
        variances = estimate_variances(search.fitness) if len(search.fitness) >= POPULATION else None
        if variances is None:
            return False
        best = max(estimate.mean for estimate in shrink_fitness(search.fitness).values())
        gain = expected_improvement(variances, best, POPULATION)
        return bool(gain < self.early_end * variances.between**0.5)


def list_rules(shares: Sequence[float]) -> list[Rule]:
    """Return the rules that are compared; the first is what a search did before there were finalists."""
    gradient = follow_knowledge_gradient(1)
    rules = [Rule("one seed each", name_highest_mean), Rule("two seeds each", name_highest_mean, seeds=2)]
    for share in shares:
        rules += [
            Rule("best 3 in turn", retrain_best(3), share),
            Rule("knowledge gradient", gradient, share),
            Rule(
                f"knowledge gradient, batches of {ROUND_SIZE} (the product)",
                follow_knowledge_gradient(ROUND_SIZE),
                share,
            ),
            Rule("knowledge gradient, batches of 4", follow_knowledge_gradient(4), share),
            Rule("top-two Thompson", sample_top_two, share),
            Rule("halving over seeds", halve_over_seeds, share),
        ]
    for threshold in (0.05, 0.2):
        rules.append(Rule(f"knowledge gradient, early end {threshold:g}", gradient, 1 / 3, early_end=threshold))
    return rules


# ---------------------------------------------------------------- tables


def load_programs(table: Path, least_seeds: int) -> dict[str, dict[str, ProgramRecord]]:
    """Return the programs of each task with at least so many seeds that gave a fitness."""
    trainings: dict[str, dict[str, list[tuple[float, float]]]] = defaultdict(lambda: defaultdict(list))
    for row in read_rows(table):
        if row.get("selection") is not None:
            name = f"{row['preset']}-{row['program']}"
            trainings[row["task"]][name].append((row["selection"], row["report"]))
    tasks = {}
    for task, programs in trainings.items():
        enough = {name: pairs for name, pairs in programs.items() if len(pairs) >= least_seeds}
        if len(enough) > 2:
            tasks[task] = {name: ProgramRecord(*zip(*pairs, strict=True)) for name, pairs in enough.items()}
    return tasks


def draw_model(share: float, programs: int, seeds: int, seed: int) -> dict[str, ProgramRecord]:
    """Return programs of the model: quality and noise are normal, and `share` of the variance lies between programs."""
    rng = np.random.default_rng(seed)
    quality = rng.normal(0.0, share**0.5, programs)
    values = quality[:, None] + rng.normal(0.0, (1.0 - share) ** 0.5, (programs, seeds))
    return {f"p{number}": ProgramRecord(tuple(row), tuple(row)) for number, row in enumerate(values.tolist())}


def describe_variances(programs: Programs) -> str:
    """Say how much of the variance of a one-seed fitness lies between programs (one-way analysis of variance)."""
    groups = [record.selection for record in programs.values()]
    within = float(np.mean([np.var(group, ddof=1) for group in groups]))
    seeds = fmean(map(len, groups))
    between = max(0.0, float(np.var([fmean(group) for group in groups], ddof=1)) - within / seeds)
    total = between + within
    return f"{between / total:.0%} of the variance lies between programs" if total else "no variance"


# ---------------------------------------------------------------- the comparison


@dataclass(frozen=True)
class Outcomes:
    """The outcomes of a rule, one value per simulated search."""

    worth: np.ndarray
    """(n,): of the named program, on the seeds that no selection saw."""
    mean: np.ndarray
    """(n,): of the named program, by all its seeds."""
    best: np.ndarray
    """(n,): of the best of the programs that the rule designed, by all its seeds."""
    hits: np.ndarray
    """(n,): whether the named program is the best of those that the rule designed, by all seeds."""


def play_searches(programs: Programs, rule: Rule, budget: int, searches: int, seed: int) -> Outcomes:
    """Play searches on one task with one rule."""
    names = list(programs)
    all_seeds = {name: fmean(record.report) for name, record in programs.items()}
    worth, mean, highest, hits = [], [], [], []
    for number in range(searches):
        # The draw depends on the number of the search alone, so that all rules get the same programs and seeds.
        rng = np.random.default_rng((seed, number))
        order = [names[index] for index in rng.permutation(len(names))[:budget]]
        left, kept = {}, {}
        for name in order:
            record = programs[name]
            places = rng.permutation(len(record.selection))
            held_out = max(1, len(places) // 3)
            kept[name] = fmean(record.report[place] for place in places[:held_out])
            left[name] = [record.selection[place] for place in places[held_out:]]
        search = SimulatedSearch(order, left, rng)
        named = rule.run(search, budget)
        best = max(search.fitness, key=lambda name: all_seeds[name])
        worth.append(kept[named])
        mean.append(all_seeds[named])
        highest.append(all_seeds[best])
        hits.append(named == best)
    return Outcomes(np.array(worth), np.array(mean), np.array(highest), np.array(hits))


def draw_resamples(programs: Programs, count: int) -> list[Programs]:
    """Return bootstrap resamples of the programs of a table; a program that is drawn twice is two programs."""
    names, resamples = list(programs), []
    for number in range(count):
        drawn = np.random.default_rng((1, number)).choice(len(names), len(names))
        resamples.append({f"{names[place]} {index}": programs[names[place]] for index, place in enumerate(drawn)})
    return resamples


def play_resamples(resamples: Sequence[Programs], rule: Rule, budget: int, searches: int = 100) -> np.ndarray:
    """Return (resamples, searches) the worth of the programs that a rule names."""
    played = [play_searches(programs, rule, budget, searches, 2 + place) for place, programs in enumerate(resamples)]
    return np.array([outcomes.worth for outcomes in played])


def find_interval(gains: np.ndarray) -> tuple[float, float]:
    """Return the 95 % interval of a difference in worth between two rules, by bootstrap over programs.

    Searches on one table share its programs and trainings, so the spread between searches says little about another
    table. As a resample plays few searches, the interval is rather too wide.

    Args:
        gains: (resamples, searches) of the difference, both rules on the same draws; without a row there is no
            interval.
    """
    low, high = np.quantile(gains.mean(axis=1), (0.025, 0.975)) if len(gains) else (math.nan, math.nan)
    return float(low), float(high)


def compare_rules(
    task: str, programs: Programs, budget: int, searches: int, shares: Sequence[float], resamples: int
) -> None:
    """Print the table of one task at one budget."""
    all_seeds = [fmean(record.report) for record in programs.values()]
    best = max(all_seeds)
    seeds = min(len(record.selection) for record in programs.values())
    print(f"\n### {task}, {budget} trainings\n")
    print(f"{len(programs)} programs with {seeds} seeds or more; {describe_variances(programs)}.")
    print(f"Any program is worth {fmean(all_seeds):.3g}, the best {best:.3g}; ", end="")
    print(f"between programs {np.std(all_seeds):.3g}.\n")
    print(
        "| rule | share | worth on unseen seeds | more than one seed each | of the best's | regret | best one named |"
    )
    print("|---|---|---|---|---|---|---|", flush=True)
    rules = list_rules(shares)
    first = play_searches(programs, rules[0], budget, searches, 0)
    drawn = draw_resamples(programs, resamples)
    first_drawn = play_resamples(drawn, rules[0], budget)
    for rule in rules:
        outcomes = play_searches(programs, rule, budget, searches, 0)
        gain = (outcomes.worth - first.worth).mean()
        low, high = find_interval(play_resamples(drawn, rule, budget) - first_drawn)
        share = f"{rule.share:.0%}" if rule.share else ""
        print(
            f"| {rule.name} | {share} | {outcomes.worth.mean():.3f} | {gain:+.3f} [{low:+.3f}, "
            f"{high:+.3f}] | {outcomes.worth.mean() / outcomes.best.mean():.2f} "
            f"| {best - outcomes.mean.mean():.3f} | {outcomes.hits.mean():.0%} |",
            flush=True,
        )


def list_tables(arguments: argparse.Namespace) -> Iterator[tuple[str, Programs]]:
    """Yield what is simulated: the tasks of the tables, or programs of the model."""
    if arguments.model:
        for share in arguments.model:
            yield f"model, {share:.0%} between programs", draw_model(share, 200, 30, 0)
        return
    for table in arguments.tables or [TABLE]:
        yield from load_programs(table, arguments.least_seeds).items()


def main() -> None:
    """Train the table, or simulate on it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    train = commands.add_parser("train", help="train what the table lacks")
    train.add_argument("--jobs", type=int, default=2, help="trainings at the same time")
    train.add_argument("--seeds", type=int, default=6, help="seeds of each program")
    simulate = commands.add_parser("simulate", help="compare policies of selection on the table")
    simulate.add_argument("tables", nargs="*", type=Path, help=f"default: {TABLE.name}")
    simulate.add_argument("--model", nargs="*", type=float, help="shares of variance between programs, without a table")
    simulate.add_argument("--budget", nargs="*", type=int, default=[12, 18, 24], help="trainings of a search")
    simulate.add_argument("--shares", nargs="*", type=float, default=[0.2, 1 / 3, 0.5], help="of them for finalists")
    simulate.add_argument("--searches", type=int, default=1000)
    simulate.add_argument("--resamples", type=int, default=60, help="of the programs, for the intervals; 0: none")
    simulate.add_argument("--least-seeds", type=int, default=3, help="programs with fewer are left out")
    arguments = parser.parse_args()
    if arguments.command == "train":
        train_table(TABLE, arguments.jobs, arguments.seeds)
        return
    for task, programs in list_tables(arguments):
        for budget in arguments.budget:
            compare_rules(task, programs, budget, arguments.searches, arguments.shares, arguments.resamples)


if __name__ == "__main__":
    main()
