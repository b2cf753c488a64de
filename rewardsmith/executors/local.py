"""Executor of this machine: one warm worker that forks a process per job, at most `slots` at once."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Generic

from rewardsmith.contract import env_families, gpus, job_messages, records
from rewardsmith.contract.errors import Upgraded, WorkerFailed
from rewardsmith.contract.job_files import RESULT_FILE
from rewardsmith.contract.records import CurvePoint, Job
from rewardsmith.executors import host
from rewardsmith.executors.base import Decide, OnEvent, R, load_finished, prepare_folder
from rewardsmith.executors.worker_process import JobChannel, WorkerProcess

logger = logging.getLogger(__name__)

OnCaptions = Callable[[job_messages.CaptionsSeen], None]
ATTEMPTS = 2
"""How often a job is tried when the machinery fails."""
RESIDENT_KINDS = ("probe", "train", "evaluate")
"""Kinds of jobs that a process that stays does, in families that have one; the others need no GPU."""


class LocalExecutor:
    """Runs jobs on this machine."""

    def __init__(
        self,
        slots: int,
        time_limit_s: float | None = None,
        memory_limit_mib: int | None = None,
        module_folder: Path | None = None,
        cores: int | None = None,
    ) -> None:
        """Start no process yet: the worker is started with the first job.

        Args:
            slots: how many jobs run at once, at least 1; one per core is right.
            time_limit_s: wall clock of one job without its waiting at rungs; a job beyond it ends as "timeout".
            memory_limit_mib: resident memory of one job's process; a job beyond it ends as "infrastructure".
            module_folder: folder of a user's environment module (`import_path`); None for no such folder.
            cores: that all jobs may use together: a training steps its simulations on its share of them
                (`training.physics_threads`); None: those of this machine.
        """
        self.slots = slots
        self.on_captions: OnCaptions | None = None
        """Is told of the captions that trainings report, in the thread of the job; it must not block."""
        self._cores = host.count_cores() if cores is None else cores
        self._time_limit_s = time_limit_s
        self._memory_limit_mib, self._module_folder = memory_limit_mib, module_folder
        self._slots = _Slots(slots)
        # Jobs of processes that stay: one at once on each GPU.
        self._resident_slots = _Slots(len(gpus.list_gpus(os.environ)) or 1)
        self._lock = threading.Lock()
        self._worker: WorkerProcess | None = None

    def run(self, job: Job[R], out: Path, on_event: OnEvent | None = None, decide: Decide | None = None) -> R:
        """Do a job; see `Executor.run`."""
        out = out.resolve()
        earlier_result = load_finished(job, out)
        if earlier_result is not None:
            logger.debug("%s job in %s was finished before", job.kind, out)
            return earlier_result
        cause = ""
        curve: tuple[CurvePoint, ...] = ()
        slots = self._resident_slots if is_resident(job) else self._slots
        for number in range(1, ATTEMPTS + 1):
            with slots.hold_slot():
                prepare_folder(job, out)
                logger.info("%s job starts in %s, attempt %d", job.kind, out, number)
                attempt = _Attempt(job, out, slots, self._time_limit_s, on_event, decide, self.on_captions)
                try:
                    result = attempt.run(self._ensure_worker())
                except _MachineryFailed as failure:
                    cause, curve = str(failure), tuple(attempt.curve)
                    logger.warning("%s job in %s failed, attempt %d of %d: %s", job.kind, out, number, ATTEMPTS, cause)
                else:
                    logger.info("%s job in %s ends as %s", job.kind, out, result.status)
                    return result
        return job.build_unfinished("infrastructure", cause, curve)

    def close(self) -> None:
        """End every job; see `Executor.close`."""
        self._slots.close()
        self._resident_slots.close()
        with self._lock:
            if self._worker is not None:
                self._worker.close()

    def _ensure_worker(self) -> WorkerProcess:
        with self._lock:
            self._slots.check_open()
            if self._worker is not None and not self._worker.alive:
                logger.warning("a new worker is started: %s", self._worker.exit_reason())
                self._worker = None
            if self._worker is None:
                self._worker = WorkerProcess(self._memory_limit_mib, self._module_folder, self._cores)
            return self._worker


class _MachineryFailed(Exception):
    """Raised when a job ends without a result for a reason outside of the job."""


class _Attempt(Generic[R]):
    """One try at a job."""

    def __init__(
        self,
        job: Job[R],
        out: Path,
        slots: _Slots,
        time_limit_s: float | None,
        on_event: OnEvent | None,
        decide: Decide | None,
        on_captions: OnCaptions | None,
    ) -> None:
        self.curve: list[CurvePoint] = []
        self._job, self._out, self._slots = job, out, slots
        self._limit_s = self._left_s = time_limit_s
        self._on_event, self._decide, self._on_captions = on_event, decide, on_captions
        self._failure: job_messages.JobRefused | job_messages.JobCrashed | None = None

    def run(self, worker: WorkerProcess) -> R:
        """Do the job.

        Raises:
            _MachineryFailed: if it ended without a result.
            RewardsmithError: if it was refused.
        """
        # Hand the job over.
        try:
            verb = "resident" if is_resident(self._job) else self._job.kind
            channel = worker.open_job(verb, self._out, self._job.env.pass_env)
        except Upgraded:
            raise
        except WorkerFailed as error:
            raise _MachineryFailed(str(error)) from error

        # Follow it to its end; whatever interrupts this (a timeout, an exception of a listener) ends the job.
        with channel:
            has_ended = False
            try:
                last_message = self._follow_job(channel)
                has_ended = True
            except TimeoutError:
                return self._record_timeout()
            finally:
                if not has_ended:
                    worker.kill_job(self._out)
                    _drain_messages(channel)

        if last_message is None:
            raise _MachineryFailed(worker.exit_reason())
        return self._read_outcome(last_message.code)

    def _follow_job(self, channel: JobChannel) -> job_messages.JobEnded | None:
        """Handle messages until the job's process has ended; return None where the worker ended with it."""
        while True:
            # Only the time in which the job computes counts, not its waiting at a rung.
            began = time.monotonic()
            message = channel.receive(self._left_s)
            if self._left_s is not None:
                self._left_s -= time.monotonic() - began
            if message is None or isinstance(message, job_messages.JobEnded):
                return message
            self._handle_message(message, channel)

    def _handle_message(self, message: job_messages.JobMessage, channel: JobChannel) -> None:
        if isinstance(message, job_messages.CurveProgress):
            self.curve.append(message.point)
            if self._on_event:
                self._on_event(message.point)
        elif isinstance(message, job_messages.RungReached):
            with self._slots.lend_slot():
                go_on = self._decide(message.rung) if self._decide else True
            channel.send_decision(go_on)
        elif isinstance(message, job_messages.CaptionsSeen):
            if self._on_captions:
                self._on_captions(message)
        elif isinstance(message, job_messages.JobRefused | job_messages.JobCrashed):
            self._failure = message

    def _read_outcome(self, code: int) -> R:
        result = load_finished(self._job, self._out) if code == 0 else None
        if result is not None:
            return result
        if isinstance(self._failure, job_messages.JobRefused):
            raise self._failure.to_error()
        raise _MachineryFailed(self._failure.cause if self._failure else describe_exit(code))

    def _record_timeout(self) -> R:
        cause = f"no result within {self._limit_s:g} s, the limit limits.job_s"
        result = self._job.build_unfinished("timeout", cause, tuple(self.curve))
        records.write(result, self._out / RESULT_FILE)
        return result


class _Slots:
    """Slots of an executor: at most so many jobs run at once; closing wakes and refuses all that wait."""

    def __init__(self, slots: int) -> None:
        self._free = slots
        self._closed = False
        self._changed = threading.Condition()

    @contextmanager
    def hold_slot(self) -> Iterator[None]:
        """Wait for a free slot and hold it while the block runs."""
        self._acquire()
        try:
            yield
        finally:
            self._release()

    @contextmanager
    def lend_slot(self) -> Iterator[None]:
        """Let another job have the held slot while the block runs."""
        self._release()
        try:
            yield
        finally:
            self._acquire()

    def check_open(self) -> None:
        """Raise WorkerFailed if the executor is closed."""
        if self._closed:
            raise WorkerFailed("the executor was closed")

    def close(self) -> None:
        """Refuse all further jobs."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _acquire(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._free > 0 or self._closed)
            self._free -= 1
        if self._closed:
            self._release()
            self.check_open()

    def _release(self) -> None:
        with self._changed:
            self._free += 1
            self._changed.notify()


def is_resident(job: Job[R]) -> bool:
    """Return whether a process that stays does a job."""
    return job.kind in RESIDENT_KINDS and env_families.is_resident(job.env.env_id)


def describe_exit(code: int) -> str:
    """Return how a process ended that reported nothing itself.

    >>> describe_exit(-9)
    'the job was killed by SIGKILL (the system does that when memory runs out)'
    """
    if code >= 0:
        return f"the job ended with exit code {code}; see worker.log in its folder"
    hint = (
        " (the system does that when memory runs out)" if code == -signal.SIGKILL else "; see worker.log in its folder"
    )
    return f"the job was killed by {signal.Signals(-code).name}{hint}"


def _drain_messages(channel: JobChannel) -> None:
    while not isinstance(channel.receive(None), job_messages.JobEnded | None):
        pass
