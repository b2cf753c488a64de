"""Runs jobs in worker processes: one warm worker that forks a process per job, at most `slots` at once.

A job's folder holds `job.json` (the job), `progress.jsonl` (its learning curve), `worker.log` (what it printed) and,
last and as a whole, `result.json`, with the arrays and policies that the result speaks of beside it. A folder whose
result is there answers at once; any other is cleared and its job runs from the beginning.

The orchestrator imports neither torch nor a simulator, and a worker never sees the orchestrator's environment.
"""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from pydantic import ValidationError

from rewardsmith import messages, records
from rewardsmith.errors import RunError, Upgraded, WorkerFailed
from rewardsmith.records import (
    CurvePoint,
    Evaluation,
    Job,
    JobResult,
    Probe,
    ProbeJob,
    RenderJob,
    Rung,
    Status,
    Training,
    TrainJob,
    Video,
)
from rewardsmith.workers import Line, Worker

ATTEMPTS = 2
"""How often a job is tried when the machinery fails."""
FILES = (
    *("job.json", "progress.jsonl", "worker.log", "result.json"),
    *("policy.json", "policy.safetensors", "transitions.npz", "episodes.npz", "video.mp4", "video.webp"),
    "stills.npz",
)
"""What a job's folder may hold of an earlier run."""

OnEvent = Callable[[CurvePoint], None]
Decide = Callable[[Rung], bool]


class Executor(Protocol):
    """Where jobs run."""

    slots: int
    """How many run at once."""

    def run(self, job: Job, out: Path, on_event: OnEvent | None = None, decide: Decide | None = None) -> JobResult:
        """Do a job and return its result; blocks, and may be called from many threads.

        Args:
            job: what to do.
            out: the job's folder; made if it is missing. A finished job of the same content answers at once.
            on_event: told each new point of a training's curve, in the caller's thread; again after a retry.
            decide: asked at each rung whether the training goes on; meanwhile another job has its slot, so that it
                may wait for the others. Asked again after a retry. Without it a training goes on.

        Raises:
            UserError: if the job names what does not exist (an environment, a signal), or the folder cannot be written.
            SandboxUnavailable: if reward programs cannot be sealed on this machine.
            WorkerFailed: if no worker can be started, the executor was closed, or rewardsmith was changed meanwhile.
        """
        ...

    def close(self) -> None:
        """End every job and its processes; nothing outlives this call."""
        ...


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
        self._said: messages.Refused | messages.Crashed | None = None

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

    def _until_the_end(self, line: Line) -> messages.Ended | None:
        """Follow the job until its process has ended; None: and the worker with it."""
        while True:
            began = time.monotonic()
            message = line.receive(self._left_s)
            if self._left_s is not None:
                self._left_s -= time.monotonic() - began
            if message is None or isinstance(message, messages.Ended):
                return message
            self._take(message, line)

    def _take(self, message: messages.Message, line: Line) -> None:
        if isinstance(message, messages.Progress):
            self.curve.append(message.point)
            if self._on_event:
                self._on_event(message.point)
        elif isinstance(message, messages.Reached):
            with self._turns.given_up():
                go_on = self._decide(message.rung) if self._decide else True
            line.answer(go_on)
        elif isinstance(message, messages.Refused | messages.Crashed):
            self._said = message

    def _outcome(self, code: int) -> JobResult:
        result = finished(self._job, self._out) if code == 0 else None
        if result is not None:
            return result
        if isinstance(self._said, messages.Refused):
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


def finished(job: Job, out: Path) -> JobResult | None:
    """Return the result that lies in a folder, if it is this job's."""
    try:
        asked = json.loads((out / "job.json").read_text(encoding="utf-8"))
        return records.read(result_type(job), out / "result.json") if asked == records.dump(job) else None
    except (OSError, ValidationError, ValueError):
        return None


def prepare(job: Job, out: Path) -> None:
    """Make a folder ready for a job: nothing of an earlier one, and job.json.

    Raises:
        RunError: if it cannot be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name in FILES:
            (out / name).unlink(missing_ok=True)
        records.write(job, out / "job.json")
    except OSError as error:
        raise RunError(f"cannot write a job to {str(out)!r}: {error.strerror}") from error


def result_type(job: Job) -> type[Probe] | type[Training] | type[Evaluation] | type[Video]:
    """Return which result answers a job."""
    if isinstance(job, ProbeJob):
        return Probe
    if isinstance(job, RenderJob):
        return Video
    return Training if isinstance(job, TrainJob) else Evaluation


def unfinished(job: Job, status: Status, cause: str, curve: tuple[CurvePoint, ...] = ()) -> JobResult:
    """Return the result of a job that has none of its own."""
    if isinstance(job, ProbeJob):
        return Probe((), (), (), (), None, (), None, 0, status, cause)
    if isinstance(job, TrainJob):
        done = curve[-1].env_steps if curve else 0
        return Training(status, job.seed, done, curve, 0.0, 0.0, 0.0, cause)
    if isinstance(job, RenderJob):
        return Video(status, seed=job.seed, cause=cause)
    return Evaluation(status, (), None, 0.0, cause)


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
    while not isinstance(line.receive(None), messages.Ended | None):
        pass
