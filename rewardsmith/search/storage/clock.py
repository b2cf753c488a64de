"""Clock of a run: how long it has been worked on in all its sessions, kept in a small file."""

from __future__ import annotations

import contextlib
import json
import math
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from rewardsmith.contract import records
from rewardsmith.contract.bounded_files import read_json

EVERY_S = 5.0
"""Seconds between two writes of the time: a kill loses no more than that."""


class Clock:
    """Counts while it is open, as a context; the journal stays free of times on which something is decided."""

    def __init__(self, path: Path, every_s: float = EVERY_S) -> None:
        """Read the time of earlier sessions; a file that cannot be read counts as none.

        Args:
            path: of the file.
            every_s: how often it is written.
        """
        self._path, self._every_s = path, every_s
        self._earlier_s, self._began = _read_seconds(path), time.monotonic()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._tick, daemon=True)

    def __enter__(self) -> Self:
        self._began = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._closed.set()
        self._thread.join()
        self._write()

    @property
    def wall_s(self) -> float:
        """Seconds of all sessions together."""
        return self._earlier_s + time.monotonic() - self._began

    def _tick(self) -> None:
        while not self._closed.wait(self._every_s):
            self._write()

    def _write(self) -> None:
        # A full disk is reported by the journal, which cannot go on without it.
        with contextlib.suppress(OSError):
            records.write_text(self._path, json.dumps({"wall_s": round(self.wall_s, 3)}) + "\n")


def _read_seconds(path: Path) -> float:
    try:
        seconds = float(read_json(path)["wall_s"])
    except (OSError, ValueError, TypeError, KeyError, OverflowError):
        return 0.0
    return seconds if math.isfinite(seconds) and seconds > 0.0 else 0.0
