"""The orchestrator's end of a worker: starts its process with a scrubbed environment, hands it jobs, ends it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from pydantic import ValidationError

from rewardsmith.contract import build_id, job_messages
from rewardsmith.contract.errors import WorkerFailed

PASSED_ON = (
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TMPDIR",
    "PYTHONPATH",
    "LD_LIBRARY_PATH",
    "MUJOCO_GL",
    "PYOPENGL_PLATFORM",
    # Where the Docker engine is, and the image to start from: a worker opens the containers of its reward process.
    "DOCKER_HOST",
    "DOCKER_TLS_VERIFY",
    "DOCKER_CERT_PATH",
    "DOCKER_CONTEXT",
    "REWARDSMITH_SANDBOX_BASE",
)
"""Environment variables that a worker gets, and none beside `FIXED`: never a key."""
FIXED = {
    # Two processes with one thread each do as much as four cores' worth of threads that wait for each other.
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "NUMEXPR_NUM_THREADS": "1",
    "VECLIB_MAXIMUM_THREADS": "1",
    "PYTHONHASHSEED": "0",
    "PYTHONUNBUFFERED": "1",
}
GRACE_S = 5.0
"""How long a worker may take to end on its own."""


def scrubbed(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a worker.

    >>> sorted(set(scrubbed({"OPENAI_API_KEY": "sk", "PATH": "/bin"})) - set(FIXED))
    ['PATH']
    """
    return {name: environment[name] for name in PASSED_ON if name in environment} | FIXED


class Line:
    """A running job's line: its messages in, decisions out; closes as a context."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._text = b""

    def __enter__(self) -> Line:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._end.close()

    def receive(self, timeout_s: float | None) -> job_messages.Message | None:
        """Wait for the next message; None when no process is left at the other end.

        Raises:
            TimeoutError: if none comes in time.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            line, newline, rest = self._text.partition(b"\n")
            if newline:
                self._text = rest
                # A process that is killed while it writes leaves a torn line.
                with contextlib.suppress(ValidationError, json.JSONDecodeError, UnicodeDecodeError):
                    return job_messages.decode(line)
                continue
            self._end.settimeout(None if deadline is None else max(deadline - time.monotonic(), 1e-3))
            try:
                data = self._end.recv(65536)
            except ConnectionResetError:
                return None
            if not data:
                return None
            self._text += data

    def answer(self, go_on: bool) -> None:
        """Tell a training that waits at a rung; one that has died meanwhile says so by its own messages."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._end.sendall(job_messages.GO_ON if go_on else job_messages.STOP)


class Worker:
    """A warm worker process; usable from many threads."""

    def __init__(self, memory_limit_mib: int | None) -> None:
        """Start it; it takes jobs at once and does them as soon as it is warm.

        Args:
            memory_limit_mib: resident memory of one job; None is no limit.

        Raises:
            WorkerFailed: if the process cannot be started.
        """
        self._control, theirs = socket.socketpair()
        self._ending, self._last_words = threading.Lock(), ""
        self._meeting, self._greeting = threading.Lock(), b""
        self._log = tempfile.TemporaryFile()
        command = [sys.executable, "-m", "rewardsmith.worker", str(theirs.fileno()), str(memory_limit_mib or 0)]
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=subprocess.STDOUT,
                env=scrubbed(os.environ),
                pass_fds=(theirs.fileno(),),
                start_new_session=True,  # so that Ctrl-C reaches the orchestrator alone
            )
        except OSError as error:
            raise WorkerFailed(f"cannot start a worker process: {error}") from error
        finally:
            theirs.close()

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def open(self, kind: str, folder: Path) -> Line:
        """Hand over the job of a folder; `kind` is the job's.

        Raises:
            WorkerFailed: if the worker has died.
            Upgraded: if it is of another version.
        """
        self._meet()
        ours, theirs = socket.socketpair()
        try:
            socket.send_fds(self._control, [_request(kind, folder)], [theirs.fileno()])
        except OSError as error:
            ours.close()
            raise WorkerFailed(self.obituary()) from error
        finally:
            theirs.close()
        return Line(ours)

    def kill(self, folder: Path) -> None:
        """End the job of a folder early."""
        with contextlib.suppress(OSError):
            self._control.sendall(_request("kill", folder))

    def close(self) -> None:
        """End the process and all its jobs; does nothing the second time."""
        with self._ending:
            if self._log.closed:
                return
            with contextlib.suppress(OSError):
                self._control.shutdown(socket.SHUT_RDWR)  # wakes whoever waits for its first words
            self._control.close()
            try:
                self._process.wait(GRACE_S)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
            self._log.seek(0)
            self._last_words = self._log.read().decode(errors="replace").strip().rpartition("\n")[2]
            self._log.close()

    def _meet(self) -> None:
        """Wait once for the worker's first words, which are its version."""
        with self._meeting:
            while not self._greeting.endswith(b"\n"):
                try:
                    said = self._control.recv(1)
                except OSError:
                    said = b""
                if not said:
                    raise WorkerFailed(self.obituary())
                self._greeting += said
        build_id.check(self._greeting.decode(errors="replace").strip(), "a worker")

    def obituary(self) -> str:
        """End the process and say in a line why it died, as far as it told."""
        self.close()
        said = f": {self._last_words}" if self._last_words else ""
        return f"the worker process ended with exit code {self._process.returncode}{said}"


def _request(verb: str, folder: Path) -> bytes:
    return json.dumps([verb, str(folder)]).encode() + b"\n"
