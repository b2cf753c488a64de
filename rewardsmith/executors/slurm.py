"""Executor of Slurm, through submitit.

A job's folder must be on a file system that all nodes share, as is usual there. Each job starts a worker of its own,
which takes seconds, so this is for trainings of minutes. A job that Slurm ends is submitted again. Trainings do not
stop at rungs, and their curves come with their end.
"""

from __future__ import annotations

import logging
import shlex
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rewardsmith.contract import bounded_files, build_id, import_path
from rewardsmith.contract.errors import ConfigError, RewardsmithError, RunError, WorkerFailed
from rewardsmith.contract.records import Job, Training, load_job
from rewardsmith.executors import remote_node
from rewardsmith.executors.base import Decide, OnEvent, R, load_finished, prepare_folder, refuse_rungs
from rewardsmith.executors.local import LocalExecutor

logger = logging.getLogger(__name__)

ATTEMPTS = 3
POLL_S, SHOWN_S = 1.0, 15.0
SLOTS = 64
"""Jobs in Slurm's queue at once, unless the settings say otherwise."""


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
        """Submit nothing yet.

        Args:
            folder: for Slurm's scripts and logs; shared by the nodes.
            parameters: what submitit passes to sbatch.
            slots: jobs submitted at once; 0: `SLOTS`.
            time_limit_s: as in `LocalExecutor`.
            memory_limit_mib: as in `LocalExecutor`.
            cluster: as submitit names it: None finds Slurm, "local" starts processes on this machine instead.

        Raises:
            ConfigError: if submitit is not installed, or refuses the parameters.
            RunError: if Slurm is not on this machine.
        """
        submitit = _import_submitit()
        if not str(Path(folder).resolve()).isprintable():
            raise ConfigError(
                f"executor.folder = {str(folder)!r}: its path must have no line break or control character"
            )
        # Nodes start Python in the folder in which the job was submitted.
        python = shlex.join(import_path.python_command())
        import_path.clean_this_environment()
        self._limits = (time_limit_s, memory_limit_mib)
        try:
            self._submit = submitit.AutoExecutor(
                folder=Path(folder).resolve(), cluster=cluster or "slurm", slurm_python=python, local_python=python
            )
            parameters = {"cpus_per_task": 1, **parameters}
            self._submit.update_parameters(**parameters)
        except RuntimeError as error:
            raise RunError(f"Slurm cannot be used here: {error}") from error
        except (TypeError, NameError, ValueError) as error:
            raise ConfigError(f"executor.slurm: {str(error).splitlines()[0]}") from error
        self._cores = int(parameters["cpus_per_task"])
        self.slots = slots or SLOTS
        self._free_slots = threading.BoundedSemaphore(self.slots)
        self._submitting = threading.Lock()
        self._closed = threading.Event()

    def run(self, job: Job[R], out: Path, on_event: OnEvent | None = None, decide: Decide | None = None) -> R:
        """Do a job; see `Executor.run`.

        Raises:
            ConfigError: if it is a training with rungs.
        """
        out = out.resolve()
        earlier_result = load_finished(job, out)
        if earlier_result is not None:
            return earlier_result
        refuse_rungs(job)
        cause: str | None = None
        for number in range(1, ATTEMPTS + 1):
            with self._free_slots:
                prepare_folder(job, out)
                logger.info("%s job is submitted in %s, attempt %d", job.kind, out, number)
                cause = self._run_attempt(out)
                result = self._wait_for_result(job, out) if cause is None else None
            if isinstance(result, Training) and on_event:
                for point in result.curve:
                    on_event(point)
            if result is not None:
                logger.info("%s job in %s ends as %s", job.kind, out, result.status)
                return result
            cause = cause or "a job of Slurm ended and left no result"
            logger.warning("%s job in %s failed, attempt %d of %d: %s", job.kind, out, number, ATTEMPTS, cause)
        return job.build_unfinished("infrastructure", cause or "")

    def close(self) -> None:
        """End every job; see `Executor.close`."""
        self._closed.set()

    def _run_attempt(self, out: Path) -> str | None:
        """Run the job of a folder once; return how Slurm ended it, None where it did not."""
        with self._submitting:
            submitted = self._submit.submit(run_job_folder, str(out), self._limits, build_id.RUNNING_BUILD, self._cores)
        while not submitted.done():
            if self._closed.wait(POLL_S):
                submitted.cancel()
                raise WorkerFailed("the executor was closed")
        error = submitted.exception()
        if error is not None:
            return f"the job {submitted.job_id} of Slurm ended: {str(error).strip().splitlines()[-1]}"
        refusal = submitted.result()
        if refusal is not None:
            raise remote_node.rebuild_error(refusal)
        return None

    def _wait_for_result(self, job: Job[R], out: Path) -> R | None:
        """Read the result of a job; a shared file system may show it late."""
        deadline = time.monotonic() + SHOWN_S
        while (result := load_finished(job, out)) is None and time.monotonic() < deadline:
            time.sleep(POLL_S)
        return result


def run_job_folder(
    folder: str, limits: tuple[float | None, int | None], submitted_by: str, cores: int = 1
) -> tuple[str, str] | None:
    """Do the job of a folder, on a node; return the error that refused it, None where none did.

    Args:
        folder: of the job.
        limits: as in `LocalExecutor`.
        submitted_by: the version that submitted it.
        cores: that Slurm allocated to the job.
    """
    if submitted_by != build_id.RUNNING_BUILD:
        return remote_node.describe_refusal(
            build_id.build_upgrade_error(f"it began as {submitted_by}, and on a node it is {build_id.RUNNING_BUILD}")
        )
    out = Path(folder)
    job = load_job(bounded_files.read_json(out / "job.json"))
    executor = LocalExecutor(1, *limits, cores=cores)
    try:
        executor.run(job, out)
    except RewardsmithError as error:
        return remote_node.describe_refusal(error)
    finally:
        executor.close()
    return None


def _import_submitit() -> Any:
    try:
        import submitit
    except ImportError as error:
        raise ConfigError("executor.kind = 'slurm' needs a package: pip install 'rewardsmith[slurm]'") from error
    return submitit
