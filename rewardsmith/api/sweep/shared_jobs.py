"""Jobs that cells of a sweep have in common: probes, random actions, baselines, and trainings on equal programs.

Each is done once.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
from pathlib import Path

from rewardsmith.contract import records
from rewardsmith.contract.job_files import RESULT_FILE
from rewardsmith.contract.records import EvaluateJob, Job, JobResult, ProbeJob, TrainJob
from rewardsmith.executors.base import Decide, Executor, OnEvent, R, load_finished, unwritable_job_error


class SharedJobExecutor:
    """Executor that does a probe, an evaluation of random actions, or a training on the same program only once.

    It is done in a folder named after its content, and copied to every folder that needs it.
    """

    def __init__(self, executor: Executor, folder: Path) -> None:
        """Put a folder in front of an executor, which stays the caller's to close."""
        self.slots = executor.slots
        self._executor, self._folder = executor, folder
        self._locks: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    def run(self, job: Job[R], out: Path, on_event: OnEvent | None = None, decide: Decide | None = None) -> R:
        """Do a job; see `Executor.run`."""
        if not _is_shared(job):
            return self._executor.run(job, out, on_event, decide)
        earlier_result = load_finished(job, out.resolve())
        if earlier_result is not None:
            return earlier_result
        name = f"{job.kind}-{hashlib.sha256(json.dumps(records.dump(job), sort_keys=True).encode()).hexdigest()[:16]}"
        shared_folder = self._folder / name
        with self._lock_job(name):
            result = self._executor.run(job, shared_folder, on_event, decide)
        if load_finished(job, shared_folder.resolve()) is not None:
            _copy_folder(shared_folder, out)
        return result

    def close(self) -> None:
        """Close nothing: the executor belongs to the sweep."""

    def _lock_job(self, name: str) -> threading.Lock:
        with self._lock:
            return self._locks.setdefault(name, threading.Lock())


def _is_shared(job: Job[JobResult]) -> bool:
    if isinstance(job, TrainJob):
        # What a rung decides depends on the other programs; an initial policy and learned signals are a cell's own.
        depends_on_cell = job.rungs or job.initial_policy or job.env.learned_signals
        return job.program is None or not depends_on_cell
    return isinstance(job, ProbeJob) or (isinstance(job, EvaluateJob) and job.policy is None)


def _copy_folder(source: Path, out: Path) -> None:
    """Copy a finished job's folder, the result last, by links where possible: nothing in it is changed any more."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        for file in sorted(source.iterdir(), key=lambda file: file.name == RESULT_FILE):
            if file.is_file():
                _link_file(file, out / file.name)
    except OSError as error:
        raise unwritable_job_error(out, error) from error


def _link_file(source: Path, target: Path) -> None:
    """Give a file a second name, or copy it where it cannot have one; a file of that name is replaced."""
    target.unlink(missing_ok=True)
    try:
        target.hardlink_to(source)
    except OSError:
        shutil.copy2(source, target)
