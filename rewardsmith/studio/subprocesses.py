"""Commands that the studio starts as processes: `rewardsmith design`, `refine`, `resume` and `video`.

A training ends with its studio and with the stop button: both send the interrupt that Ctrl-C sends, after which
`rewardsmith resume` continues. The output of a command goes to a file, whose last line tells why it failed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from rewardsmith.contract import import_path
from rewardsmith.contract.errors import UserError
from rewardsmith.report.text import replace_control_chars

PATIENCE_S = 15.0
"""How long an interrupted command may take to stop its workers."""
MAX_COMMANDS = 4
"""Commands at the same time: repeated clicks must not overload the machine."""
TAIL_BYTES = 4_000
"""Bytes at the end of a log in which the last line is looked for."""
INTERRUPTED = 130
"""Exit code of a command after Ctrl-C, which is not a failure."""


@dataclass(frozen=True)
class CommandState:
    """State of a command that was started."""

    running: bool
    failure: str | None
    """Why it failed, in a line; None while it runs and if it did not fail."""


class Subprocesses:
    """Commands of one studio, each under a key that the caller chooses; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._folder = tempfile.TemporaryDirectory(prefix="rewardsmith-studio-")
        self._processes: dict[str, tuple[subprocess.Popen[bytes], Path]] = {}

    def start(self, key: str, arguments: Sequence[str]) -> None:
        """Start `rewardsmith ARGUMENTS` under a key.

        Raises:
            UserError: if the command of this key is running already, or too many are.
        """
        with self._lock:
            running = [other for other, (process, _) in self._processes.items() if process.poll() is None]
            if key in running:
                raise UserError("this is already running")
            if len(running) >= MAX_COMMANDS:
                raise UserError(f"{len(running)} commands are running; wait until one of them ends")
            log = Path(self._folder.name) / f"{len(self._processes)}-{os.urandom(4).hex()}.log"
            with log.open("wb") as file:
                # In its own session, so that Ctrl-C in the studio's terminal reaches it only once, through `close`.
                process = subprocess.Popen(
                    import_path.python_command("-m", "rewardsmith", *arguments),
                    stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT, start_new_session=True,
                    env=_build_environment(),
                )  # fmt: skip
            self._processes[key] = (process, log)

    def get_state(self, key: str) -> CommandState | None:
        """Return the state of a key's command; None if none was started."""
        with self._lock:
            entry = self._processes.get(key)
        if entry is None:
            return None
        process, log = entry
        exit_code = process.poll()
        has_failed = exit_code is not None and exit_code not in (0, INTERRUPTED)
        return CommandState(exit_code is None, _read_last_message(log) if has_failed else None)

    def list_states(self, prefix: str = "") -> dict[str, CommandState]:
        """Return the states of the commands whose keys begin with a prefix, in the order of their start."""
        with self._lock:
            keys = [key for key in self._processes if key.startswith(prefix)]
        return {key: state for key in keys if (state := self.get_state(key))}

    def stop(self, key: str) -> None:
        """Interrupt a command as Ctrl-C does, without waiting for its end."""
        with self._lock:
            entry = self._processes.get(key)
        if entry and entry[0].poll() is None:
            with suppress(ProcessLookupError):
                entry[0].send_signal(signal.SIGINT)

    def close(self) -> list[str]:
        """Stop every command; return the keys of those that were still running."""
        stopped = [key for key, state in self.list_states().items() if state.running]
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


def _build_environment() -> dict[str, str]:
    """Return the environment of a command: this process's, with an import path on which no run directory is."""
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return inherited | import_path.build_import_environment(os.environ)


def _read_last_message(log: Path) -> str:
    """Return the last error in a command's output, else its last line."""
    try:
        text = log.read_bytes()[-TAIL_BYTES:].decode("utf-8", "replace")
    except OSError:
        text = ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line.removeprefix("rewardsmith: ") for line in lines if line.startswith("rewardsmith: ")]
    messages = errors or lines or ["it ended without a message"]
    return replace_control_chars(messages[-1])
