"""The warm worker: it has loaded torch and the simulator, and forks a process for each job it is handed.

The orchestrator holds the other end of `control`. It reads the worker's version there, then writes a line per job,
[KIND, FOLDER], together with one end of a socket pair. That socket is the job's own line to the orchestrator: the
forked process reports on it, and when it has ended the worker adds `Ended`. A request ["kill", FOLDER] ends a job
early.

Every job leads a process group of its own, which is swept when the job ends. When the orchestrator goes away, however
it ends, `control` reads as closed and the worker ends with all its jobs; when the worker is killed, Linux kills them.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import json
import os
import resource
import select
import signal
import socket
import sys
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rewardsmith.contract import job_messages, records
from rewardsmith.worker import run_job

EVERY_JOB = ("gymnasium.envs.mujoco", "rewardsmith.worker.evaluate", "rewardsmith.worker.probe")
TRAININGS = ("rewardsmith.worker.training.train",)
"""Modules that, with what they import, make up nearly all of a job's start; torch is loaded for the first training."""
WATCH_S = 1.0
"""How often memory is looked at."""
PR_SET_PDEATHSIG = 1


def preload(modules: Sequence[str]) -> None:
    """Load modules once, and move them out of the garbage collector's sight, so that forks share their pages."""
    for module in modules:
        importlib.import_module(module)
    gc.collect()
    gc.freeze()


@dataclass
class _Child:
    folder: Path
    line: socket.socket
    cause: str | None = None
    """Why the worker killed it."""


class Server:
    """Starts, kills and reaps the processes of jobs; one thread."""

    def __init__(self, control: socket.socket, memory_limit_mib: int) -> None:
        """Take no request yet.

        Args:
            control: the line to the orchestrator.
            memory_limit_mib: resident memory of a job's process, watched on Linux; 0 is no limit.
        """
        self._control = control
        self._memory_limit_mib = memory_limit_mib
        self._children: dict[int, _Child] = {}
        self._text = b""
        self._lines: deque[socket.socket] = deque()
        self._to_load: dict[str, Sequence[str]] = {"train": TRAININGS}

    def serve(self) -> None:
        """Work until the orchestrator hangs up; leave no process behind."""
        preload(EVERY_JOB)
        run_job.read(json.dumps(records.dump(records.ProbeJob(records.EnvSpec(""), 0, 1))))
        woken = _wake_on_child()
        try:
            while self._receive_when_ready(woken):
                self._reap()
                self._watch_memory()
        finally:
            for pid in self._children:
                os.killpg(pid, signal.SIGKILL)
                os.waitpid(pid, 0)

    def _receive_when_ready(self, woken: socket.socket) -> bool:
        """Wait for the orchestrator or the end of a child; return False once the orchestrator has hung up."""
        patience = WATCH_S if self._memory_limit_mib and self._children else None
        ready, _, _ = select.select([self._control, woken], [], [], patience)
        if woken in ready:
            woken.recv(4096)
        return self._control not in ready or self._receive()

    def _receive(self) -> bool:
        data, fds, _, _ = socket.recv_fds(self._control, 65536, 16)
        self._lines.extend(socket.socket(fileno=fd) for fd in fds)
        *requests, self._text = (self._text + data).split(b"\n")
        for request in requests:
            verb, folder = json.loads(request)
            if verb == "kill":
                self._kill(Path(folder))
            else:
                preload(self._to_load.pop(verb, ()))
                self._start(Path(folder), self._lines.popleft())
        return bool(data)

    def _start(self, folder: Path, line: socket.socket) -> None:
        worker = os.getpid()
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                self._prepare(folder, worker)
                code = run_job.main(folder, line)
                sys.stdout.flush()
                sys.stderr.flush()
            finally:
                os._exit(code)
        # Both sides make the group, as either may be first to need it.
        _lead_group(pid)
        self._children[pid] = _Child(folder, line)

    def _prepare(self, folder: Path, worker: int) -> None:
        """Turn the fork into a process of its own, which knows nothing of the others."""
        _lead_group(0)
        _die_with(worker)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._control.close()
        for other in self._children.values():
            other.line.close()
        _log_to(folder / "worker.log")

    def _kill(self, folder: Path) -> None:
        for pid, child in self._children.items():
            if child.folder == folder:
                os.killpg(pid, signal.SIGKILL)

    def _watch_memory(self) -> None:
        for pid, child in self._children.items():
            used = _resident_mib(pid) if self._memory_limit_mib else 0
            if used > self._memory_limit_mib:
                child.cause = f"the job used {used} MiB of memory, limits.memory_mib allows {self._memory_limit_mib}"
                os.killpg(pid, signal.SIGKILL)

    def _reap(self) -> None:
        """Tell the orchestrator of the processes that have ended, and sweep what they started."""
        while self._children:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if ended is None:
                return
            # Not reaped yet, so that the group's number cannot belong to anybody else.
            child = self._children.pop(ended.si_pid)
            os.killpg(ended.si_pid, signal.SIGKILL)
            _, status = os.waitpid(ended.si_pid, 0)
            # It may have left half a line.
            last = b"\n" + (job_messages.encode(job_messages.Crashed(child.cause)) if child.cause else b"")
            with contextlib.suppress(OSError):  # the orchestrator may have given the job up
                child.line.sendall(last + job_messages.encode(job_messages.Ended(os.waitstatus_to_exitcode(status))))
            child.line.close()


def _wake_on_child() -> socket.socket:
    woken, waker = socket.socketpair()
    woken.setblocking(False)
    waker.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(waker.detach())
    return woken


def _lead_group(pid: int) -> None:
    with contextlib.suppress(PermissionError, ProcessLookupError):  # it may have ended already
        os.setpgid(pid, 0)


def _resident_mib(pid: int) -> int:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return 0  # it has ended, or this is not Linux
    return pages * resource.getpagesize() // (1 << 20)


def _die_with(parent: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _log_to(path: Path) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
