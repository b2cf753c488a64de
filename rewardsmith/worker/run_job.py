"""A worker's job, from its folder to its result: reads job.json, writes progress.jsonl and result.json."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, TypeVar

from rewardsmith.contract import bounded_files, build_id, env_families, job_messages, records
from rewardsmith.contract.errors import SandboxUnavailable, Upgraded, UserError
from rewardsmith.contract.job_files import RESULT_FILE
from rewardsmith.contract.records import (
    CurvePoint,
    EvaluateJob,
    Evaluation,
    ExportJob,
    Job,
    JobResult,
    PolicyFile,
    Probe,
    ProbeJob,
    RenderJob,
    Rung,
    Training,
    TrainJob,
    Video,
    load_job,
)
from rewardsmith.contract.text import flatten_text
from rewardsmith.worker.core_share import CoreShare

R = TypeVar("R", bound=JobResult)

REFUSED = 2
"""Exit code of a job that a user has to change."""


class OrchestratorChannel:
    """A job's socket to the orchestrator; the learning curve also goes to progress.jsonl."""

    def __init__(self, line: socket.socket, answers: IO[bytes], progress: IO[str], cores: CoreShare) -> None:
        self._line = line
        self._answers = answers
        self._cores = cores
        self._progress = progress

    def on_curve_point(self, point: CurvePoint) -> None:
        """Report a point of the learning curve."""
        self._progress.write(json.dumps(records.dump(point)) + "\n")
        self._progress.flush()
        self.send_message(job_messages.CurveProgress(point))

    def should_continue(self, rung: Rung) -> bool:
        """Report a rung and wait for the answer; return whether the training goes on."""
        self.send_message(job_messages.RungReached(rung))
        return self._answers.readline() == job_messages.GO_ON

    def count_free_cores(self) -> int:
        """Return how many cores the job may use now."""
        return self._cores.count_cores_per_job()

    def send_message(self, message: job_messages.JobMessage) -> None:
        """Send a message to the orchestrator."""
        self._line.sendall(job_messages.encode_message(message))


def main(folder: Path, line: socket.socket, cores: CoreShare) -> int:
    """Do the job of a folder and return the process's exit code: 0 when result.json is written, `REFUSED` or 1."""
    with (folder / "progress.jsonl").open("w", encoding="utf-8") as progress, line.makefile("rb") as answers:
        channel = OrchestratorChannel(line, answers, progress, cores)
        try:
            # A worker that has been warm for long may load modules now for the first time.
            build_id.check_installed()
            job = load_job(bounded_files.read_json(folder / "job.json"))
            records.write(perform_job(job, folder, channel), folder / RESULT_FILE)
        except (UserError, SandboxUnavailable, Upgraded) as error:
            channel.send_message(job_messages.JobRefused(type(error).__name__, str(error)))
            return 1 if isinstance(error, Upgraded) else REFUSED
        except Exception as error:  # noqa: BLE001 - the worker's main: whatever it is, the search goes on
            is_full = bounded_files.is_disk_full(error)
            channel.send_message(_refuse_no_space(folder, error) if is_full else _describe_crash(error))
            with contextlib.suppress(OSError):  # the log lies on the same disk
                traceback.print_exc()
            return 1
    return 0


def perform_job(job: Job[R], folder: Path, channel: OrchestratorChannel) -> R:
    """Do a job whose files are in `folder`; it becomes the current folder, as simulators write logs there."""
    if job.policy_folder is not None:
        job = job.with_policy(Path(job.policy_folder).resolve())
    os.chdir(folder)
    runners = {**RUNNERS, **LAB_RUNNERS} if env_families.is_resident(job.env.env_id) else RUNNERS
    result: R = runners[job.kind](job, folder, channel)
    return result


# Each imports what it runs when it is called: a probe must not wait for torch.


def _run_probe(job: ProbeJob, folder: Path, _: OrchestratorChannel) -> Probe:
    from rewardsmith.worker import probe

    return probe.run(job, folder)


def _run_training(job: TrainJob, folder: Path, channel: OrchestratorChannel) -> Training:
    from rewardsmith.worker.training import train

    return train.run(job, folder, channel)


def _run_evaluation(job: EvaluateJob, folder: Path, _: OrchestratorChannel) -> Evaluation:
    from rewardsmith.worker import evaluate

    return evaluate.run(job, folder)


def _run_rendering(job: RenderJob, folder: Path, _: OrchestratorChannel) -> Video:
    from rewardsmith.worker.video import render_job

    return render_job.run(job, folder)


def _run_export(job: ExportJob, folder: Path, _: OrchestratorChannel) -> PolicyFile:
    from rewardsmith.worker.policy_export import export_job

    return export_job.run(job, folder)


RUNNERS: dict[str, Callable[[Any, Path, OrchestratorChannel], Any]] = {
    "probe": _run_probe,
    "train": _run_training,
    "evaluate": _run_evaluation,
    "render": _run_rendering,
    "export": _run_export,
}
"""Job kind to the function that does such a job."""


def _run_lab_probe(job: ProbeJob, folder: Path, _: OrchestratorChannel) -> Probe:
    from rewardsmith.worker.mjlab import probe

    return probe.run(job, folder)


def _run_lab_training(job: TrainJob, folder: Path, channel: OrchestratorChannel) -> Training:
    from rewardsmith.worker.mjlab import train

    return train.run(job, folder, channel)


def _run_lab_evaluation(job: EvaluateJob, folder: Path, _: OrchestratorChannel) -> Evaluation:
    from rewardsmith.worker.mjlab import evaluate

    return evaluate.run(job, folder)


LAB_RUNNERS: dict[str, Callable[[Any, Path, OrchestratorChannel], Any]] = {
    "probe": _run_lab_probe,
    "train": _run_lab_training,
    "evaluate": _run_lab_evaluation,
}
"""The same for tasks of mjlab, where it differs."""


def _describe_crash(error: Exception) -> job_messages.JobCrashed:
    """Return a message with what was raised and where; the whole traceback is in worker.log."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{Path(frame.filename).name}:{frame.lineno}, {frame.name}"
    return job_messages.JobCrashed(f"{type(error).__name__}: {flatten_text(str(error))} ({where})")


def _refuse_no_space(folder: Path, error: Exception) -> job_messages.JobRefused:
    why = bounded_files.explain_write_error(error)
    return job_messages.JobRefused(
        "UnwritableRun", f"cannot write the job in {str(folder)!r}: {why}, then resume the run"
    )
