"""Remote end of the executors of clusters: does a job on the node where it is called, with a worker that stays warm."""

from __future__ import annotations

import os
import queue
import shutil
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rewardsmith.contract import gpus, job_messages, records
from rewardsmith.contract.errors import RewardsmithError, WorkerFailed
from rewardsmith.contract.job_files import RESULT_FILE
from rewardsmith.contract.records import Job, JobResult, load_job
from rewardsmith.executors.base import FILES, load_finished
from rewardsmith.executors.local import LocalExecutor

CORES = 1
"""Cores of a job: what a task of Ray reserves."""
POLICY = ("policy.json", "policy.safetensors")

Files = dict[str, bytes]
"""Names of files in a job's folder, and what is in them."""
RemoteMessage = tuple[str, Any]
"""("point", a curve's point), and last ("refused", error and message) or ("done", the result and its files)."""

_executors: dict[tuple[float | None, int | None, str | None], LocalExecutor] = {}
"""By their limits, and the GPUs that Ray gave the task."""


def run_remote_job(
    job: Mapping[str, Any], files: Files, limits: tuple[float | None, int | None]
) -> Iterator[RemoteMessage]:
    """Do a job in a temporary folder.

    Args:
        job: as `records.dump` gave it; the policy that it names is in `files`.
        files: what the job needs.
        limits: seconds and MiB that it may use; None is no limit.

    Yields:
        what `RemoteMessage` says.
    """
    folder = Path(tempfile.mkdtemp(prefix="rewardsmith-job-"))
    try:
        loaded = load_job(job)
        if files:
            write_files(files, folder / "policy")
            loaded = loaded.with_policy(folder / "policy")
        yield from _follow_job(loaded, folder / "job", limits)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def read_files(folder: Path, names: tuple[str, ...]) -> Files:
    """Return the named files of a folder that exist."""
    return {name: (folder / name).read_bytes() for name in names if (folder / name).is_file()}


def write_files(files: Files, folder: Path) -> None:
    """Write files into a folder, the result last."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in sorted(files, key=lambda name: name == RESULT_FILE):
        part = folder / f".{name}.part"
        part.write_bytes(files[name])
        part.replace(folder / name)


def describe_refusal(error: RewardsmithError) -> tuple[str, str]:
    """Return an error in the form in which it is sent to the orchestrator."""
    return type(error).__name__, str(error)


def _follow_job(job: Job[JobResult], out: Path, limits: tuple[float | None, int | None]) -> Iterator[RemoteMessage]:
    """Do a job in a thread, and yield its messages while it runs."""
    messages: queue.Queue[RemoteMessage] = queue.Queue()

    def run() -> None:
        try:
            key = (*limits, os.environ.get(gpus.VARIABLE))
            executor = _executors.setdefault(key, LocalExecutor(1, *limits, cores=CORES))
            result = executor.run(job, out, lambda point: messages.put(("point", records.dump(point))))
            # A result that could not be reached has no files but the worker's log.
            is_complete = load_finished(job, out) is not None
            names = tuple(name for name in FILES if name != "job.json") if is_complete else ("worker.log",)
            messages.put(("done", (records.dump(result), read_files(out, names))))
        except RewardsmithError as error:
            messages.put(("refused", describe_refusal(error)))
        except Exception as error:  # noqa: BLE001 - whatever it is, the orchestrator waits for it
            messages.put(("refused", describe_refusal(WorkerFailed(f"{type(error).__name__}: {error}"))))

    threading.Thread(target=run, daemon=True).start()
    while True:
        message = messages.get()
        yield message
        if message[0] != "point":
            return


def rebuild_error(refusal: tuple[str, str]) -> RewardsmithError:
    """Return the error that `describe_refusal` described on the node."""
    return job_messages.JobRefused(*refusal).to_error()
