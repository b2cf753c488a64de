"""Runs jobs in worker processes: one warm worker that forks a process per job, at most `slots` at once."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rewardsmith.contract import job_messages, records
from rewardsmith.contract.errors import Upgraded, WorkerFailed
from rewardsmith.contract.records import (
    CurvePoint,
    Job,
    JobResult,
)
from rewardsmith.executors.base import Decide, OnEvent, finished, prepare, unfinished
from rewardsmith.executors.worker_process import Line, Worker

ATTEMPTS = 2
"""How often a job is tried when the machinery fails."""


class LocalExecutor:
    """Runs jobs on this machine."""

    def __init__(self, slots: int, time_limit_s: float | None = None, memory_limit_mib: int | None = None) -> None:
        """Start no process yet: the worker comes with the first job.

        Args:
            slots: how many jobs run at once, at least 1; one per core is right, as each computes on one thread.
            time_limit_s: wall clock of one job without its waiting at rungs; a job beyond it ends as "timeout".
            memory_limit_mib: resident memory of one job's process; a job beyond it ends as "infrastructure".
        """
        self.slots = slots
        self._time_limit_s = time_limit_s
        self._memory_limit_mib = memory_limit_mib
        self._turns = _Turns(slots)
        self._lock = threading.Lock()
        self._worker: Worker | None = None

    def run(self, job: Job, out: Path, on_event: OnEvent | None = None, decide: Decide | None = None) -> JobResult:
        """Do a job; see `Executor.run`."""
        out = out.resolve()
        known = finished(job, out)
        if known is not None:
            return known
        cause = ""
        curve: tuple[CurvePoint, ...] = ()
        for _ in range(ATTEMPTS):
            with self._turns.taken():
                prepare(job, out)
                attempt = _Attempt(job, out, self._turns, self._time_limit_s, on_event, decide)
                try:
                    return attempt.run(self._warm_worker())
                except _MachineryFailed as failure:
                    cause, curve = str(failure), tuple(attempt.curve)
        return unfinished(job, "infrastructure", cause, curve)

    def close(self) -> None:
        """End every job; see `Executor.close`."""
        self._turns.close()
        with self._lock:
            if self._worker is not None:
                self._worker.close()

    def _warm_worker(self) -> Worker:
        with self._lock:
            self._turns.check_open()
            if self._worker is not None and not self._worker.alive:
                self._worker.close()
                self._worker = None
            if self._worker is None:
                self._worker = Worker(self._memory_limit_mib)
            return self._worker


class _MachineryFailed(Exception):
    """Raised when a job ends without a result through no fault of its own."""


class _Attempt:
    """One try at a job."""

    def __init__(
        self,
        job: Job,
        out: Path,
        turns: _Turns,
        time_limit_s: float | None,
        on_event: OnEvent | None,
        decide: Decide | None,
    ) -> None:
        self.curve: list[CurvePoint] = []
        self._job, self._out, self._turns = job, out, turns
        self._limit_s = self._left_s = time_limit_s
        self._on_event, self._decide = on_event, decide
        self._said: job_messages.Refused | job_messages.Crashed | None = None

    def run(self, worker: Worker) -> JobResult:
        """Do the job.

        Raises:
            _MachineryFailed: if it ended without a result.
            RewardsmithError: if it was refused.
        """
        try:
            line = worker.open(self._job.kind, self._out)
        except Upgraded:
            raise
        except WorkerFailed as error:
            raise _MachineryFailed(str(error)) from error
        with line:
            ended = False
            try:
                message = self._until_the_end(line)
                ended = True
            except TimeoutError:
                return self._timed_out()
            finally:
                if not ended:
                    worker.kill(self._out)
                    _drain(line)
        if message is None:
            raise _MachineryFailed(worker.obituary())
        return self._outcome(message.code)

    def _until_the_end(self, line: Line) -> job_messages.Ended | None:
        """Follow the job until its process has ended; None: and the worker with it."""
        while True:
            began = time.monotonic()
            message = line.receive(self._left_s)
            if self._left_s is not None:
                self._left_s -= time.monotonic() - began
            if message is None or isinstance(message, job_messages.Ended):
                return message
            self._take(message, line)

    def _take(self, message: job_messages.Message, line: Line) -> None:
        if isinstance(message, job_messages.Progress):
            self.curve.append(message.point)
            if self._on_event:
                self._on_event(message.point)
        elif isinstance(message, job_messages.Reached):
            with self._turns.given_up():
                go_on = self._decide(message.rung) if self._decide else True
            line.answer(go_on)
        elif isinstance(message, job_messages.Refused | job_messages.Crashed):
            self._said = message

    def _outcome(self, code: int) -> JobResult:
        result = finished(self._job, self._out) if code == 0 else None
        if result is not None:
            return result
        if isinstance(self._said, job_messages.Refused):
            raise self._said.raised()
        raise _MachineryFailed(self._said.cause if self._said else died_of(code))

    def _timed_out(self) -> JobResult:
        cause = f"no result within {self._limit_s:g} s, the limit limits.job_s"
        result = unfinished(self._job, "timeout", cause, tuple(self.curve))
        records.write(result, self._out / "result.json")
        return result


class _Turns:
    """Who may run: at most `slots` at once; closing wakes and refuses everybody who waits."""

    def __init__(self, slots: int) -> None:
        self._free = slots
        self._closed = False
        self._changed = threading.Condition()

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Hold a slot."""
        self._take()
        try:
            yield
        finally:
            self._give()

    @contextmanager
    def given_up(self) -> Iterator[None]:
        """Let somebody else have the slot that is held."""
        self._give()
        try:
            yield
        finally:
            self._take()

    def check_open(self) -> None:
        """Raise WorkerFailed if the executor is closed."""
        if self._closed:
            raise WorkerFailed("the executor was closed")

    def close(self) -> None:
        """Refuse everybody from now on."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _take(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._free > 0 or self._closed)
            self._free -= 1
        if self._closed:
            self._give()
            self.check_open()

    def _give(self) -> None:
        with self._changed:
            self._free += 1
            self._changed.notify()


def died_of(code: int) -> str:
    """Say how a process ended that said nothing itself.

    >>> died_of(-9)
    'the job was killed by SIGKILL (the system does that when memory runs out)'
    """
    if code >= 0:
        return f"the job ended with exit code {code}; see worker.log in its folder"
    hint = (
        " (the system does that when memory runs out)" if code == -signal.SIGKILL else "; see worker.log in its folder"
    )
    return f"the job was killed by {signal.Signals(-code).name}{hint}"


def _drain(line: Line) -> None:
    while not isinstance(line.receive(None), job_messages.Ended | None):
        pass
