"""The journal of a run: what happened, once, durably.

Every line of `journal.jsonl` is one event: {"key", "step", "time", "data"}. A key names one step of the loop,
"g1c03/trainer/s0" for instance, and occurs at most once. The loop asks `once(key, ...)` for each step: an event
that is already there answers, otherwise the step runs and its record is written and fsynced before the loop goes
on. So a killed run is resumed by running the loop again, and what was finished is not repeated.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from rewardsmith.contract import records
from rewardsmith.contract.errors import RunError

R = TypeVar("R")

MEASURED = ("time", "wall_s", "cpu_s", "reward_s", "us_per_transition")
"""Fields that differ between two equal runs, because they are times."""

STEPS = ("designer", "critic", "trainer", "evaluator", "analyzer", "evolution", "feedback")
"""The steps of the loop that keys name; what belongs to none is the loop's own."""


@dataclass(frozen=True)
class Event:
    """One line of a journal."""

    key: str
    step: str
    """The step of the loop that the key names, else "loop"."""
    time: str
    """UTC, ISO 8601."""
    data: Any
    """The record, as plain JSON values."""


class Journal:
    """The events of one run; safe to use from several threads, locked against other processes."""

    def __init__(self, path: Path) -> None:
        """Open the journal, reading what is there.

        Raises:
            RunError: if another process has it open, or a line other than a torn last one is damaged.
        """
        self.path = path
        self._lock = threading.Lock()
        self._file = path.open("a+b", buffering=0)
        try:
            self._take()
            self._events = {event.key: event for event in read(path)}
        except RunError:
            self._file.close()
            raise

    def __contains__(self, key: str) -> bool:
        return key in self._events

    def __iter__(self) -> Iterator[Event]:
        return iter(tuple(self._events.values()))

    def get(self, key: str, kind: type[R]) -> R | None:
        """Return the record under `key`; None where there is none."""
        event = self._events.get(key)
        return None if event is None else records.load(kind, event.data)

    def once(self, key: str, kind: type[R], make: Callable[[], R], keep: Callable[[R], bool] = lambda _: True) -> R:
        """Return the record under `key`; where there is none, make it, and write it if `keep` says so.

        Args:
            key: the step's name, "<candidate>/<step>..." or "<phase>/<step>...".
            kind: the record's type.
            make: runs the step.
            keep: False for a record that a resumed run should make again (a failure of the machine).
        """
        known = self.get(key, kind)
        if known is not None:
            return known
        record = make()
        if keep(record):
            self.append(key, record)
        return record

    def append(self, key: str, record: Any) -> None:
        """Write one event; it is on the disk when this returns.

        Raises:
            RunError: if it cannot be written, a full disk for instance.
        """
        step = next((part for part in key.split("/") if part in STEPS), "loop")
        event = Event(key, step, datetime.now(UTC).isoformat(timespec="milliseconds"), records.dump(record))
        line = json.dumps(records.dump(event), allow_nan=False) + "\n"
        with self._lock:
            self._write(line.encode())
            self._events[key] = event

    def close(self) -> None:
        """Close the file and give the lock back."""
        self._file.close()

    def _write(self, line: bytes) -> None:
        end = self._file.seek(0, os.SEEK_END)
        left = memoryview(line)
        try:
            while left:
                left = left[self._file.write(left) :]
            os.fsync(self._file.fileno())
        except OSError as error:
            os.ftruncate(self._file.fileno(), end)
            reason = "the disk is full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else error.strerror
            raise RunError(
                f"cannot write {self.path}: {reason}; make room, then `rewardsmith resume {self.path.parent}` goes on"
            ) from error

    def _take(self) -> None:
        """Lock the journal, and cut off a last line that a crash left without its end."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            folder = self.path.parent
            raise RunError(f"{folder} is being run by another process; wait for it, or stop it first") from error
        self._file.seek(0)
        content = self._file.read()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            os.ftruncate(self._file.fileno(), whole)


def read(path: Path) -> list[Event]:
    """Read a journal without locking it, of a run that is still going for instance.

    Raises:
        RunError: if a line other than a torn last one is damaged.
    """
    events = []
    lines = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines[:-1], 1):
        try:
            events.append(records.load(Event, json.loads(line)))
        except ValueError as error:
            raise RunError(f"{path}, line {number} is damaged: {error}") from error
    return events


def canonical(events: list[Event]) -> list[Event]:
    """Return the events without what differs between two equal runs: their order, and what the clock measured."""
    return sorted((Event(e.key, e.step, "", _untimed(e.data)) for e in events), key=lambda event: event.key)


def _is_timed(value: Any) -> bool:
    """Return whether a part of an event is a finding that was made by the clock."""
    return isinstance(value, dict) and value.get("code") in records.TIMED_FINDINGS


def _untimed(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _untimed(inner) for key, inner in value.items() if key not in MEASURED}
    if isinstance(value, list):
        return [_untimed(inner) for inner in value if not _is_timed(inner)]
    return value
