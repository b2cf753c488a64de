"""Executor protocol, and the folder of a job.

A job's folder holds `job.json` (the job), `progress.jsonl` (its learning curve), `worker.log` (what it printed) and,
last and as a whole, `result.json`, with the arrays and policies that the result names. A job whose folder holds its
result is not run again; any other folder is cleared and its job runs from the beginning.

The orchestrator imports neither torch nor a simulator, and a worker never sees the orchestrator's environment.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeVar

from rewardsmith.contract import bounded_files, records
from rewardsmith.contract.errors import ConfigError, UnwritableRun
from rewardsmith.contract.job_files import RESULT_FILE
from rewardsmith.contract.records import CurvePoint, Job, JobResult, Rung, TrainJob

R = TypeVar("R", bound=JobResult)

# Python would print warnings while no run, and so no log, is open.
logging.getLogger("rewardsmith").addHandler(logging.NullHandler())

FILES = (
    *("job.json", "progress.jsonl", "worker.log", RESULT_FILE),
    *("policy.json", "policy.safetensors", "transitions.npz", "episodes.npz", "video.mp4", "video.webp"),
    *("stills.npz", "states.npz", "policy.onnx", "policy.pt", "policy.zip"),
)
"""Files that an earlier job may have left in a folder."""

OnEvent = Callable[[CurvePoint], None]
Decide = Callable[[Rung], bool]


class Executor(Protocol):
    """A place where jobs run."""

    slots: int
    """Number of jobs that run at once."""

    def run(self, job: Job[R], out: Path, on_event: OnEvent | None = None, decide: Decide | None = None) -> R:
        """Do a job and return its result; blocks, and may be called from many threads.

        Args:
            job: the job; its type parameter is the type of the result.
            out: the job's folder; made if it is missing. If it holds the result of an equal job, that is returned.
            on_event: called with each new point of a training's curve, in the caller's thread; again after a retry.
            decide: called at each rung; returns whether the training goes on. Meanwhile another job has its slot, so
                that it may wait for other trainings. Called again after a retry. Without it a training goes on.

        Raises:
            UserError: if the job names what does not exist (an environment, a signal), or the folder cannot be written.
            SandboxUnavailable: if reward programs cannot be sealed on this machine.
            WorkerFailed: if no worker can be started, the executor was closed, or rewardsmith was changed meanwhile.
        """
        ...

    def close(self) -> None:
        """End every job and its processes; nothing outlives this call."""
        ...


def load_finished(job: Job[R], out: Path) -> R | None:
    """Return the result in a folder if it belongs to an equal job; None if there is none, or it is damaged."""
    try:
        recorded_job = bounded_files.read_json(out / "job.json")
        return records.read(job.result_type, out / RESULT_FILE) if recorded_job == records.dump(job) else None
    except (OSError, ValueError):
        return None


def refuse_rungs(job: Job[JobResult]) -> None:
    """Refuse a training with rungs, for executors whose trainings run through.

    Raises:
        ConfigError: if the job is one.
    """
    if isinstance(job, TrainJob) and job.rungs:
        raise ConfigError("search.rungs needs executor.kind = 'local': on a cluster trainings run through")


def prepare_folder(job: Job[JobResult], out: Path) -> None:
    """Remove what an earlier job left in a folder, and write job.json.

    Raises:
        UnwritableRun: if it cannot be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name in FILES:
            (out / name).unlink(missing_ok=True)
        records.write(job, out / "job.json")
    except OSError as error:
        raise unwritable_job_error(out, error) from error


def unwritable_job_error(out: Path, error: OSError) -> UnwritableRun:
    """Return the error of a job whose folder cannot be written.

    Args:
        out: the job's folder.
        error: what writing raised.
    """
    why = bounded_files.explain_write_error(error)
    return UnwritableRun(f"cannot write a job to {str(out)!r}: {why}, then resume the run")
