"""The commands that the studio starts: `rewardsmith design`, `refine`, `resume` and `video`, each a process of its own.

A training outlives neither its studio nor a stop button: both send the interrupt that Ctrl-C sends, after which
`rewardsmith resume` goes on where it was. What a command prints goes to a file, whose last line tells why one failed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from rewardsmith.contract.errors import UserError
from rewardsmith.report.text import plain

PATIENCE_S = 15.0
"""How long an interrupted command may take to stop its workers."""
MOST = 4
"""Commands at once: a click too many must not take the machine down."""
TAIL_BYTES = 4_000


@dataclass(frozen=True)
class Child:
    """How a started command stands."""

    running: bool
    failure: str | None
    """Why it failed, in a line; None while it runs and if it did not."""


class Children:
    """The commands of one studio, each under a key of the caller's; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._folder = tempfile.TemporaryDirectory(prefix="rewardsmith-studio-")
        self._processes: dict[str, tuple[subprocess.Popen[bytes], Path]] = {}

    def start(self, key: str, arguments: Sequence[str]) -> None:
        """Start `rewardsmith ARGUMENTS` under a key.

        Raises:
            UserError: if what the key stands for is under way already, or too much is.
        """
        with self._lock:
            alive = [other for other, (process, _) in self._processes.items() if process.poll() is None]
            if key in alive:
                raise UserError("this is under way already")
            if len(alive) >= MOST:
                raise UserError(f"{len(alive)} commands are under way; wait for one of them")
            log = Path(self._folder.name) / f"{len(self._processes)}-{os.urandom(4).hex()}.log"
            with log.open("wb") as file:
                # A session of its own: Ctrl-C in the studio's terminal reaches it once, through `close`.
                process = subprocess.Popen(
                    [sys.executable, "-m", "rewardsmith", *arguments],
                    stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT, start_new_session=True,
                )  # fmt: skip
            self._processes[key] = (process, log)

    def state(self, key: str) -> Child | None:
        """Return how the command of a key stands; None where none was started."""
        with self._lock:
            known = self._processes.get(key)
        if known is None:
            return None
        process, log = known
        code = process.poll()
        return Child(code is None, _last_words(log) if code and code != 130 else None)

    def states(self, prefix: str = "") -> dict[str, Child]:
        """Return how the commands stand whose keys begin so, in the order of their start."""
        with self._lock:
            keys = [key for key in self._processes if key.startswith(prefix)]
        return {key: state for key in keys if (state := self.state(key))}

    def stop(self, key: str) -> None:
        """Interrupt a command, as Ctrl-C would; returns at once."""
        with self._lock:
            known = self._processes.get(key)
        if known and known[0].poll() is None:
            with suppress(ProcessLookupError):
                known[0].send_signal(signal.SIGINT)

    def close(self) -> list[str]:
        """Stop every command; return the keys of those that were still running."""
        stopped = [key for key, state in self.states().items() if state.running]
        for key in stopped:
            self.stop(key)
        for process, _ in self._processes.values():
            try:
                process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        self._folder.cleanup()
        return stopped


def _last_words(log: Path) -> str:
    try:
        text = log.read_bytes()[-TAIL_BYTES:].decode("utf-8", "replace")
    except OSError:
        text = ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    told = [line.removeprefix("rewardsmith: ") for line in lines if line.startswith("rewardsmith: ")]
    return plain((told or lines or ["it ended without a word"])[-1])
