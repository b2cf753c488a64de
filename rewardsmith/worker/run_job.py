"""One job from its folder to its result: job.json in, progress.jsonl and result.json out."""

from __future__ import annotations

import errno
import json
import os
import socket
import traceback
from dataclasses import replace
from pathlib import Path
from typing import IO

from rewardsmith.contract import build_id, job_messages, records
from rewardsmith.contract.errors import SandboxUnavailable, Upgraded, UserError
from rewardsmith.contract.records import CurvePoint, EvaluateJob, Job, JobResult, ProbeJob, RenderJob, Rung

NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


class Line:
    """A job's line to the orchestrator; the learning curve also goes to progress.jsonl."""

    def __init__(self, line: socket.socket, progress: IO[str]) -> None:
        self._line = line
        self._answers = line.makefile("rb")
        self._progress = progress

    def point(self, point: CurvePoint) -> None:
        """Report a point of the learning curve."""
        self._progress.write(json.dumps(records.dump(point)) + "\n")
        self._progress.flush()
        self.send(job_messages.Progress(point))

    def go_on(self, rung: Rung) -> bool:
        """Wait at a rung; return whether to go on."""
        self.send(job_messages.Reached(rung))
        return self._answers.readline() == job_messages.GO_ON

    def send(self, message: job_messages.Message) -> None:
        """Say something."""
        self._line.sendall(job_messages.encode(message))


def main(folder: Path, line: socket.socket) -> int:
    """Do the job of a folder and return the process's exit code; 0 when result.json is written."""
    with (folder / "progress.jsonl").open("w", encoding="utf-8") as progress:
        to = Line(line, progress)
        try:
            # A worker that has been warm for long loads now what it had no use for before.
            build_id.check_installed()
            job = read((folder / "job.json").read_text(encoding="utf-8"))
            records.write(perform(job, folder, to), folder / "result.json")
        except (UserError, SandboxUnavailable, Upgraded) as error:
            to.send(job_messages.Refused(type(error).__name__, str(error)))
            return 1
        except OSError as error:
            traceback.print_exc()
            to.send(_no_space(folder) if error.errno in NO_SPACE else _crashed(error))
            return 1
        except Exception as error:  # noqa: BLE001 - the worker's main: whatever it is, the search goes on
            traceback.print_exc()
            to.send(_crashed(error))
            return 1
    return 0


def read(text: str) -> Job:
    """Return the job of a job.json."""
    job: Job = records.load(Job, json.loads(text))  # type: ignore[arg-type]
    return job


def perform(job: Job, folder: Path, line: Line) -> JobResult:
    """Do a job; its files lie in `folder`, which becomes the current one, as simulators write logs there."""
    if isinstance(job, EvaluateJob | RenderJob) and job.policy is not None:
        job = replace(job, policy=str(Path(job.policy).resolve()))
    os.chdir(folder)
    # Imported where they are needed: a probe must not wait for torch.
    if isinstance(job, EvaluateJob):
        from rewardsmith.worker import evaluate

        return evaluate.run(job, folder)
    if isinstance(job, ProbeJob):
        from rewardsmith.worker import probe

        return probe.run(job, folder)
    if isinstance(job, RenderJob):
        from rewardsmith.worker.video import render_job

        return render_job.run(job, folder)
    from rewardsmith.worker.training import train

    return train.run(job, folder, line)


def _crashed(error: Exception) -> job_messages.Crashed:
    """Say what was raised and where; the whole traceback is in worker.log."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{Path(frame.filename).name}:{frame.lineno}, {frame.name}"
    return job_messages.Crashed(f"{type(error).__name__}: {error} ({where})")


def _no_space(folder: Path) -> job_messages.Refused:
    return job_messages.Refused("RunError", f"no space is left for {str(folder)!r}: free some and resume the run")
