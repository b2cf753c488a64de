"""Directory of a sweep: the run directories of its cells, and the journal of their outcomes.

```
sweep.toml      the file as it was last run         journal.jsonl   the outcome of each cell, once per attempt
cells/<id>/     a run directory for each cell       shared/         jobs that many cells have in common, done once
report.html     the report                          cells.csv, summary.json   its figures
```
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from rewardsmith.api.sweep.matrix import Cell
from rewardsmith.contract import bounded_files, records
from rewardsmith.contract.errors import RunError, SweepError
from rewardsmith.contract.records import Interval, ModelUsage, ReportedMetric, Result
from rewardsmith.search.storage import Event, Journal, RunLayout
from rewardsmith.search.storage.journal import load_event, read_journal

FORMAT = 2
"""Version of the outcomes in the journal; those of version 1 do not name theirs."""


@dataclass(frozen=True)
class CellOutcome:
    """Outcome of one cell."""

    cell: str
    task: str
    env_id: str
    preset: str
    """Name of the preset, with the model where there is one."""
    seed: int
    status: Literal["ok", "failed"]
    cause: str | None = None
    """Why it failed."""
    reported: Interval | None = None
    """Fitness of the best program, retrained on fresh seeds."""
    random: float | None = None
    environment_reward: Interval | None = None
    normalised: float | None = None
    """(reported - random) / (environment reward - random)."""
    env_steps: int = 0
    """Environment steps of all its trainings."""
    train_s: float = 0.0
    """Sum of the wall times of its search's trainings."""
    train_steps: int = 0
    """Environment steps of those trainings."""
    wall_s: float = 0.0
    """Wall time from its start to its result, in the call that finished it."""
    spent: ModelUsage = field(default_factory=ModelUsage)
    alarms: int = 0
    """Alarms about the best program."""
    metrics: tuple[ReportedMetric, ...] = ()
    """Metrics of the task's card."""
    format: int = FORMAT


class SweepStore:
    """Directory of one sweep, open for reading; `SweepStore.open` also takes its lock."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._journal: Journal | None = None

    @property
    def cells(self) -> Path:
        """Folder of the run directories."""
        return self.path / "cells"

    @classmethod
    def open(cls, path: Path) -> SweepStore:
        """Open a sweep's directory for writing; made if it is missing.

        Raises:
            SweepError: if it cannot be made, is something else, or another process runs it.
        """
        try:
            path.mkdir(parents=True, exist_ok=True)
            (path / "cells").mkdir(exist_ok=True)
        except OSError as error:
            raise SweepError(f"cannot make the sweep's directory {path}: {error.strerror}") from error
        if RunLayout(path).config.exists():
            raise SweepError(f"{path} is the run directory of one search; choose another --out")
        store = cls(path)
        try:
            store._journal = Journal(path / "journal.jsonl")
        except RunError as error:
            raise SweepError(str(error)) from error
        return store

    @classmethod
    def open_readonly(cls, path: Path) -> SweepStore:
        """Open a sweep's directory for reading, while it runs for instance.

        Raises:
            SweepError: if it is not a sweep's directory.
        """
        if not is_sweep(path):
            raise SweepError(f"{path} is no sweep's directory: it has no cells/ and no journal.jsonl")
        return cls(path)

    def copy_sweep_file(self, file: Path) -> None:
        """Keep a copy of the sweep's file."""
        records.write_text(self.path / "sweep.toml", bounded_files.read_text(file))

    def load_outcomes(self) -> dict[str, CellOutcome]:
        """Return the last outcome of each cell that has one, by its id.

        Raises:
            SweepError: if the journal is damaged, or a later version wrote it.
        """
        try:
            events = list(self._journal) if self._journal else read_journal(self.path / "journal.jsonl")
        except RunError as error:
            raise SweepError(str(error)) from error
        outcomes: dict[str, CellOutcome] = {}
        for event in events:
            outcome = self._load_outcome(event)
            outcomes[outcome.cell] = outcome
        return outcomes

    def _load_outcome(self, event: Event) -> CellOutcome:
        """Return the outcome that an event records.

        Raises:
            SweepError: if the event records no outcome, or is of a later version.
        """
        data = event.data
        version = data.get("format", 1) if isinstance(data, Mapping) else None
        if isinstance(version, int) and version > FORMAT:
            raise SweepError(f"{self.path} has outcomes of format {version}; this rewardsmith reads up to {FORMAT}")
        try:
            converted = data if version == FORMAT else _convert_format_1(data)
            return load_event(CellOutcome, replace(event, data=converted), self.path / "journal.jsonl")
        except (AttributeError, TypeError, RunError) as error:
            raise SweepError(
                f"{self.path / 'journal.jsonl'} is damaged: {event.key!r} is no outcome of a cell"
            ) from error

    def record_outcome(self, outcome: CellOutcome) -> None:
        """Write the outcome of a cell; it is on the disk when this returns.

        Raises:
            RunError: if it cannot be written.
        """
        assert self._journal is not None  # a store that is open for reading records nothing
        attempts = (f"{outcome.cell}/{number}" for number in itertools.count())
        self._journal.append(next(key for key in attempts if key not in self._journal), outcome)

    def close(self) -> None:
        """Give the lock back."""
        if self._journal:
            self._journal.close()


def is_sweep(path: Path) -> bool:
    """Return whether a directory is a sweep's."""
    return (path / "cells").is_dir() and (path / "journal.jsonl").is_file()


def _convert_format_1(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return an outcome of format 1 under the names of format 2.

    >>> _convert_format_1({"recipe": "smith", "own_reward": None, "figures": [{"name": "x", "own_reward": None}]})
    {'preset': 'smith', 'environment_reward': None, 'metrics': [{'name': 'x', 'environment_reward': None}]}
    """
    names = {"recipe": "preset", "own_reward": "environment_reward", "figures": "metrics"}
    converted = {names.get(key, key): value for key, value in data.items()}
    metrics = converted.get("metrics", ())
    converted["metrics"] = [{names.get(key, key): value for key, value in metric.items()} for metric in metrics]
    return converted


def build_outcome(cell: Cell, result: Result, wall_s: float) -> CellOutcome:
    """Return the outcome of a cell whose search has a result."""
    trainings = [training for candidate in result.candidates for training in candidate.trainings]
    alarms = result.best.reflection.alarms if result.best.reflection else ()
    return CellOutcome(
        cell.id,
        cell.task.name,
        cell.task.env.env_id,
        cell.preset,
        cell.seed,
        "ok",
        reported=result.reported,
        random=result.baselines.random,
        environment_reward=result.baselines.environment_reward,
        normalised=result.normalised,
        env_steps=result.env_steps,
        train_s=sum(training.wall_s for training in trainings),
        train_steps=sum(training.env_steps for training in trainings),
        wall_s=wall_s,
        spent=result.spent,
        alarms=len(alarms),
        metrics=result.metrics,
    )


def build_failure(cell: Cell, cause: str, wall_s: float) -> CellOutcome:
    """Return the outcome of a cell that failed."""
    task = cell.task
    return CellOutcome(cell.id, task.name, task.env.env_id, cell.preset, cell.seed, "failed", cause, wall_s=wall_s)
