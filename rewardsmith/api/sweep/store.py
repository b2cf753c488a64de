"""A sweep's directory: its cells' run directories, and the journal of what came of them.

```
sweep.toml      the file as it was last run         journal.jsonl   the outcome of each cell, once per attempt
cells/<id>/     a run directory for each cell       shared/         trainings that no program touches, done once
report.html     the comparison                      cells.csv, summary.json   its figures
```
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from rewardsmith.api.sweep.matrix import Cell
from rewardsmith.contract import records
from rewardsmith.contract.errors import RunError, SweepError
from rewardsmith.contract.records import Interval, ReportedFigure, Result, Spent
from rewardsmith.search.storage import Journal
from rewardsmith.search.storage.journal import read as read_journal


@dataclass(frozen=True)
class Outcome:
    """What came of one cell."""

    cell: str
    task: str
    env_id: str
    recipe: str
    """Preset, with the model where there is one."""
    seed: int
    status: Literal["ok", "failed"]
    cause: str | None = None
    """Why it failed."""
    reported: Interval | None = None
    """Fitness of the best program, trained anew."""
    random: float | None = None
    own_reward: Interval | None = None
    normalised: float | None = None
    """(reported - random) / (own reward - random)."""
    env_steps: int = 0
    """Of all its trainings."""
    train_s: float = 0.0
    """Wall clock of the trainings of its search, one after the other."""
    train_steps: int = 0
    """Environment steps of those trainings."""
    wall_s: float = 0.0
    """From its beginning to its result, in the call that finished it."""
    spent: Spent = field(default_factory=Spent)
    alarms: int = 0
    """Alarms about the best program."""
    figures: tuple[ReportedFigure, ...] = ()
    """What the task's card wants measured beside the fitness."""


class Book:
    """The directory of one sweep, open for reading; `Book.open` also takes its lock."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._journal: Journal | None = None

    @property
    def cells(self) -> Path:
        """Where the run directories lie."""
        return self.path / "cells"

    @classmethod
    def open(cls, path: Path) -> Book:
        """Open a sweep's directory for writing; made if it is missing.

        Raises:
            SweepError: if it cannot be made, is something else, or another process runs it.
        """
        try:
            path.mkdir(parents=True, exist_ok=True)
            (path / "cells").mkdir(exist_ok=True)
        except OSError as error:
            raise SweepError(f"cannot make the sweep's directory {path}: {error.strerror}") from error
        if (path / "config.toml").exists():
            raise SweepError(f"{path} is the run directory of one search; choose another --out")
        book = cls(path)
        try:
            book._journal = Journal(path / "journal.jsonl")
        except RunError as error:
            raise SweepError(str(error)) from error
        return book

    @classmethod
    def look(cls, path: Path) -> Book:
        """Open a sweep's directory for reading, while it runs for instance.

        Raises:
            SweepError: if it is none.
        """
        if not is_sweep(path):
            raise SweepError(f"{path} is no sweep's directory: it has no cells/ and no journal.jsonl")
        return cls(path)

    def keep_file(self, file: Path) -> None:
        """Keep a copy of the sweep's file."""
        records.write_text(self.path / "sweep.toml", file.read_text(encoding="utf-8"))

    def outcomes(self) -> dict[str, Outcome]:
        """Return the last outcome of each cell that has one, by its id.

        Raises:
            SweepError: if the journal is damaged.
        """
        try:
            events = list(self._journal) if self._journal else read_journal(self.path / "journal.jsonl")
        except RunError as error:
            raise SweepError(str(error)) from error
        found: dict[str, Outcome] = {}
        for event in events:
            outcome = records.load(Outcome, event.data)
            found[outcome.cell] = outcome
        return found

    def settle(self, outcome: Outcome) -> None:
        """Write what came of a cell; it is on the disk when this returns.

        Raises:
            RunError: if it cannot be written.
        """
        assert self._journal is not None  # a book that is only looked at settles nothing
        attempt = sum(1 for _ in self._attempts(outcome.cell))
        self._journal.append(f"{outcome.cell}/{attempt}", outcome)

    def close(self) -> None:
        """Give the lock back."""
        if self._journal:
            self._journal.close()

    def _attempts(self, cell: str) -> Iterable[str]:
        attempt = 0
        while self._journal and f"{cell}/{attempt}" in self._journal:
            yield f"{cell}/{attempt}"
            attempt += 1


def is_sweep(path: Path) -> bool:
    """Return whether a directory is a sweep's."""
    return (path / "cells").is_dir() and (path / "journal.jsonl").is_file()


def outcome_of(cell: Cell, result: Result, wall_s: float) -> Outcome:
    """Return the outcome of a cell whose search has a result."""
    trainings = [training for candidate in result.candidates for training in candidate.trainings]
    alarms = result.best.feedback.alarms if result.best.feedback else ()
    return Outcome(
        cell.id,
        cell.task.name,
        cell.task.env.env_id,
        cell.recipe,
        cell.seed,
        "ok",
        reported=result.reported,
        random=result.baselines.random,
        own_reward=result.baselines.own_reward,
        normalised=result.normalised,
        env_steps=result.env_steps,
        train_s=sum(training.wall_s for training in trainings),
        train_steps=sum(training.env_steps for training in trainings),
        wall_s=wall_s,
        spent=result.spent,
        alarms=len(alarms),
        figures=result.figures,
    )


def failure_of(cell: Cell, cause: str, wall_s: float) -> Outcome:
    """Return the outcome of a cell that failed."""
    task = cell.task
    return Outcome(cell.id, task.name, task.env.env_id, cell.recipe, cell.seed, "failed", cause, wall_s=wall_s)
