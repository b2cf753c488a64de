"""Parts of the worker's forked and spawned processes: their end with their parent, their log, memory and result."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import socket
import sys
from pathlib import Path

from rewardsmith.contract import job_messages

PR_SET_PDEATHSIG = 1


def read_resident_mib(pid: int) -> int:
    """Return the resident memory of a process in MiB; 0 where it has ended, or where this is not Linux."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return 0
    return pages * resource.getpagesize() // (1 << 20)


def die_with_parent(parent: int) -> None:
    """Let Linux kill this process when its parent ends; end at once where it has ended already.

    Args:
        parent: number of the parent's process.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def redirect_output(path: Path) -> None:
    """Append what this process prints to a file."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)


def report_job_end(line: socket.socket, code: int, cause: str | None) -> None:
    """Tell the orchestrator how a job ended, and close the job's line.

    Args:
        line: the job's own socket to the orchestrator.
        code: exit code of the job's process; minus the signal's number where a signal killed it.
        cause: reason for which the worker killed the process; None where it did not.
    """
    crash = job_messages.encode_message(job_messages.JobCrashed(cause)) if cause else b""
    # The process may have left half a line, which a newline ends.
    with contextlib.suppress(OSError):  # the orchestrator may have given the job up
        line.sendall(b"\n" + crash + job_messages.encode_message(job_messages.JobEnded(code)))
    line.close()
