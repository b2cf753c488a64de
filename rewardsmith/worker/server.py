"""The warm worker: it has loaded torch and the simulator, and forks a process for each job.

The orchestrator holds the other end of `control`. It reads the worker's version there, then writes a line per job,
[KIND, FOLDER], together with one end of a socket pair. That socket is the job's own line to the orchestrator: the
forked process reports on it, and when it has ended the worker adds `JobEnded`. A request ["kill", FOLDER] ends a job
early. A job of the kind "resident" is done by a process that stays (`residents`), in place of a fork.

Every job leads a process group of its own, which is swept when the job ends. When the orchestrator goes away, however
it ends, `control` reads as closed and the worker ends with all its jobs; when the worker is killed, Linux kills them.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rewardsmith.contract import records
from rewardsmith.worker import run_job
from rewardsmith.worker.core_share import CoreShare
from rewardsmith.worker.job_process import die_with_parent, read_resident_mib, redirect_output, report_job_end
from rewardsmith.worker.residents import ResidentPool

PRELOADED_MODULES = ("gymnasium.envs.mujoco", "rewardsmith.worker.evaluate", "rewardsmith.worker.probe")
TRAINING_MODULES = ("rewardsmith.worker.training.train",)
"""Modules whose import takes nearly all of a job's start; torch is loaded for the first training."""
WATCH_S = 1.0
"""Interval between two checks of the jobs' memory."""


def preload_modules(modules: Sequence[str]) -> None:
    """Import modules once, and freeze them for the garbage collector, so that forks share their pages."""
    for module in modules:
        importlib.import_module(module)
    gc.collect()
    gc.freeze()


@dataclass
class _JobProcess:
    folder: Path
    line: socket.socket
    cause: str | None = None
    """Reason for which the worker killed it."""


class Server:
    """Single-threaded server that starts, kills and reaps the processes of jobs."""

    def __init__(self, control: socket.socket, memory_limit_mib: int, cores: int) -> None:
        """Prepare to serve; `serve` takes the requests.

        Args:
            control: the socket to the orchestrator.
            memory_limit_mib: resident memory of a job's process, watched on Linux; 0 is no limit.
            cores: that the jobs may use together.
        """
        self._cores = CoreShare(cores)
        self._residents = ResidentPool(cores)
        self._control = control
        self._memory_limit_mib = memory_limit_mib
        self._children: dict[int, _JobProcess] = {}
        self._partial_request = b""
        self._job_sockets: deque[socket.socket] = deque()
        """Sockets of jobs whose request has not been read yet."""
        self._modules_to_load: dict[str, Sequence[str]] = {"train": TRAINING_MODULES}

    def serve(self) -> None:
        """Serve requests until the orchestrator closes its end; leave no process behind."""
        preload_modules(PRELOADED_MODULES)
        # The validators of job.json are built once, before the forks.
        records.load_job(records.dump(records.ProbeJob(records.EnvSpec(""), 0, 1)))
        child_ended = _open_child_signal()
        try:
            while self._receive_when_ready(child_ended):
                self._reap_jobs()
                self._kill_over_memory_limit()
        finally:
            for pid in self._children:
                os.killpg(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            self._residents.kill_all()

    def _receive_when_ready(self, child_ended: socket.socket) -> bool:
        """Wait for the orchestrator or the end of a child; return False once the orchestrator has closed its end."""
        residents = [process.control for process in self._residents]
        timeout_s = WATCH_S if self._memory_limit_mib and (self._children or residents) else None
        ready, _, _ = select.select([self._control, child_ended, *residents], [], [], timeout_s)
        if child_ended in ready:
            child_ended.recv(4096)
        for control in residents:
            if control in ready:
                self._residents.receive(control)
        return self._control not in ready or self._receive_requests()

    def _receive_requests(self) -> bool:
        """Read and do requests; return False at the end of the stream."""
        data, descriptors, _, _ = socket.recv_fds(self._control, 65536, 16)
        self._job_sockets.extend(socket.socket(fileno=descriptor) for descriptor in descriptors)
        *requests, self._partial_request = (self._partial_request + data).split(b"\n")
        for request in requests:
            kind, folder, variables = json.loads(request)
            if kind == "kill":
                self._kill_job(Path(folder))
            elif kind == "resident":
                self._residents.start_job(Path(folder), self._job_sockets.popleft(), variables)
            else:
                preload_modules(self._modules_to_load.pop(kind, ()))
                self._start_job(Path(folder), self._job_sockets.popleft(), variables)
        return bool(data)

    def _start_job(self, folder: Path, line: socket.socket, variables: Mapping[str, str]) -> None:
        """Start the process of a job, which gets these environment variables besides the worker's own."""
        worker = os.getpid()
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                self._detach_fork(folder, worker)
                os.environ.update(variables)
                code = run_job.main(folder, line, self._cores)
                sys.stdout.flush()
                sys.stderr.flush()
            finally:
                os._exit(code)
        # Parent and child both make the process group, as either may need it first.
        _lead_group(pid)
        self._children[pid] = _JobProcess(folder, line)
        self._cores.set_jobs(len(self._children))

    def _detach_fork(self, folder: Path, worker: int) -> None:
        """Separate the forked process from the worker and from the other jobs."""
        _lead_group(0)
        die_with_parent(worker)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._control.close()
        for other in self._children.values():
            other.line.close()
        for process in self._residents:
            process.control.close()
        redirect_output(folder / "worker.log")

    def _kill_job(self, folder: Path) -> None:
        for pid, child in self._children.items():
            if child.folder == folder:
                os.killpg(pid, signal.SIGKILL)
        self._residents.kill_job(folder)

    def _kill_over_memory_limit(self) -> None:
        limit_mib = self._memory_limit_mib
        for pid, child in self._children.items():
            used = read_resident_mib(pid) if limit_mib else 0
            if used > limit_mib:
                child.cause = _explain_memory(used, limit_mib)
                os.killpg(pid, signal.SIGKILL)
        for process in self._residents:
            used = process.count_used_mib() if limit_mib else 0
            if used > limit_mib:
                process.kill(_explain_memory(used, limit_mib))

    def _reap_jobs(self) -> None:
        """Report processes that have ended to the orchestrator, and end what they started."""
        while self._children or tuple(self._residents):
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if ended is None:
                return
            # End the group before its leader is reaped: until then no other group can get its number.
            pid = ended.si_pid
            os.killpg(pid, signal.SIGKILL)
            _, status = os.waitpid(pid, 0)
            code = os.waitstatus_to_exitcode(status)

            if pid in self._residents:
                self._residents.forget(pid, code)
            else:
                child = self._children.pop(pid)
                self._cores.set_jobs(len(self._children))
                report_job_end(child.line, code, child.cause)


def _explain_memory(used_mib: int, limit_mib: int) -> str:
    return f"the job used {used_mib} MiB of memory, limits.memory_mib allows {limit_mib}"


def _open_child_signal() -> socket.socket:
    """Return a socket that becomes readable when a child process ends."""
    receiver, sender = socket.socketpair()
    receiver.setblocking(False)
    sender.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(sender.detach())
    return receiver


def _lead_group(pid: int) -> None:
    with contextlib.suppress(PermissionError, ProcessLookupError):  # it may have ended already
        os.setpgid(pid, 0)
