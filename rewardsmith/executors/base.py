"""The executor protocol, and the folder of a job.

A job's folder holds `job.json` (the job), `progress.jsonl` (its learning curve), `worker.log` (what it printed) and,
last and as a whole, `result.json`, with the arrays and policies that the result speaks of beside it. A folder whose
result is there answers at once; any other is cleared and its job runs from the beginning.

The orchestrator imports neither torch nor a simulator, and a worker never sees the orchestrator's environment.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from pydantic import ValidationError

from rewardsmith.contract import records
from rewardsmith.contract.errors import RunError
from rewardsmith.contract.records import (
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
