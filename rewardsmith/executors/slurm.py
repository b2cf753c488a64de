"""Jobs of Slurm, handed in through submitit.

A job's folder must lie on a file system that all nodes share, as is usual there. Each job starts a worker of its own,
which takes seconds, so this is for trainings of minutes. A job that Slurm ends is handed in again. Trainings do not
stop at rungs, and their curves come with their end.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rewardsmith.contract import build_id
from rewardsmith.contract.errors import ConfigError, RewardsmithError, RunError, WorkerFailed
from rewardsmith.contract.records import Job, JobResult, Training, TrainJob
from rewardsmith.executors import remote_node
from rewardsmith.executors.base import Decide, OnEvent, finished, prepare, unfinished
from rewardsmith.executors.local import LocalExecutor

ATTEMPTS = 3
POLL_S, SHOWN_S = 1.0, 15.0
SLOTS = 64
"""Jobs in Slurm's queue at once, where nothing else is said."""


class SlurmExecutor:
    """Runs each job as a job of Slurm."""

    def __init__(
        self,
        folder: Path | str,
        parameters: Mapping[str, str | int | float],
        slots: int = 0,
        time_limit_s: float | None = None,
        memory_limit_mib: int | None = None,
        cluster: str | None = None,
    ) -> None:
        """Hand in nothing yet.

        Args:
            folder: for Slurm's scripts and logs; shared by the nodes.
            parameters: what submitit passes to sbatch.
            slots: jobs handed in at once; 0: `SLOTS`.
            time_limit_s: as in `LocalExecutor`.
            memory_limit_mib: as in `LocalExecutor`.
            cluster: as submitit names it: None finds Slurm, "local" starts processes on this machine instead.

        Raises:
            ConfigError: if submitit is not installed, or refuses the parameters.
            RunError: if Slurm is not on this machine.
        """
        submitit = _imported()
        self._limits = (time_limit_s, memory_limit_mib)
        try:
            self._submit = submitit.AutoExecutor(folder=Path(folder).resolve(), cluster=cluster or "slurm")
            self._submit.update_parameters(**{"cpus_per_task": 1, **parameters})
        except RuntimeError as error:
            raise RunError(f"Slurm cannot be used here: {error}") from error
        except (TypeError, NameError, ValueError) as error:
            raise ConfigError(f"executor.slurm: {str(error).splitlines()[0]}") from error
        self.slots = slots or SLOTS
        self._turns = threading.BoundedSemaphore(self.slots)
        self._submitting = threading.Lock()
        self._closed = threading.Event()

    def run(self, job: Job, out: Path, on_event: OnEvent | None = None, decide: Decide | None = None) -> JobResult:
        """Do a job; see `Executor.run`.

        Raises:
            ConfigError: if it is a training with rungs.
        """
        out = out.resolve()
        known = finished(job, out)
        if known is not None:
            return known
        if isinstance(job, TrainJob) and job.rungs:
            raise ConfigError("search.rungs needs executor.kind = 'local': on a cluster trainings run through")
        cause: str | None = None
        for _ in range(ATTEMPTS):
            with self._turns:
                prepare(job, out)
                cause = self._attempt(out)
                result = self._result(job, out) if cause is None else None
            if isinstance(result, Training) and on_event:
                for point in result.curve:
                    on_event(point)
            if result is not None:
                return result
            cause = cause or "a job of Slurm ended and left no result"
        return unfinished(job, "infrastructure", cause or "")

    def close(self) -> None:
        """End every job; see `Executor.close`."""
        self._closed.set()

    def _attempt(self, out: Path) -> str | None:
        """Run the job of a folder once; return how Slurm ended it, if so."""
        with self._submitting:
            handed_in = self._submit.submit(do, str(out), self._limits, build_id.RUNNING)
        while not handed_in.done():
            if self._closed.wait(POLL_S):
                handed_in.cancel()
                raise WorkerFailed("the executor was closed")
        error = handed_in.exception()
        if error is not None:
            return f"the job {handed_in.job_id} of Slurm ended: {str(error).strip().splitlines()[-1]}"
        said = handed_in.result()
        if said is not None:
            raise remote_node.raised(said)
        return None

    def _result(self, job: Job, out: Path) -> JobResult | None:
        """Read what a job left; a shared file system may show it late."""
        deadline = time.monotonic() + SHOWN_S
        while (result := finished(job, out)) is None and time.monotonic() < deadline:
            time.sleep(POLL_S)
        return result


def do(folder: str, limits: tuple[float | None, int | None], handed_in_by: str) -> tuple[str, str] | None:
    """Do the job that lies in a folder, on a node; return what it was refused with, if so.

    Args:
        folder: of the job.
        limits: as in `LocalExecutor`.
        handed_in_by: the version that handed it in.
    """
    if handed_in_by != build_id.RUNNING:
        return remote_node.refused(
            build_id.changed(f"it began as {handed_in_by}, and on a node it is {build_id.RUNNING}")
        )
    out = Path(folder)
    job = remote_node.job_of(json.loads((out / "job.json").read_text(encoding="utf-8")))
    executor = LocalExecutor(1, *limits)
    try:
        executor.run(job, out)
    except RewardsmithError as error:
        return remote_node.refused(error)
    finally:
        executor.close()
    return None


def _imported() -> Any:
    try:
        import submitit
    except ImportError as error:
        raise ConfigError("executor.kind = 'slurm' needs a package: pip install 'rewardsmith[slurm]'") from error
    return submitit
