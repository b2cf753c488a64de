"""Running the cells of a sweep: a few searches open at once, on one executor that is never oversubscribed."""

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

from rewardsmith.api import searches
from rewardsmith.api.sweep.matrix import Cell, SweepBudget
from rewardsmith.api.sweep.shared_jobs import Sharing
from rewardsmith.api.sweep.store import Book, Outcome, failure_of, outcome_of
from rewardsmith.contract.errors import RewardsmithError, RunError
from rewardsmith.contract.records import Result
from rewardsmith.executors.base import Executor
from rewardsmith.search.callbacks import Silent, Watch
from rewardsmith.search.concurrency import raised, together
from rewardsmith.search.storage import Run

Search = Callable[[Cell, Path, Executor], Result]
"""Runs the search of a cell in a directory, from wherever it stands."""


class SweepWatch(Protocol):
    """Told how a sweep goes, from several threads."""

    def began(self, cell: Cell) -> Watch:
        """A cell's search begins; what is returned is told how it goes."""

    def settled(self, outcome: Outcome, done: int, of: int) -> None:
        """A cell has its outcome, the `done`-th of all."""

    def stopped(self, why: str) -> None:
        """No further cell begins."""

    def notice(self, text: str) -> None:
        """Something about the whole sweep that the user should know."""


class Unwatched(SweepWatch):
    """Tells nobody."""

    def began(self, cell: Cell) -> Watch:
        """See `SweepWatch.began`."""
        return Silent()

    def settled(self, outcome: Outcome, done: int, of: int) -> None:
        """See `SweepWatch.settled`."""

    def stopped(self, why: str) -> None:
        """See `SweepWatch.stopped`."""

    def notice(self, text: str) -> None:
        """See `SweepWatch.notice`."""


@dataclass(frozen=True)
class Left:
    """What a sweep has still to do."""

    missing: tuple[Cell, ...]
    """Cells without an outcome."""
    failed: tuple[Cell, ...]
    """Cells whose last attempt failed."""
    done: tuple[Outcome, ...]


def left(cells: Iterable[Cell], book: Book) -> Left:
    """Sort cells by what came of them."""
    outcomes = book.outcomes()
    cells = tuple(cells)
    missing = tuple(cell for cell in cells if cell.id not in outcomes)
    known = [(cell, outcomes[cell.id]) for cell in cells if cell.id in outcomes]
    failed = tuple(cell for cell, outcome in known if outcome.status == "failed")
    return Left(missing, failed, tuple(outcome for _, outcome in known if outcome.status == "ok"))


def run(
    cells: Sequence[Cell],
    book: Book,
    executor: Executor,
    budget: SweepBudget | None = None,
    watch: SweepWatch | None = None,
    search: Search | None = None,
) -> str | None:
    """Run cells to their ends; one that fails does not stop the others.

    Args:
        cells: to run: those that are missing, as a rule.
        book: the sweep's directory, open for writing.
        executor: where all their jobs run; the caller closes it.
        budget: when it is reached, no further cell begins.
        watch: is told how it goes.
        search: runs one cell; None runs its search.

    Returns:
        Why it ended before the last cell; None where it did not.

    Raises:
        RunError: if the sweep's directory cannot be written, a full disk for instance; a later call goes on.
    """
    return _Running(cells, book, executor, budget or SweepBudget(), watch or Unwatched(), search).run()


class _Running:
    """One call of a sweep."""

    def __init__(
        self,
        cells: Sequence[Cell],
        book: Book,
        executor: Executor,
        budget: SweepBudget,
        watch: SweepWatch,
        search: Search | None,
    ) -> None:
        self._waiting, self._total = deque(cells), len(cells)
        self._book, self._executor, self._budget, self._watch = book, executor, budget, watch
        self._search = search or self._searched
        self._lock = threading.Lock()
        self._began, self._settled = time.monotonic(), 0
        self._usd: float | None = 0.0
        self._stopped: str | None = None
        self._over = False

    def run(self) -> str | None:
        sharing = Sharing(self._executor, self._book.path / "shared")
        try:
            raised(together(lambda _: self._work(sharing), range(self._open_at_once())))
        finally:
            self._over = True
        return self._stopped

    def _open_at_once(self) -> int:
        """Return how many searches keep the executor's slots busy: one more than fill them with a generation's."""
        widths = [cell.config.search.population * cell.config.search.seeds for cell in self._waiting]
        return min(len(widths), 1 + math.ceil(self._executor.slots / min(widths))) if widths else 0

    def _work(self, executor: Executor) -> None:
        """Take one cell after the other."""
        while (cell := self._next()) is not None:
            began = time.monotonic()
            try:
                result = self._search(cell, self._book.cells / cell.id, executor)
                outcome = outcome_of(cell, result, time.monotonic() - began)
            except RunError as error:
                # The directory's fault, not the cell's: the others would meet it too, and a later call goes on.
                self._stop(str(error))
                raise
            except RewardsmithError as error:
                outcome = failure_of(cell, str(error), time.monotonic() - began)
            self._settle(outcome)

    def _next(self) -> Cell | None:
        with self._lock:
            if self._stopped is None:
                self._stopped = self._exhausted()
                if self._stopped and self._waiting:
                    self._watch.stopped(self._stopped)
            return self._waiting.popleft() if self._waiting and not self._stopped else None

    def _exhausted(self) -> str | None:
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

    def _settle(self, outcome: Outcome) -> None:
        if self._over:  # interrupted: the cell is as it was, and a later call goes on with it
            return
        with self._lock:
            self._book.settle(outcome)
            self._settled += 1
            cost = outcome.spent.cost_usd
            self._usd = None if self._usd is None or cost is None else self._usd + cost
            self._watch.settled(outcome, self._settled, self._total)

    def _stop(self, why: str) -> None:
        with self._lock:
            self._stopped = self._stopped or why

    def _searched(self, cell: Cell, path: Path, executor: Executor) -> Result:
        watch = self._watch.began(cell)
        if (path / "config.toml").is_file():
            return searches.carry_on(Run.open(path, {"budget": cell.config.budget.model_dump()}), watch, executor)
        with suppress(FileNotFoundError):  # a directory whose making was cut off
            for part in sorted(path.iterdir()):
                part.unlink()
        plan = searches.Plan(cell.task, cell.config, 0, 0, 0)
        return searches.carry_on(searches.start(plan, path), watch, executor)
