"""Runner of a sweep's cells: a few searches open at once, on one executor that is never oversubscribed."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from rewardsmith.api import planning, searches
from rewardsmith.api.sweep.matrix import Cell
from rewardsmith.api.sweep.shared_jobs import SharedJobExecutor
from rewardsmith.api.sweep.store import CellOutcome, SweepStore, build_failure, build_outcome
from rewardsmith.api.sweep.sweep_file import SweepBudget
from rewardsmith.contract.errors import RewardsmithError, RunError
from rewardsmith.contract.records import Result
from rewardsmith.executors.base import Executor
from rewardsmith.search.callbacks import NullCallback, SearchCallback
from rewardsmith.search.concurrency import results_or_raise, run_in_threads
from rewardsmith.search.storage import Run, RunLayout

RunCell = Callable[[Cell, Path, Executor], Result]
"""Runs the search of a cell in a directory, or goes on with it."""


class SweepCallback(Protocol):
    """Receiver of a sweep's events, called from several threads."""

    def on_cell_start(self, cell: Cell) -> SearchCallback:
        """A cell's search begins; the returned callback receives its events."""

    def on_cell_end(self, outcome: CellOutcome, done: int, of: int) -> None:
        """A cell has its outcome, the `done`-th of all."""

    def on_stop(self, why: str) -> None:
        """No further cell begins."""

    def on_notice(self, text: str) -> None:
        """Something about the whole sweep that the user should know."""


class NullSweepCallback(SweepCallback):
    """Callback that ignores every event."""

    def on_cell_start(self, cell: Cell) -> SearchCallback:
        """See `SweepCallback.on_cell_start`."""
        return NullCallback()

    def on_cell_end(self, outcome: CellOutcome, done: int, of: int) -> None:
        """See `SweepCallback.on_cell_end`."""

    def on_stop(self, why: str) -> None:
        """See `SweepCallback.on_stop`."""

    def on_notice(self, text: str) -> None:
        """See `SweepCallback.on_notice`."""


@dataclass(frozen=True)
class SweepProgress:
    """Cells of a sweep by their last outcome."""

    missing: tuple[Cell, ...]
    """Cells without an outcome."""
    failed: tuple[Cell, ...]
    """Cells whose last attempt failed."""
    done: tuple[CellOutcome, ...]


def pending_cells(cells: Iterable[Cell], store: SweepStore) -> SweepProgress:
    """Sort cells by their last outcome: without one, failed, done."""
    outcomes = store.load_outcomes()
    cells = tuple(cells)
    missing = tuple(cell for cell in cells if cell.id not in outcomes)
    ended = [(cell, outcomes[cell.id]) for cell in cells if cell.id in outcomes]
    failed = tuple(cell for cell, outcome in ended if outcome.status == "failed")
    return SweepProgress(missing, failed, tuple(outcome for _, outcome in ended if outcome.status == "ok"))


def run_cells(
    cells: Sequence[Cell],
    store: SweepStore,
    executor: Executor,
    budget: SweepBudget | None = None,
    callback: SweepCallback | None = None,
    search: RunCell | None = None,
    open_searches: int = 0,
) -> str | None:
    """Run cells to their ends; one that fails does not stop the others.

    Args:
        cells: to run: those that are missing, as a rule.
        store: the sweep's directory, open for writing.
        executor: where all their jobs run; the caller closes it.
        budget: when it is reached, no further cell begins.
        callback: receives the events.
        search: runs one cell; None runs its search.
        open_searches: how many searches are open at once; 0: as many as keep the executor busy while some of them wait
            for a quick language model.

    Returns:
        Why it ended before the last cell; None where it did not.

    Raises:
        RunError: if the sweep's directory cannot be written, a full disk for instance; a later call goes on.
    """
    sweep = _SweepRun(cells, store, executor, budget or SweepBudget(), callback or NullSweepCallback(), search)
    return sweep.run(open_searches)


def run_search(cell: Cell, path: Path, executor: Executor, callback: SearchCallback | None = None) -> Result:
    """Run the search of a cell in a directory, or go on with it; see `searches.continue_run` for what it raises."""
    if RunLayout(path).config.is_file():
        return searches.continue_run(Run.open(path, {"budget": cell.config.budget.model_dump()}), callback, executor)
    with suppress(FileNotFoundError):  # a directory whose making was cut off
        for part in sorted(path.iterdir()):
            part.unlink()
    plan = planning.SearchPlan(cell.task, cell.config, 0, 0, 0)
    return searches.continue_run(searches.create_run(plan, path), callback, executor)


class _SweepRun:
    """One call of a sweep."""

    def __init__(
        self,
        cells: Sequence[Cell],
        store: SweepStore,
        executor: Executor,
        budget: SweepBudget,
        callback: SweepCallback,
        search: RunCell | None,
    ) -> None:
        self._waiting, self._total = deque(cells), len(cells)
        self._store, self._executor, self._budget, self._callback = store, executor, budget, callback
        self._search = search or self._run_search
        self._lock = threading.Lock()
        self._began, self._ended_count = time.monotonic(), 0
        self._usd: float | None = 0.0
        self._stopped: str | None = None
        self._is_over = False

    def run(self, open_searches: int) -> str | None:
        executor = SharedJobExecutor(self._executor, self._store.path / "shared")
        try:
            threads = range(min(open_searches, len(self._waiting)) or self._count_open_searches())
            results_or_raise(run_in_threads(lambda _: self._work_off_cells(executor), threads))
        finally:
            self._is_over = True
        return self._stopped

    def _count_open_searches(self) -> int:
        """Return how many searches keep the executor's slots busy: one more than fill them with their generations."""
        widths = [cell.config.search.population * cell.config.search.seeds for cell in self._waiting]
        return min(len(widths), 1 + math.ceil(self._executor.slots / min(widths))) if widths else 0

    def _work_off_cells(self, executor: Executor) -> None:
        """Take one cell after the other."""
        while (cell := self._take_cell()) is not None:
            began = time.monotonic()
            try:
                result = self._search(cell, self._store.cells / cell.id, executor)
                outcome = build_outcome(cell, result, time.monotonic() - began)
            except RunError as error:
                # The directory's fault, not the cell's: the others would meet it too, and a later call goes on.
                self._stop(str(error))
                raise
            except RewardsmithError as error:
                outcome = build_failure(cell, str(error), time.monotonic() - began)
            self._record_outcome(outcome)

    def _take_cell(self) -> Cell | None:
        with self._lock:
            if self._stopped is None:
                self._stopped = self._find_exhausted_budget()
                if self._stopped and self._waiting:
                    self._callback.on_stop(self._stopped)
            return self._waiting.popleft() if self._waiting and not self._stopped else None

    def _find_exhausted_budget(self) -> str | None:
        usd, wall_s = self._budget.cost_usd, self._budget.wall_s
        if usd is not None and self._usd is None:
            return (
                "the budget is in dollars and the price of a call unknown: set llm.price_in_usd and llm.price_out_usd"
            )
        if usd is not None and self._usd is not None and self._usd >= usd:
            return f"the sweep's budget of ${usd:g} is spent"
        if wall_s is not None and time.monotonic() - self._began >= wall_s:
            return f"the sweep's {wall_s:g} s are over"
        return None

    def _record_outcome(self, outcome: CellOutcome) -> None:
        if self._is_over:  # interrupted: the cell is as it was, and a later call goes on with it
            return
        with self._lock:
            self._store.record_outcome(outcome)
            self._ended_count += 1
            cost = outcome.spent.cost_usd
            self._usd = None if self._usd is None or cost is None else self._usd + cost
            self._callback.on_cell_end(outcome, self._ended_count, self._total)

    def _stop(self, why: str) -> None:
        with self._lock:
            self._stopped = self._stopped or why

    def _run_search(self, cell: Cell, path: Path, executor: Executor) -> Result:
        return run_search(cell, path, executor, self._callback.on_cell_start(cell))
