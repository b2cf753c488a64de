"""Background jobs of a server: a thread each, with progress that can be read, and an end that can be asked for.

A job is cancelled by what it registered with `add_cleanup`: closing its executor ends the worker's processes, closing
its desk lets go of the threads that wait for an agent. What a search has done by then is in its journal.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Literal

from rewardsmith.contract.errors import RewardsmithError, UserError
from rewardsmith.report.progress import SearchProgress
from rewardsmith.report.text import replace_control_chars

JobState = Literal["running", "done", "failed", "cancelled"]

CANCEL_WAIT_S = 15.0
"""Seconds that a cancelled job may take to end; a worker gets 5 of them."""


class BackgroundJob:
    """Work in a thread of its own: it ends with a text, an error, or because it was cancelled."""

    def __init__(self, handle: str, work: Callable[[BackgroundJob], str]) -> None:
        """Start the work.

        Args:
            handle: its name for the agent; the run directory where the work has one.
            work: is given this job, and returns the outcome in words.
        """
        self.handle = handle
        self.progress = SearchProgress()
        self.state: JobState = "running"
        self.outcome = ""
        """The outcome in words, or why there is none; empty while it runs."""
        self._work = work
        self._lock = threading.Lock()
        self._cleanups: list[Callable[[], None]] = []
        self._is_cancelled = False
        self._thread = threading.Thread(target=self._run_work, name=handle, daemon=True)
        self._thread.start()

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self.state == "running"

    def add_cleanup(self, cleanup: Callable[[], None]) -> None:
        """Register what ends the work early; a job that was cancelled meanwhile calls it at once."""
        with self._lock:
            self._cleanups.append(cleanup)
            is_cancelled = self._is_cancelled
        if is_cancelled:
            cleanup()

    def cancel(self) -> None:
        """End the work early, and wait until it has ended; does nothing after its end."""
        with self._lock:
            self._is_cancelled = True
            cleanups = list(self._cleanups)
        for cleanup in cleanups:
            cleanup()
        self.wait(CANCEL_WAIT_S)

    def wait(self, timeout_s: float) -> bool:
        """Wait until the job has ended; return whether it has."""
        deadline = time.monotonic() + timeout_s
        with self.progress.changed:
            while self.is_running and (left := deadline - time.monotonic()) > 0:
                self.progress.changed.wait(left)
        return not self.is_running

    def _run_work(self) -> None:
        try:
            outcome, state = self._work(self), "done"
        except RewardsmithError as error:
            outcome, state = str(error), "failed"
        except OSError as error:
            outcome, state = f"{error.filename or 'the system'}: {error.strerror or error}", "failed"
        except BaseException as error:
            # A fault of ours: the job must end all the same, or its callers would wait without end.
            self._end_as("failed", f"an internal fault ended it ({type(error).__name__}); the server's stderr has it")
            raise
        self._end_as("cancelled" if self._is_cancelled and state == "failed" else state, outcome)

    def _end_as(self, state: str, outcome: str) -> None:
        with self.progress.changed:
            self.outcome = replace_control_chars(outcome)
            self.state = state  # type: ignore[assignment]
            self.progress.changed.notify_all()


class JobRegistry:
    """The jobs of one server, by handle."""

    def __init__(self) -> None:
        """Start without jobs."""
        self._lock = threading.Lock()
        self._jobs: dict[str, BackgroundJob] = {}
        self._number = 0

    def start(self, handle: str, work: Callable[[BackgroundJob], str]) -> BackgroundJob:
        """Start a job; one of the same handle that still runs is refused.

        Raises:
            UserError: if there is one.
        """
        with self._lock:
            known = self._jobs.get(handle)
            if known is not None and known.is_running:
                raise UserError(f"{handle} is running; wait_for_job follows it, cancel_job stops it")
            job = self._jobs[handle] = BackgroundJob(handle, work)
        return job

    def choose_evaluation_handle(self) -> str:
        """Return a new handle for an evaluation, which has no run directory."""
        with self._lock:
            self._number += 1
            return f"evaluation-{self._number}"

    def find(self, handle: str) -> BackgroundJob | None:
        """Return the job of a handle; None if this server started none."""
        with self._lock:
            return self._jobs.get(handle)

    def get(self, handle: str) -> BackgroundJob:
        """Return the job of a handle.

        Raises:
            UserError: if this server started none.
        """
        job = self.find(handle)
        if job is None:
            known = ", ".join(self.list_handles()) or "none yet"
            raise UserError(f"there is no job {handle!r} in this session; its jobs: {known}")
        return job

    def list_handles(self) -> list[str]:
        """Return the handles of all jobs, oldest first."""
        with self._lock:
            return list(self._jobs)

    def cancel_all(self) -> None:
        """Cancel every job that runs, all at once."""
        with self._lock:
            running = [job for job in self._jobs.values() if job.is_running]
        threads = [threading.Thread(target=job.cancel, daemon=True) for job in running]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
