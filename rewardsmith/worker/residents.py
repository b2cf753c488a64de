"""Processes that stay: each does one job after another, and keeps what a fork cannot take along.

A CUDA context does not survive a fork, and kernels are compiled for minutes. So a family that computes on a GPU has a
spawned process for each GPU (on a machine without one, a single process). A process whose job crashed ends, as its
context may be broken: that costs one job, and the next one gets a new process.

The process is `python -m rewardsmith.worker.residents FD CORES`. On its socket come lines [FOLDER, VARIABLES], each
with the job's own line to the orchestrator; it answers with the exit code that a forked job would have had.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from rewardsmith.contract import gpus, import_path
from rewardsmith.worker import run_job
from rewardsmith.worker.core_share import CoreShare
from rewardsmith.worker.job_process import die_with_parent, read_resident_mib, redirect_output, report_job_end

SOUND_CODES = (0, run_job.REFUSED)
"""Exit codes of a job after which its process does the next one."""
CUDA_MIB = 8_192
"""Memory that the libraries of torch and Warp may take in a process with a GPU, beside what its jobs use."""


class ResidentProcess:
    """A process that stays, as the worker sees it."""

    def __init__(self, gpu: str | None, cores: int) -> None:
        """Start it.

        Args:
            gpu: that it computes on, as `CUDA_VISIBLE_DEVICES` names it; None without one.
            cores: that its job may use.
        """
        self.gpu = gpu
        self.control, theirs = socket.socketpair()
        self.folder: Path | None = None
        """Folder of the running job; None while it waits for one."""
        self.cause: str | None = None
        """Reason for which the worker killed it."""
        self._line: socket.socket | None = None
        self._base_mib = 0
        variables = os.environ | ({gpus.VARIABLE: gpu} if gpu is not None else {})
        command = import_path.python_command("-m", "rewardsmith.worker.residents", str(theirs.fileno()), str(cores))
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, env=variables, pass_fds=(theirs.fileno(),), process_group=0
        )
        theirs.close()

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    def is_alive(self) -> bool:
        """Return whether it runs; one that has ended is still to be reaped."""
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None

    def start_job(self, folder: Path, line: socket.socket, variables: Mapping[str, str]) -> None:
        """Hand a job over; a process that has died meanwhile is noticed when it is reaped."""
        self.folder, self._line = folder, line
        self._base_mib = read_resident_mib(self.pid)
        with contextlib.suppress(OSError):
            socket.send_fds(
                self.control, [json.dumps([str(folder), dict(variables)]).encode() + b"\n"], [line.fileno()]
            )

    def count_used_mib(self) -> int:
        """Return by how much the running job has enlarged the process, the libraries of a GPU left out."""
        libraries_mib = 0 if self.gpu is None else CUDA_MIB
        return read_resident_mib(self.pid) - self._base_mib - libraries_mib if self.folder else 0

    def kill(self, cause: str | None = None) -> None:
        """End it with its job."""
        self.cause = cause or self.cause
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def finish_job(self, code: int) -> None:
        """Tell the orchestrator how the running job ended."""
        if self._line is not None:
            report_job_end(self._line, code, self.cause)
            self.folder = self._line = None

    def forget(self, code: int) -> None:
        """Take note that the process has ended and was reaped."""
        self._process.returncode = code
        self.finish_job(code)
        self.control.close()


class ResidentPool:
    """The processes of one worker; another one is started where all of them have a job."""

    def __init__(self, cores: int) -> None:
        self._cores = cores
        self._processes: dict[int, ResidentProcess] = {}

    def __contains__(self, pid: int) -> bool:
        return pid in self._processes

    def __iter__(self) -> Iterator[ResidentProcess]:
        return iter(tuple(self._processes.values()))

    def start_job(self, folder: Path, line: socket.socket, variables: Mapping[str, str]) -> None:
        """Hand a job to a process that waits for one, or to a new one on the GPU with the fewest processes."""
        idle = next((process for process in self if process.folder is None and process.is_alive()), None)
        if idle is None:
            taken = [process.gpu for process in self]
            gpu = min(gpus.list_gpus(os.environ), key=taken.count, default=None)
            idle = ResidentProcess(gpu, self._cores)
            self._processes[idle.pid] = idle
        idle.start_job(folder, line, variables)

    def receive(self, control: socket.socket) -> None:
        """Read the answer of a process: the code of its job. One whose job crashed ends, and gets no further job."""
        process = next(process for process in self if process.control is control)
        try:
            answer = process.control.recv(64)
        except ConnectionResetError:  # it died with a request unread
            answer = b""
        code = int(answer) if answer else None
        if code is not None:
            process.finish_job(code)
        if code not in SOUND_CODES:
            self._processes.pop(process.pid)
            process.kill()
            _, status = os.waitpid(process.pid, 0)
            process.forget(os.waitstatus_to_exitcode(status))

    def forget(self, pid: int, code: int) -> None:
        """Take note that a process has ended and was reaped."""
        self._processes.pop(pid).forget(code)

    def kill_job(self, folder: Path) -> None:
        """End the job of a folder, with its process."""
        for process in self:
            if process.folder == folder:
                process.kill()

    def kill_all(self) -> None:
        """End every process, and wait for it."""
        for process in self:
            process.kill()
            os.waitpid(process.pid, 0)
            self.forget(process.pid, -signal.SIGKILL)


def main(control: socket.socket, cores: int) -> None:
    """Do jobs until the worker closes its end, or one crashes."""
    share, partial = CoreShare(cores), b""
    while True:
        data, descriptors, _, _ = socket.recv_fds(control, 65536, 1)
        if not data:
            return
        partial += data
        if not partial.endswith(b"\n"):
            continue
        folder, variables = json.loads(partial)
        partial = b""
        line = socket.socket(fileno=descriptors[0])
        code = _do_job(Path(folder), line, variables, share)
        control.sendall(b"%d\n" % code)
        if code not in SOUND_CODES:
            return


def _do_job(folder: Path, line: socket.socket, variables: Mapping[str, str], share: CoreShare) -> int:
    redirect_output(folder / "worker.log")
    before, home = dict(os.environ), Path.cwd()
    os.environ.update(variables)
    try:
        return run_job.main(folder, line, share)
    finally:
        os.environ.clear()
        os.environ.update(before)
        line.close()
        os.chdir(home)  # where relative paths of the next job begin
        sys.stdout.flush()
        sys.stderr.flush()
        ctypes.CDLL(None).fflush(None)  # what kernels printed


if __name__ == "__main__":
    die_with_parent(os.getppid())
    import_path.append_module_folder()
    main(socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2]))
