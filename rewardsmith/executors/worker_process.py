"""Worker process as the orchestrator sees it: started with a scrubbed environment, handed jobs, ended."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

from pydantic import ValidationError

from rewardsmith.contract import build_id, import_path, job_messages
from rewardsmith.contract.errors import WorkerFailed
from rewardsmith.spec.env_options import check_pass_env

PASSED_ON = (
    "PATH",
    "HOME",
    # Where the models of robots are kept.
    "XDG_CACHE_HOME",
    "LANG",
    "LC_ALL",
    "TMPDIR",
    "LD_LIBRARY_PATH",
    # Which GPUs there are, and where Warp keeps its compiled kernels.
    "CUDA_VISIBLE_DEVICES",
    "WARP_CACHE_PATH",
    "MUJOCO_GL",
    "PYOPENGL_PLATFORM",
    # Where transformers and the Hugging Face Hub keep the weights of open models.
    "HF_HOME",
    "HF_HUB_CACHE",
    "HF_HUB_OFFLINE",
    # Where the Docker engine is, and the image to start from: a worker opens the containers of its reward process.
    "DOCKER_HOST",
    "DOCKER_TLS_VERIFY",
    "DOCKER_CERT_PATH",
    "DOCKER_CONTEXT",
    "REWARDSMITH_SANDBOX_BASE",
)
"""Environment variables that a worker gets, with `FIXED` and no other: never a key."""
FIXED = {
    # Two processes with one thread each do as much as threads on four cores that wait for each other.
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "NUMEXPR_NUM_THREADS": "1",
    "VECLIB_MAXIMUM_THREADS": "1",
    "PYTHONHASHSEED": "0",
    "PYTHONUNBUFFERED": "1",
}
GRACE_S = 5.0
"""Seconds that a worker may take to end by itself."""


def scrub_environment(variables: Mapping[str, str], module_folder: Path | None = None) -> dict[str, str]:
    """Return the environment of a worker.

    >>> sorted(set(scrub_environment({"OPENAI_API_KEY": "sk", "PATH": "/bin"})) - set(FIXED))
    ['PATH', 'PYTHONSAFEPATH']

    Args:
        variables: environment variables of this process.
        module_folder: folder of a user's environment module; None for no such folder.
    """
    passed_on = {name: variables[name] for name in PASSED_ON if name in variables}
    return passed_on | import_path.build_import_environment(variables, module_folder) | FIXED


class JobChannel:
    """Connection to a running job: its messages in, decisions out; closes as a context."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._text = b""

    def __enter__(self) -> JobChannel:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._end.close()

    def receive(self, timeout_s: float | None) -> job_messages.JobMessage | None:
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
                    return job_messages.decode_message(line)
                continue
            self._end.settimeout(None if deadline is None else max(deadline - time.monotonic(), 1e-3))
            try:
                data = self._end.recv(65536)
            except ConnectionResetError:
                return None
            if not data:
                return None
            self._text += data

    def send_decision(self, go_on: bool) -> None:
        """Answer a training that waits at a rung; one that has died meanwhile is noticed by its messages."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._end.sendall(job_messages.GO_ON if go_on else job_messages.STOP)


class WorkerProcess:
    """A warm worker process; usable from many threads."""

    def __init__(self, memory_limit_mib: int | None, module_folder: Path | None = None, cores: int = 1) -> None:
        """Start it; it takes jobs at once and does them as soon as it is warm.

        Args:
            memory_limit_mib: resident memory of one job; None is no limit.
            module_folder: folder of a user's environment module; None for no such folder.
            cores: that its jobs may use together; one that trains alone steps its simulations on all of them.

        Raises:
            WorkerFailed: if the process cannot be started.
        """
        self._control, theirs = socket.socketpair()
        self._closing_lock, self._last_line = threading.Lock(), ""
        self._greeting_lock, self._greeting = threading.Lock(), b""
        self._log = tempfile.TemporaryFile()
        arguments = str(theirs.fileno()), str(memory_limit_mib or 0), str(cores)
        command = import_path.python_command("-m", "rewardsmith.worker", *arguments)
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=subprocess.STDOUT,
                env=scrub_environment(os.environ, module_folder),
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

    def open_job(self, kind: str, folder: Path, pass_env: Sequence[str] = ()) -> JobChannel:
        """Hand over the job of a folder.

        Args:
            kind: the job's, or "resident" for a process that stays.
            folder: where job.json is.
            pass_env: names of environment variables whose values its process gets; those that are not set are left out.

        Raises:
            TaskError: if a variable's name is that of a key.
            WorkerFailed: if the worker has died.
            Upgraded: if it is of another version.
        """
        self._await_greeting()
        # Names may come from the record of a run of somebody else's: they are checked here too.
        names = check_pass_env(pass_env, "pass_env")
        variables = {name: os.environ[name] for name in names if name in os.environ}

        ours, theirs = socket.socketpair()
        try:
            socket.send_fds(self._control, [_encode_request(kind, folder, variables)], [theirs.fileno()])
        except OSError as error:
            ours.close()
            raise WorkerFailed(self.exit_reason()) from error
        finally:
            theirs.close()
        return JobChannel(ours)

    def kill_job(self, folder: Path) -> None:
        """End the job of a folder early."""
        with contextlib.suppress(OSError):
            self._control.sendall(_encode_request("kill", folder))

    def close(self) -> None:
        """End the process and all its jobs; does nothing the second time."""
        with self._closing_lock:
            if self._log.closed:
                return
            with contextlib.suppress(OSError):
                self._control.shutdown(socket.SHUT_RDWR)  # wakes whoever waits for its greeting
            self._control.close()
            try:
                self._process.wait(GRACE_S)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
            self._log.seek(0)
            self._last_line = self._log.read().decode(errors="replace").strip().rpartition("\n")[2]
            self._log.close()

    def _await_greeting(self) -> None:
        """Wait once for the worker's greeting, which is its version."""
        with self._greeting_lock:
            while not self._greeting.endswith(b"\n"):
                try:
                    received = self._control.recv(1)
                except OSError:
                    received = b""
                if not received:
                    raise WorkerFailed(self.exit_reason())
                self._greeting += received
        build_id.check_same_build(self._greeting.decode(errors="replace").strip(), "a worker")

    def exit_reason(self) -> str:
        """End the process and return in a line why it died, as far as it printed a reason."""
        self.close()
        detail = f": {self._last_line}" if self._last_line else ""
        return f"the worker process ended with exit code {self._process.returncode}{detail}"


def _encode_request(verb: str, folder: Path, variables: Mapping[str, str] | None = None) -> bytes:
    return json.dumps([verb, str(folder), dict(variables or {})]).encode() + b"\n"
