"""The evidence: is a search better than asking once, and better than the reward that people wrote? evidence.md.

    python benchmarks/evidence.py plan     # what is left, with its time and answers; runs nothing
    python benchmarks/evidence.py run      # run what is left; after an interrupt the same command goes on
    python benchmarks/evidence.py table    # the tables, from benchmarks/data/evidence.jsonl
    python benchmarks/evidence.py page     # docs/evidence.md: tables, best programs, and films of the searches in --out

Run it from the checkout. Answers come from `benchmarks/ledgers/evidence/<task>/<arm>.jsonl`, else from the endpoint of
OPENAI_BASE_URL; the answers of a finished search are written there. Where two arms ask the same, both get the same
answer. `.venv-families/bin/python` runs the tasks of Meta-World, `.venv/bin/python` the others, one after the other
into the same directory. `--scale laptop` is the pilot: a small copy that tests this script and is no evidence.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import random
import re
import shutil
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import evidence_page
from evidence_tables import KINDS, Row, render_table, render_tables
from row_files import read_rows

from rewardsmith.api.speed import GUESSED_SPEED
from rewardsmith.api.sweep import Cell, CellOutcome, SweepMatrix, SweepStore, build_matrix, load_sweep_file, sweeps
from rewardsmith.api.sweep.runner import NullSweepCallback, pending_cells, run_search
from rewardsmith.api.sweep.store import is_sweep
from rewardsmith.api.sweep.sweep_file import apply_scale
from rewardsmith.contract import records
from rewardsmith.contract.errors import RewardsmithError
from rewardsmith.contract.records import Result
from rewardsmith.contract.text import pluralize
from rewardsmith.executors.base import Executor
from rewardsmith.llm.ledger import LedgerEntry, read_ledger, sum_usage
from rewardsmith.report.text import format_duration
from rewardsmith.search.storage import Run, RunLayout

HERE = Path(__file__).parent
STEPS_PER_S = {
    **{"HalfCheetah-v5": 8_300, "Hopper-v5": 5_000, "Walker2d-v5": 4_300, "Ant-v5": 2_300, "Swimmer-v5": 8_500},
    **{"Reacher-v5": 12_000, "Pusher-v5": 6_200, "Meta-World/window-open-v3": 1_000, "Meta-World/door-unlock-v3": 800},
}
"""Environment steps of a training per CPU second, measured with 16,384 (Meta-World: 6,144) steps on a core of an
Intel Xeon at a load of 20, the environment reward, 2026-11-29; idle cores are up to 1.3 times as fast."""
EVALUATION_STEP = 1.25
"""Time of a step of an evaluation, in times of a training's step (the pilot)."""
EPISODE_STEPS = {"Meta-World/window-open-v3": 500, "Meta-World/door-unlock-v3": 500, "Pusher-v5": 100}
"""Steps of an episode where the card does not say; 1,000 for the others."""
FIRST_PROMPT = re.compile(r"\b\d+ programs are written independently of each other")
"""The one place in which prompts of the first generation depend on the size of the search."""
ADDED_ARMS = ("best_of_six",)
"""Arms that were added when results of the others were known: exploratory (evidence.md, what happened)."""
NO_ENDPOINT = "http://127.0.0.1:9/v1"
"""An address that nobody answers: searches whose answers are all recorded need no key."""


# ---------------------------------------------------------------- the cells


def load_cells(file: Path, scale: str | None) -> SweepMatrix:
    """Return the cells of a sweep's file and of those of its scales that belong to it, in the order in which they run.

    Args:
        file: the sweep's file.
        scale: None: the file and all scales but those of the pilot; else all scales whose names begin so.
    """
    sweep = load_sweep_file(file)
    pilots = [name for name in sweep.scales if name.startswith("laptop")]
    chosen = [name for name in sweep.scales if name.startswith(scale)] if scale else [None, *sweep.scales]
    parts = [build_matrix(apply_scale(sweep, name)) for name in chosen if scale or name not in pilots]
    cells = {cell.id: cell for part in parts for cell in part.cells}
    refused = tuple(refusal for part in parts for refusal in part.refused)
    return SweepMatrix(tuple(order_cells(cells.values())), refused, sweep.budget)


def order_cells(cells: Iterable[Cell]) -> list[Cell]:
    """Return cells so that every task's arms are in an order of chance: no arm always comes first, or last.

    Arms that were added later come last.
    """
    by_task: defaultdict[str, list[Cell]] = defaultdict(list)
    added: defaultdict[str, list[Cell]] = defaultdict(list)
    for cell in cells:
        (added if cell.preset in ADDED_ARMS else by_task)[cell.task.name].append(cell)
    for task, own in by_task.items():
        random.Random(task).shuffle(own)
        own += added[task]
    ranks = {cell.id: (own.index(cell), task) for task, own in by_task.items() for cell in own}
    tasks = list(by_task)
    return sorted(
        (cell for own in by_task.values() for cell in own),
        key=lambda cell: (ranks[cell.id][0], tasks.index(ranks[cell.id][1])),
    )


def select_runnable(matrix: SweepMatrix) -> tuple[SweepMatrix, int]:
    """Return the cells that belong into this virtual environment, and how many belong into the other one."""
    own = tuple(cell for cell in matrix.cells if cell.task.env.env_id.startswith("Meta-World/") == has_meta_world())
    refused = sum(refusal.cells for refusal in matrix.refused)
    return SweepMatrix(own, (), matrix.budget), len(matrix.cells) - len(own) + refused


def has_meta_world() -> bool:
    """Return whether this virtual environment is the one with Meta-World and its older MuJoCo."""
    return importlib.util.find_spec("metaworld") is not None


def find_done(matrix: SweepMatrix, out: Path) -> set[str]:
    """Return the ids of the cells that have a result in a sweep's directory, which may be missing."""
    if not is_sweep(out):
        return set()
    return {outcome.cell for outcome in pending_cells(matrix.cells, SweepStore.open_readonly(out)).done}


# ---------------------------------------------------------------- what it takes


@dataclass(frozen=True)
class CellCost:
    """Work that a cell adds to those before it."""

    cell: Cell
    trainings: int
    answers: int

    @property
    def cpu_s(self) -> float:
        """CPU time of its trainings and evaluations, in seconds, at the speeds of `STEPS_PER_S`.

        Every arm evaluates all of its policies, also those that it has in common with others.
        """
        env, search, evaluation = self.cell.task.env, self.cell.config.search, self.cell.config.evaluation
        reports = search.final_seeds * (1 + search.baseline)
        episodes = (search.trainings - reports) * evaluation.episodes + reports * evaluation.final_episodes
        episode_steps = env.max_episode_steps or EPISODE_STEPS.get(env.env_id, 1_000)
        steps = self.trainings * search.env_steps + EVALUATION_STEP * episodes * episode_steps
        return steps / STEPS_PER_S.get(env.env_id, GUESSED_SPEED)


def count_costs(cells: Iterable[Cell]) -> list[CellCost]:
    """Return what each cell adds, in the order of the cells: what arms have in common is asked and trained once.

    Arms have their first generation in common where their first prompts are equal, and every arm of a task the
    trainings on the environment's own reward. A best program that two arms have in common is retrained once too, which
    is not foreseen here; nor are repairs.
    """
    first_programs: Counter[str] = Counter()
    baselines: set[str] = set()
    costs = []
    for cell in cells:
        search, designer = cell.config.search, cell.config.designer
        first = json.dumps([cell.task.name, cell.seed, designer.model_copy(update={"reflection": True}).model_dump()])
        shared = min(search.population, first_programs[first])
        first_programs[first] = max(search.population, first_programs[first])
        selecting = search.population * search.generations * search.seeds - shared * search.seeds
        trainings = selecting + search.finalist_trainings + search.final_seeds
        if cell.task.name not in baselines:
            trainings += search.final_seeds * search.baseline
            baselines.add(cell.task.name)
        costs.append(CellCost(cell, trainings, max(0, cell.calls - shared)))
    return costs


def print_plan(matrix: SweepMatrix, out: Path, jobs: int) -> None:
    """Print what is left of each task: trainings, answers, CPU time; and the expected time of all."""
    done = find_done(matrix, out)
    costs = [cost for cost in count_costs(matrix.cells) if cost.cell.id not in done]
    lines = [
        (
            task,
            ", ".join(cost.cell.preset for cost in own),
            f"{own[0].cell.config.search.env_steps:,}",
            sum(cost.trainings for cost in own),
            sum(cost.answers for cost in own),
            format_duration(sum(cost.cpu_s for cost in own)),
        )
        for task in dict.fromkeys(cell.task.name for cell in matrix.cells)
        if (own := [cost for cost in costs if cost.cell.task.name == task])
    ]
    header = ("task", "arms left", "steps a training", "trainings", "answers", "CPU time")
    print(render_table("What is left", header, lines))
    cpu_s = sum(cost.cpu_s for cost in costs)
    print(
        f"\n{len(done)} of {len(matrix.cells)} searches done. Left: {sum(cost.trainings for cost in costs):,} "
        f"trainings, {sum(cost.answers for cost in costs):,} answers and the repairs; {format_duration(cpu_s)} of CPU "
        f"time, so about {format_duration(cpu_s / jobs)} on {pluralize(jobs, 'idle core')}."
    )


# ---------------------------------------------------------------- answers


def adapt_entry(entry: LedgerEntry, programs: int) -> LedgerEntry:
    """Return an answer as the one to the same prompt of a search whose first generation has another size."""
    sentence = f"{programs} programs are written independently of each other"
    messages = tuple(
        replace(message, content=FIRST_PROMPT.sub(sentence, message.content))
        if isinstance(message.content, str) and message.role == "user"
        else message
        for message in entry.request.messages
    )
    request = replace(entry.request, messages=messages)
    return replace(entry, request=request, key=request.key(entry.role, entry.sample))


class AnswerPool:
    """Answers of all arms: recorded ones, and those of this sweep's searches, which the later arms of a task share."""

    def __init__(self, store: Path, ledgers: Path, cells: Sequence[Cell]) -> None:
        """Take where answers lie.

        Args:
            store: the sweep's directory.
            ledgers: folder of recorded answers, <task>/<arm>.jsonl.
            cells: of the sweep.
        """
        self._store, self._ledgers, self._cells = store, ledgers, cells
        # Arms of one task run one after the other: the later ones find the answers of the earlier ones.
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        for cell in cells:
            self._locks[cell.task.name] = threading.Lock()

    def recorded(self, cell: Cell) -> Path:
        """Return the file of a cell's recorded answers, which may be missing."""
        name = cell.preset if not cell.seed else f"{cell.preset}-s{cell.seed}"
        return self._ledgers / cell.task.name / f"{name}.jsonl"

    def run_cell(self, cell: Cell, path: Path, executor: Executor) -> Result:
        """Run the search of a cell, or go on with it, and keep its answers; see `runner.run_search` for the errors."""
        with self._locks[cell.task.name]:
            print(f"{time.strftime('%H:%M:%S')}  {cell.task.name}, {cell.preset}: starts", flush=True)
            result = run_search(self._prepare(cell), path, executor)
            recorded = self.recorded(cell)
            if not recorded.exists():
                recorded.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(RunLayout(path).ledger, recorded)
        return result

    def _prepare(self, cell: Cell) -> Cell:
        """Return a cell with where its answers come from, which is no part of its id."""
        llm = cell.config.llm
        if self.recorded(cell).exists():
            # On another processor the numbers in later prompts differ in their last digits.
            llm = llm.model_copy(update={"replay": str(self.recorded(cell).resolve()), "replay_by": "position"})
        elif entries := self._collect_entries(cell):
            pool = self._store / "answers" / f"{cell.id}.jsonl"
            lines = [json.dumps(records.dump(entry), separators=(",", ":")) + "\n" for entry in entries]
            pool.parent.mkdir(parents=True, exist_ok=True)
            records.write_text(pool, "".join(lines))
            llm = llm.model_copy(update={"cache": str(pool.resolve())})
        return replace(cell, config=cell.config.model_copy(update={"llm": llm}))

    def _collect_entries(self, cell: Cell) -> list[LedgerEntry]:
        """Return the answers of the task's other arms under the keys that this cell asks with."""
        others = [other for other in self._cells if other.task.name == cell.task.name and other.id != cell.id]
        paths = [RunLayout(self._store / "cells" / other.id).ledger for other in others if other.seed == cell.seed]
        paths += [self.recorded(other) for other in others if other.seed == cell.seed]
        entries: dict[str, LedgerEntry] = {}
        for path in filter(Path.is_file, paths):
            for entry in read_ledger(path):
                adapted = adapt_entry(entry, cell.config.search.population)
                entries.setdefault(adapted.key, adapted)
        return list(entries.values())


# ---------------------------------------------------------------- running


class ProgressLines(NullSweepCallback):
    """Prints a line for every search that ends, and keeps the table's data up to date."""

    def __init__(self, store: SweepStore, cells: Sequence[Cell], data: Path) -> None:
        """Take what the rows are made from, and the file that they are written to."""
        self._store, self._cells, self._data = store, cells, data

    def on_cell_end(self, outcome: CellOutcome, done: int, of: int) -> None:
        """See `SweepCallback.on_cell_end`."""
        text = outcome.cause if outcome.reported is None else f"{outcome.reported.mean:.3g}"
        print(
            f"{time.strftime('%H:%M:%S')}  {outcome.task}, {outcome.preset}: {text}; {done} of {of}",
            flush=True,
        )
        write_rows(self._store, self._cells, self._data)

    def on_stop(self, why: str) -> None:
        """See `SweepCallback.on_stop`."""
        print(f"no further search starts: {why}", flush=True)

    def on_notice(self, text: str) -> None:
        """See `SweepCallback.on_notice`."""
        print(text, flush=True)


def run_evidence(matrix: SweepMatrix, arguments: argparse.Namespace) -> None:
    """Run the searches that are left."""
    print_plan(matrix, arguments.out, arguments.jobs)
    pool = AnswerPool(arguments.out, arguments.ledgers, matrix.cells)
    done = find_done(matrix, arguments.out)
    unanswered = [cell for cell in matrix.cells if cell.id not in done and not pool.recorded(cell).exists()]
    if unanswered and not has_endpoint():
        raise SystemExit(
            f"{pluralize(len(unanswered), 'search', 'searches')} without recorded answers in {arguments.ledgers}: set "
            "OPENAI_BASE_URL (and OPENAI_API_KEY) to a language model's endpoint"
        )
    with closing(SweepStore.open(arguments.out)) as store:
        callback = ProgressLines(store, matrix.cells, arguments.data)
        sweeps.run_pending(
            matrix,
            store,
            jobs=arguments.jobs,
            retry=arguments.retry,
            callback=callback,
            search=pool.run_cell,
            open_searches=arguments.open,
        )
        write_rows(store, matrix.cells, arguments.data)


def publish(matrix: SweepMatrix, arguments: argparse.Namespace) -> None:
    """Write the rows again and the page, with films of those searches that are in the sweep's directory."""
    if is_sweep(arguments.out):
        store = SweepStore.open_readonly(arguments.out)
        write_rows(store, matrix.cells, arguments.data)
        evidence_page.film_best(read_rows(arguments.data), store, matrix.cells)
    evidence_page.write_page(read_rows(arguments.data))


def has_endpoint() -> bool:
    """Return whether the environment names a language model's endpoint, or a key for the usual one."""
    address = os.environ.get("OPENAI_BASE_URL")
    return address != NO_ENDPOINT if address else bool(os.environ.get("OPENAI_API_KEY"))


def write_rows(store: SweepStore, cells: Sequence[Cell], data: Path) -> None:
    """Write a row for each search that has an outcome; rows of searches of other places stay."""
    rows: dict[tuple[str, str, int], Row] = {(row["task"], row["arm"], row["seed"]): row for row in read_rows(data)}
    outcomes = store.load_outcomes()
    for cell in cells:
        if cell.id in outcomes:
            row = build_row(outcomes[cell.id], cell, RunLayout(store.cells / cell.id))
            rows[row["task"], row["arm"], row["seed"]] = row
    data.parent.mkdir(parents=True, exist_ok=True)
    records.write_text(data, "".join(json.dumps(rows[key]) + "\n" for key in sorted(rows)))


def build_row(outcome: CellOutcome, cell: Cell, layout: RunLayout) -> Row:
    """Return what is kept of a search."""
    row: dict[str, Any] = {
        "task": outcome.task,
        "kind": KINDS[outcome.task],
        "arm": outcome.preset,
        "seed": outcome.seed,
        "status": outcome.status,
        "cause": outcome.cause,
        "steps_a_training": cell.config.search.env_steps,
        "final_seeds": cell.config.search.final_seeds,
        "fitness": list(outcome.reported.values) if outcome.reported else [],
        "random": outcome.random,
        "environment_reward": list(outcome.environment_reward.values) if outcome.environment_reward else [],
        "env_steps": outcome.train_steps,
        "train_s": round(outcome.train_s, 1),
    }
    if layout.ledger.is_file():
        # What the arm would have paid alone: shared answers count as its own.
        spent = sum_usage(replace(entry, replayed=False).spent for entry in read_ledger(layout.ledger))
        row |= {"answers": spent.calls, "tokens": spent.tokens}
    result = Run.open(layout.path).read_result() if layout.result.is_file() else None
    if result is not None:
        row |= {
            "best": result.best.id,
            "in_search": result.best.fitness,
            "programs": len(result.candidates),
            "trained": sum(candidate.fitness is not None for candidate in result.candidates),
            "generations": group_by_generation(result),
            "program": result.best.proposal.source,
        }
    return row


def group_by_generation(result: Result) -> list[list[float]]:
    """Return the fitness in the search of the programs of each generation."""
    count = 1 + max((candidate.generation for candidate in result.candidates), default=-1)
    generations: list[list[float]] = [[] for _ in range(count)]
    for candidate in result.candidates:
        if candidate.fitness is not None:
            generations[candidate.generation].append(candidate.fitness)
    return generations


def main() -> None:
    """Plan, run, or print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("plan", "run", "table", "page"))
    parser.add_argument("--scale", choices=("laptop",), help="the pilot")
    parser.add_argument("--file", type=Path, default=HERE / "evidence.toml")
    parser.add_argument("--out", type=Path, help="the sweep's directory [runs/evidence, runs/evidence-laptop]")
    parser.add_argument("--ledgers", type=Path, help="recorded answers [benchmarks/ledgers/evidence]")
    parser.add_argument("--data", type=Path, help="rows of the tables [benchmarks/data/evidence.jsonl]")
    parser.add_argument("--jobs", type=int, default=2, help="trainings at the same time")
    parser.add_argument("--open", type=int, default=12, help="searches at once; while some wait, others train")
    parser.add_argument("--retry", action="store_true", help="run failed searches too")
    arguments = parser.parse_args()

    # A pilot writes nothing into the repository.
    out = arguments.out = arguments.out or Path("runs") / "-".join(filter(None, ("evidence", arguments.scale)))
    arguments.ledgers = arguments.ledgers or (out / "ledgers" if arguments.scale else HERE / "ledgers" / "evidence")
    arguments.data = arguments.data or (out / "rows.jsonl" if arguments.scale else HERE / "data" / "evidence.jsonl")

    if arguments.command == "table":
        print("\n" + render_tables(read_rows(arguments.data)))
        return
    if not has_endpoint():
        os.environ["OPENAI_BASE_URL"] = NO_ENDPOINT
    try:
        matrix, others = select_runnable(load_cells(arguments.file, arguments.scale))
        if others:
            python = ".venv/bin/python" if has_meta_world() else ".venv-families/bin/python (Meta-World)"
            print(f"{pluralize(others, 'other search', 'other searches')} of the whole are run with {python}\n")
        if arguments.command == "plan":
            print_plan(matrix, arguments.out, arguments.jobs)
        elif arguments.command == "page":
            publish(matrix, arguments)
        else:
            run_evidence(matrix, arguments)
            print("\n" + render_tables(read_rows(arguments.data)))
    except RewardsmithError as error:
        raise SystemExit(str(error)) from None
    except KeyboardInterrupt:
        raise SystemExit("interrupted; the same command goes on from here") from None


if __name__ == "__main__":
    main()
