"""Journal of a run: every finished step, once, durably.

Every line of `journal.jsonl` is one event: {"key", "step", "time", "data"}. A key names one step of the loop,
"g1c03/trainer/s0" for instance, and occurs at most once. The loop asks `once(key, ...)` for each step: an event
that is already there answers, otherwise the step runs and its record is written and fsynced before the loop goes
on. So a killed run is resumed by running the loop again, and what was finished is not repeated.
"""

from __future__ import annotations

import contextlib
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

from rewardsmith.contract import bounded_files, records
from rewardsmith.contract.bounded_files import DamagedFile
from rewardsmith.contract.errors import RunError, UnwritableRun
from rewardsmith.search.storage.journal_keys import step_of_key

R = TypeVar("R")

RESTORE = "restore the file from a copy of the run"
"""Next step in the message about a damaged file of a run."""
NOT_WRITABLE = (errno.EROFS, errno.EACCES, errno.EPERM)
"""Errors of a file that may be whole, and that this user or this file system does not let be written."""
TRIM_BYTES = 1 << 16
"""Piece in which the end of a journal is searched for its last line break."""
TIMED_FIELDS = ("time", "wall_s", "cpu_s", "reward_s", "us_per_transition")
"""Fields that differ between two equal runs, because they are times."""


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
        try:
            self._file = bounded_files.open_regular(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        except (OSError, DamagedFile) as error:
            if isinstance(error, OSError) and (error.errno in NOT_WRITABLE or bounded_files.is_disk_full(error)):
                raise unwritable_error(path, error, path.parent) from error
            raise unreadable_error(path, error) from error
        try:
            self._lock_and_trim()
            self._events = {event.key: event for event in read_journal(path)}
        except RunError:
            self._file.close()
            raise

    def __contains__(self, key: str) -> bool:
        return key in self._events

    def __iter__(self) -> Iterator[Event]:
        return iter(tuple(self._events.values()))

    def get(self, key: str, kind: type[R]) -> R | None:
        """Return the record under `key`; None if there is no such record.

        Raises:
            RunError: if the event is damaged: it holds another record.
        """
        event = self._events.get(key)
        return None if event is None else load_event(kind, event, self.path)

    def once(self, key: str, kind: type[R], make: Callable[[], R], keep: Callable[[R], bool] = lambda _: True) -> R:
        """Return the record under `key`; if it is missing, make it, and write it if `keep` says so.

        Args:
            key: the step's name, "<candidate>/<step>..." or "<phase>/<step>...".
            kind: the record's type.
            make: runs the step.
            keep: False for a record that a resumed run should make again (a failure of the machine).
        """
        recorded = self.get(key, kind)
        if recorded is not None:
            return recorded
        record = make()
        if keep(record):
            self.append(key, record)
        return record

    def append(self, key: str, record: Any) -> None:
        """Write one event; it is on the disk when this returns.

        Raises:
            RunError: if it cannot be written, a full disk for instance.
        """
        time = datetime.now(UTC).isoformat(timespec="milliseconds")
        event = Event(key, step_of_key(key), time, records.dump(record))
        line = format_event(event)
        with self._lock:
            self._write(line.encode())
            self._events[key] = event

    def close(self) -> None:
        """Close the file and give the lock back."""
        self._file.close()

    def _write(self, line: bytes) -> None:
        end = self._file.seek(0, os.SEEK_END)
        remaining = memoryview(line)
        try:
            while remaining:
                remaining = remaining[self._file.write(remaining) :]
            os.fsync(self._file.fileno())
        except OSError as error:
            with contextlib.suppress(OSError):  # a half line is cut off when the journal is opened next
                os.ftruncate(self._file.fileno(), end)
            raise unwritable_error(self.path, error, self.path.parent) from error

    def _lock_and_trim(self) -> None:
        """Lock the journal, and cut off a last line that a crash left without its end."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            folder = self.path.parent
            raise RunError(f"{folder} is being run by another process; wait for it, or stop it first") from error
        size = self._file.seek(0, os.SEEK_END)
        whole = size
        while whole:
            start = max(0, whole - TRIM_BYTES)
            self._file.seek(start)
            last_break = self._file.read(whole - start).rfind(b"\n")
            if last_break >= 0:
                whole = start + last_break + 1
                break
            whole = start
        if whole < size:
            os.ftruncate(self._file.fileno(), whole)


def format_event(event: Event) -> str:
    """Return an event as a line of a journal."""
    return json.dumps(records.dump(event), allow_nan=False) + "\n"


def read_journal(path: Path) -> list[Event]:
    """Read a journal without locking it, of a run that is still going for instance.

    Raises:
        RunError: if a line other than a torn last one is damaged.
    """
    try:
        return [
            records.load_from_file(Event, bounded_files.parse_json(line, path, number), path, number)
            for number, line in bounded_files.iter_lines(path)
        ]
    except (OSError, DamagedFile) as error:
        raise unreadable_error(path, error) from error


def load_event(kind: type[R], event: Event, path: Path) -> R:
    """Return the record of an event.

    Args:
        kind: of the record.
        event: of a journal.
        path: of the journal, for the message.

    Raises:
        RunError: if the event is damaged: it holds another record.
    """
    try:
        return records.load_from_file(kind, event.data, path)
    except DamagedFile as error:
        line = _find_line(path, event.key)
        place = f", line {line}" if line else ""
        raise RunError(f"{path}{place} is damaged: {event.key!r}: {error.reason}; {RESTORE}") from error


def unreadable_error(path: Path, error: OSError | ValueError) -> RunError:
    """Return the error of a run's file that cannot be read, or is not what it should be.

    Args:
        path: of the file.
        error: what reading it raised.
    """
    if isinstance(error, OSError):
        return RunError(f"{path} is damaged: it cannot be read ({error.strerror or error}); {RESTORE}")
    return RunError(f"{error}; {RESTORE}")


def unwritable_error(path: Path, error: OSError, run: Path) -> UnwritableRun:
    """Return the error of a run's file that cannot be written.

    Args:
        path: of the file.
        error: what writing it raised.
        run: the run directory.
    """
    why = bounded_files.explain_write_error(error)
    return UnwritableRun(f"cannot write {path}: {why}, then `rewardsmith resume {run}` goes on")


def _find_line(path: Path, key: str) -> int | None:
    """Return the line of the last event with a key; None where the journal has changed meanwhile."""
    found = None
    for number, line in bounded_files.iter_lines(path):
        if json.dumps(key).encode() in line and bounded_files.parse_json(line, path, number).get("key") == key:
            found = number
    return found


def _is_timed_finding(value: Any) -> bool:
    """Return whether a part of an event is a finding that depends on the clock."""
    return isinstance(value, dict) and value.get("code") in records.TIMED_FINDINGS


def strip_times(value: Any) -> Any:
    """Return plain values of a record without what the clock measured."""
    if isinstance(value, dict):
        return {key: strip_times(inner) for key, inner in value.items() if key not in TIMED_FIELDS}
    if isinstance(value, list):
        return [strip_times(inner) for inner in value if not _is_timed_finding(inner)]
    return value
