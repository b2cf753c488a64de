"""The cost of the orchestrator without the trainings: per candidate of a search, and per cell of a large sweep.

    python benchmarks/orchestrator.py [ENV] [--population 20] [--generations 50] [--cells 10000]

The search is complete except for its trainings, which answer at once with the records of one short real training. Its
CPU time is that of this process, without the reward process that scores each program. The sweep's searches are stubs:
the benchmark times the computation of the cells, the writing and reading of their outcomes, and the report.
"""

from __future__ import annotations

import argparse
import gc
import os
import resource
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from throughput import describe_machine

import rewardsmith
from rewardsmith.api import planning, searches
from rewardsmith.api.sweep import Cell, SweepFile, SweepStore, build_matrix, html_report
from rewardsmith.api.sweep.runner import pending_cells, run_cells
from rewardsmith.contract import records
from rewardsmith.contract.records import (
    Baselines,
    Candidate,
    Evaluation,
    Interval,
    Job,
    JobResult,
    ModelUsage,
    Probe,
    Proposal,
    Result,
    Training,
    TrainJob,
)
from rewardsmith.executors.base import Decide, Executor, OnEvent
from rewardsmith.report import html
from rewardsmith.search.storage import Run
from rewardsmith.search.storage.journal import Journal


class RecordedExecutor:
    """An executor that answers every job with the result of one real, tiny search, and copies its files."""

    slots = 2

    def __init__(self, recorded: Path) -> None:
        self._probe = recorded / "probe"
        self._training = next(recorded.glob("candidates/*/train-s*"))
        self._evaluation = next(recorded.glob("candidates/*/eval-s*"))
        self._known: dict[Path, JobResult] = {
            self._probe: records.read(Probe, self._probe / "result.json"),
            self._training: records.read(Training, self._training / "result.json"),
            self._evaluation: records.read(Evaluation, self._evaluation / "result.json"),
        }

    def run(
        self, job: Job[JobResult], out: Path, on_event: OnEvent | None = None, decide: Decide | None = None
    ) -> JobResult:
        """See `Executor.run`."""
        home = {"probe": self._probe, "train": self._training}.get(job.kind, self._evaluation)
        shutil.copytree(home, out, dirs_exist_ok=True)
        known = self._known[home]
        if isinstance(job, TrainJob) and isinstance(known, Training):
            for point in known.curve:
                if on_event:
                    on_event(point)
            return replace(known, seed=job.seed)
        return known

    def close(self) -> None:
        """See `Executor.close`."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("env", nargs="?", default="Hopper-v5")
    parser.add_argument("--population", type=int, default=20)
    parser.add_argument("--generations", type=int, default=50)
    parser.add_argument("--cells", type=int, default=10_000)
    arguments = parser.parse_args()
    print(describe_machine(), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        measure_search(Path(folder), arguments)
        measure_sweep(Path(folder), arguments.cells)


def measure_search(folder: Path, arguments: argparse.Namespace) -> None:
    """Run a search whose trainings take no time."""
    shape = {"search.designer": "symbolic", "search.final_seeds": 1, "search.baseline": False}
    small = {"search.population": 1, "search.generations": 1, "search.env_steps": 4_096}
    text = "Move forward as far as you can without falling."
    rewardsmith.design(text, arguments.env, out=folder / "recorded", settings={**shape, **small})
    wide = {"search.population": arguments.population, "search.generations": arguments.generations}
    layer: dict[str, object] = {}
    for name, value in {**shape, **wide}.items():
        section, key = name.split(".")
        layer.setdefault(section, {})[key] = value  # type: ignore[index]
    plan = planning.plan_search(text, arguments.env, overrides=layer)
    started = searches.create_run(plan, folder / "run")
    gc.collect()
    memory, cpu, wall = read_resident_mib(), time.process_time(), time.monotonic()
    result = searches.continue_run(started, executor=RecordedExecutor(folder / "recorded"))
    count = len(result.candidates)
    cpu, wall, memory = time.process_time() - cpu, time.monotonic() - wall, read_resident_mib() - memory
    size = sum(path.stat().st_size for path in (folder / "run").rglob("*") if path.is_file()) / 2**20
    journal = folder / "run" / "journal.jsonl"
    each = f"{1000 * cpu / count:.1f} ms CPU and {memory / count:.3f} MiB each"
    print(f"search     {count} candidates: {each}; wall {wall:.1f} s")
    print(f"           {size / count:.2f} MiB each on the disk; journal {journal.stat().st_size / 2**20:.1f} MiB")
    print(f"journal    loads in {measure_s(lambda: Journal(journal).close()):.2f} s")
    print(f"report     of the run in {measure_s(lambda: html.write_report(Run.open(folder / 'run'))):.2f} s")
    print(f"resume     of the finished run answers in {measure_s(lambda: rewardsmith.resume(folder / 'run')):.2f} s")


def measure_sweep(folder: Path, count: int) -> None:
    """Run a sweep whose searches take no time."""
    tasks = (
        "hopper",
        "half_cheetah",
        "swimmer",
        "reacher",
        "walker2d",
        "ant",
        "pusher",
        "humanoid",
        "pendulum",
        "acrobot",
    )
    file = SweepFile.model_validate(
        {
            "tasks": tasks,
            "presets": ["symbolic", "smith"],
            "seeds": max(1, -(-count // (2 * len(tasks)))),
            "settings": {"search": {"designer": "symbolic"}},
        }
    )
    began = time.monotonic()
    matrix = build_matrix(file, variables={})
    print(f"sweep      {len(matrix.cells)} cells, computed in {time.monotonic() - began:.1f} s")
    store = SweepStore.open(folder / "sweep")
    half = matrix.cells[: len(matrix.cells) // 2]
    executor = RecordedExecutor(folder / "recorded")
    half_s = measure_s(lambda: run_cells(half, store, executor, search=return_stub_result))
    print(f"           half of them run in {half_s:.1f} s")
    store.close()
    store = SweepStore.open(folder / "sweep")

    def run_rest() -> None:
        run_cells(
            pending_cells(build_matrix(file, variables={}).cells, store).missing,
            store,
            executor,
            search=return_stub_result,
        )

    print(f"           the other half run in {measure_s(run_rest):.1f} s")
    repeated_s = measure_s(lambda: pending_cells(build_matrix(file, variables={}).cells, store))
    print(f"           a repeated call finds nothing left in {repeated_s:.1f} s")
    store.close()
    report_s = measure_s(lambda: html_report.write_report(SweepStore.open_readonly(folder / "sweep")))
    print(f"           report in {report_s:.1f} s")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"memory     {peak:.0f} MiB at most, {peak / len(matrix.cells) * 1024:.0f} KiB a cell")


def return_stub_result(cell: Cell, path: Path, executor: Executor) -> Result:
    """Return a result that depends on the cell's seed."""
    best = Candidate("g0c00", 0, 0, Proposal("", "none"), "ok", fitness=1.0)
    value = 1.0 + 0.01 * (cell.seed % 50) + (0.1 if cell.preset_source == "smith" else 0.0)
    figure = Interval(value, value - 0.5, value + 0.5, (value - 0.1, value, value + 0.1))
    own = Interval(1.2, 1.0, 1.4, (1.1, 1.2, 1.3))
    known = (cell.id, cell.task.text, cell.task.env.env_id, cell.task.fitness, best, (best,))
    return Result(*known, figure, Baselines(0.0, own), value / 1.2, 1_000, ModelUsage(3, 1_000, 0.01))


def measure_s(work: Callable[[], object]) -> float:
    """Return how many seconds something takes."""
    began = time.monotonic()
    work()
    return time.monotonic() - began


def read_resident_mib() -> float:
    """Return how much memory this process has."""
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


if __name__ == "__main__":
    main()
