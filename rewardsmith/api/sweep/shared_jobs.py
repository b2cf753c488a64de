"""Jobs that no program touches are the same in many cells of a sweep: each is done once."""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
from pathlib import Path

from rewardsmith.contract import records
from rewardsmith.contract.errors import RunError
from rewardsmith.contract.records import EvaluateJob, Job, JobResult, ProbeJob, TrainJob
from rewardsmith.executors.base import Decide, Executor, OnEvent, finished


class Sharing:
    """An executor that does a probe, a training on the own reward, or an evaluation of random actions only once.

    It is done in a folder named after its content, and copied to every folder that asks for it.
    """

    def __init__(self, executor: Executor, folder: Path) -> None:
        """Put a folder in front of an executor, which stays the caller's to close."""
        self.slots = executor.slots
        self._executor, self._folder = executor, folder
        self._locks: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    def run(self, job: Job, out: Path, on_event: OnEvent | None = None, decide: Decide | None = None) -> JobResult:
        """Do a job; see `Executor.run`."""
        if not _is_shared(job):
            return self._executor.run(job, out, on_event, decide)
        known = finished(job, out.resolve())
        if known is not None:
            return known
        name = f"{job.kind}-{hashlib.sha256(json.dumps(records.dump(job), sort_keys=True).encode()).hexdigest()[:16]}"
        home = self._folder / name
        with self._one_at_a_time(name):
            result = self._executor.run(job, home, on_event, decide)
        if result.status == "ok":
            _copy(home, out)
        return result

    def close(self) -> None:
        """Close nothing: the executor belongs to the sweep."""

    def _one_at_a_time(self, name: str) -> threading.Lock:
        with self._lock:
            return self._locks.setdefault(name, threading.Lock())


def _is_shared(job: Job) -> bool:
    if isinstance(job, TrainJob):
        return job.program is None
    return isinstance(job, ProbeJob) or (isinstance(job, EvaluateJob) and job.policy is None)


def _copy(home: Path, out: Path) -> None:
    """Copy a finished job's folder; result.json last, as it says that the others are whole."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        for file in sorted(home.iterdir(), key=lambda file: file.name == "result.json"):
            if file.is_file():
                shutil.copy2(file, out / file.name)
    except OSError as error:
        raise RunError(f"cannot write a job to {str(out)!r}: {error.strerror}") from error
