"""llm.jsonl: one line for each answered call, on the disk before the answer is used, so that none is paid for twice.

An answer is found again by its key: the hash of the request and of who asked, and the sample's index. A call that was
sent and gave no answer has a line too, since its provider may bill it. A last line that a crash tore is dropped. No
key, no header and no address is ever written.
"""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from rewardsmith.contract import bounded_files, records
from rewardsmith.contract.bounded_files import DamagedFile
from rewardsmith.contract.errors import RunError, UnwritableRun
from rewardsmith.contract.records import ModelUsage
from rewardsmith.llm.messages import ModelAnswer, Request, estimate_tokens

FREE_BYTES = 1 << 20
"""Space that must be free before a call is made: an answer that cannot be recorded would be paid for without use."""


@dataclass(frozen=True)
class LedgerEntry:
    """One answered call."""

    key: str
    role: str
    sample: int
    request: Request
    answer: ModelAnswer
    cost_usd: float | None
    latency_s: float
    time: str
    """Time of the answer: UTC, ISO 8601."""
    replayed: bool = False
    """Whether it was copied from another ledger, so that this run paid nothing for it."""
    most_usd: float | None = None
    """Largest possible cost, if the cost is unknown; None if the price is unknown too."""

    @property
    def spent(self) -> ModelUsage:
        """The cost to this run; where the endpoint counted no tokens, they are estimated from the text."""
        if self.replayed:
            return ModelUsage()
        tokens_in, tokens_out = self.answer.tokens_in, self.answer.tokens_out
        tokens_in = self.request.tokens_estimate if tokens_in is None else tokens_in
        tokens_out = estimate_tokens(self.answer.text) if tokens_out is None else tokens_out
        return ModelUsage(1, tokens_in + tokens_out, self.cost_usd)


@dataclass(frozen=True)
class FailedAttempt:
    """One call that was sent and gave no answer; what it cost is not known, and its provider may bill it."""

    role: str
    sample: int
    model: str
    cause: str
    """What went wrong, in a line."""
    tokens_in: int
    """About how many tokens it sent."""
    most: ModelUsage
    """Largest possible use and cost."""
    time: str
    """Time when it was given up: UTC, ISO 8601."""

    @property
    def spent(self) -> ModelUsage:
        """The known part of the cost to this run."""
        return ModelUsage(1, self.tokens_in, None)


class Ledger:
    """The ledger of one run; safe to use from several threads."""

    def __init__(self, path: Path) -> None:
        """Open it, or start it with the first answer.

        Raises:
            RunError: if it cannot be read, or a line other than the last is damaged.
        """
        self._path = path
        self._lock = threading.Lock()
        self._claims: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        lines, self._size = _read_lines(path) if path.exists() else ([], 0)
        self._entries: dict[str, LedgerEntry] = {}
        self._attempts = [line for line in lines if isinstance(line, FailedAttempt)]
        for line in lines:
            if isinstance(line, LedgerEntry):
                self._entries.setdefault(line.key, line)

    @property
    def folder(self) -> Path:
        """The folder of the ledger, to which the files of pictures are relative."""
        return self._path.parent

    def find(self, key: str) -> LedgerEntry | None:
        """Return the answer kept under the key, if there is one."""
        with self._lock:
            return self._entries.get(key)

    def count_answers(self, role: str, sample: int) -> int:
        """Count the answers that this role and sample have had."""
        return sum(1 for entry in self.entries if (entry.role, entry.sample) == (role, sample))

    @property
    def entries(self) -> tuple[LedgerEntry, ...]:
        """Every answer, oldest first."""
        with self._lock:
            return tuple(self._entries.values())

    @property
    def spent(self) -> ModelUsage:
        """The cost to this run so far, earlier sessions included."""
        lines: tuple[LedgerEntry | FailedAttempt, ...] = (*self.entries, *self.attempts)
        return sum_usage(line.spent for line in lines)

    @property
    def most_spent(self) -> ModelUsage:
        """The most that this run can have paid: an unknown cost counts as what was reserved for it."""
        answered = (replace(entry.spent, cost_usd=_most_usd(entry)) for entry in self.entries)
        return sum_usage((*answered, *(attempt.most for attempt in self.attempts)))

    @property
    def attempts(self) -> tuple[FailedAttempt, ...]:
        """Every call that gave no answer, oldest first."""
        with self._lock:
            return tuple(self._attempts)

    @contextmanager
    def lock_key(self, key: str) -> Iterator[None]:
        """Hold the key, so that two threads that ask the same thing do not both pay for it."""
        with self._lock:
            lock = self._claims[key]
        with lock:
            yield

    def check_space(self) -> None:
        """Make sure that an answer can be written down before it is paid for.

        Raises:
            RunError: if the disk is full or the folder is gone.
        """
        try:
            free = shutil.disk_usage(self._path.parent).free
        except OSError as error:
            raise _unwritable_error(self._path, error) from error
        if free < FREE_BYTES:
            raise RunError(
                f"the disk of {str(self._path.parent)!r} is full ({free:,} bytes free), so no answer could be kept; "
                "free some space, then `rewardsmith resume RUN`; nothing that was paid for is lost"
            )

    def append(self, entry: LedgerEntry) -> None:
        """Write an answer down; when this returns it is on the disk.

        Raises:
            RunError: if it cannot be written; what was written before stays whole.
        """
        with self._lock:
            self._write_line(entry)
            self._entries.setdefault(entry.key, entry)

    def append_failure(self, attempt: FailedAttempt) -> None:
        """Write down a call that gave no answer.

        Raises:
            RunError: if it cannot be written; what was written before stays whole.
        """
        with self._lock:
            self._write_line(attempt)
            self._attempts.append(attempt)

    def _write_line(self, record: LedgerEntry | FailedAttempt) -> None:
        """Put a line on the disk.

        Raises:
            RunError: if it cannot be written.
        """
        line = (json.dumps(records.dump(record), separators=(",", ":")) + "\n").encode()
        try:
            self._append_line(line)
        except OSError as error:
            raise _unwritable_error(self._path, error) from error

    def _append_line(self, line: bytes) -> None:
        """Append the line where the last whole one ended, over what a crash may have left behind it."""
        with self._path.open("r+b" if self._path.exists() else "xb") as file:
            file.truncate(self._size)
            file.seek(self._size)
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        self._size += len(line)


def read_ledger(path: Path) -> tuple[LedgerEntry, ...]:
    """Return the answers of a ledger, oldest first.

    Raises:
        RunError: if it cannot be read, or a line other than the last is damaged.
    """
    return tuple(line for line in _read_lines(path)[0] if isinstance(line, LedgerEntry))


def sum_usage(parts: Iterable[ModelUsage]) -> ModelUsage:
    """Add up the use of calls; as soon as one cost is unknown, the sum's is.

    >>> sum_usage([ModelUsage(1, 100, 0.5), ModelUsage(1, 50, None)])
    ModelUsage(calls=2, tokens=150, cost_usd=None)
    """
    parts = tuple(parts)
    costs = [part.cost_usd for part in parts if part.cost_usd is not None]
    return ModelUsage(
        calls=sum(part.calls for part in parts),
        tokens=sum(part.tokens for part in parts),
        cost_usd=sum(costs) if len(costs) == len(parts) else None,
    )


def _most_usd(entry: LedgerEntry) -> float:
    """Return the most that an answered call can have cost this run."""
    spent = entry.spent
    return spent.cost_usd if spent.cost_usd is not None else entry.most_usd or 0.0


def _read_lines(path: Path) -> tuple[list[LedgerEntry | FailedAttempt], int]:
    """Read the lines; return them, and the size in bytes of the part that is whole."""
    calls: list[LedgerEntry | FailedAttempt] = []
    whole = 0  # what follows the last line break was torn by a crash
    try:
        for number, line in bounded_files.iter_lines(path):
            calls.append(_load_line(path, number, line))
            whole += len(line) + 1
    except OSError as error:
        raise RunError(f"cannot read the ledger {str(path)!r}: {error.strerror}") from error
    except DamagedFile as error:
        raise RunError(f"cannot read the ledger {str(path)!r}: {error.reason}") from error
    return calls, whole


def _load_line(path: Path, number: int, line: bytes) -> LedgerEntry | FailedAttempt:
    try:
        data = bounded_files.parse_json(line, path, number)
        is_answer = isinstance(data, dict) and "answer" in data
        kind: type[LedgerEntry] | type[FailedAttempt] = LedgerEntry if is_answer else FailedAttempt
        return records.load_from_file(kind, data, path, number)
    except DamagedFile as error:
        raise RunError(
            f"line {number} of the ledger {str(path)!r} is no recorded call: {error.reason}; restore the file, or "
            "remove that line (its call will be made again)"
        ) from error


def _unwritable_error(path: Path, error: OSError) -> UnwritableRun:
    why = bounded_files.explain_write_error(error)
    return UnwritableRun(
        f"cannot write the ledger {str(path)!r}: {why}, then `rewardsmith resume RUN`; all earlier answers are kept"
    )
