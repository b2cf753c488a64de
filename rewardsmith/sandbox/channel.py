"""The interface between the trusted end of a reward process, which is always the same, and its backends."""

from __future__ import annotations

import signal
from typing import Protocol

from rewardsmith.contract.errors import WorkerFailed
from rewardsmith.sandbox.inside import wire
from rewardsmith.sandbox.inside.wire import Array

START_TIMEOUT_S = 30.0
"""Wall clock until a process is sealed; that takes milliseconds here, a second in a container."""


class ProcessHangup(Exception):
    """Raised when a reward process ended instead of answering; says how, as the program's author should read it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Channel(Protocol):
    """A running reward process of any backend."""

    capacity: int
    """The most transitions of one call."""

    def inputs(self, n: int) -> wire.Inputs:
        """Return the arrays to fill before a call."""

    def call(self, n: int, rows: int, timeout_s: float) -> None:
        """Ask for the scores of the transitions that lie in `inputs(n)`, `rows` of them at each step in time.

        Raises:
            TimeoutError: if the process does not take them in time.
        """

    def answer(self, n: int, timeout_s: float) -> tuple[int, bytes]:
        """Wait for a message, the answer to a call of n transitions or an earlier one; return its kind and payload.

        Raises:
            TimeoutError: if it does not come in time.
            ProcessHangup: if the program ended the process.
            WorkerFailed: if something else ended it.
            ValueError: if what came is no message.
        """

    def outputs(self, n: int, terms: int) -> Array:
        """Return a copy, out of the process's reach, of the outputs (m + terms, n) of the last answer."""

    def close(self) -> None:
        """End the process. May be called twice."""


def build_exit_error(status: int) -> Exception:
    """Build the error for a process that ended instead of answering.

    Args:
        status: its exit code, or minus the number of the signal that ended it.
    """
    if status == -signal.SIGSYS:
        return ProcessHangup("killed", "the program tried a forbidden system call")
    if status == -signal.SIGKILL:
        return WorkerFailed("a reward process was killed from outside (SIGKILL); is the machine short of memory?")
    if status < 0:
        return ProcessHangup("killed", f"the program crashed its interpreter ({signal.Signals(-status).name})")
    return ProcessHangup("killed", f"the program ended its process (exit code {status})")
