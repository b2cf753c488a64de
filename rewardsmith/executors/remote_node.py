"""The far end of an executor: does one job on the machine where it is called, with a worker that stays warm there."""

from __future__ import annotations

import queue
import shutil
import tempfile
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from rewardsmith.contract import job_messages, records
from rewardsmith.contract.errors import RewardsmithError, WorkerFailed
from rewardsmith.contract.records import EvaluateJob, Job, ProbeJob, RenderJob, TrainJob
from rewardsmith.executors.base import FILES, finished
from rewardsmith.executors.local import LocalExecutor

KINDS: dict[str, type[Job]] = {
    "probe": ProbeJob,
    "train": TrainJob,
    "evaluate": EvaluateJob,
    "render": RenderJob,
}
POLICY = ("policy.json", "policy.safetensors")

Files = dict[str, bytes]
"""Names of files in a job's folder, and what is in them."""
Told = tuple[str, Any]
"""("point", a curve's point), and last ("refused", error and message) or ("done", the result and its files)."""

_here: dict[tuple[float | None, int | None], LocalExecutor] = {}


def work(job: Mapping[str, Any], files: Files, limits: tuple[float | None, int | None]) -> Iterator[Told]:
    """Do a job in a folder of its own, which is gone afterwards.

    Args:
        job: as `records.dump` gave it; the policy that it names lies in `files`.
        files: what the job needs.
        limits: seconds and MiB that it may use; None is no limit.

    Yields:
        what `Told` says.
    """
    folder = Path(tempfile.mkdtemp(prefix="rewardsmith-job-"))
    try:
        known = job_of(job)
        if files and isinstance(known, EvaluateJob | RenderJob):
            unpack(files, folder / "policy")
            known = replace(known, policy=str(folder / "policy"))
        yield from _followed(known, folder / "job", limits)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def job_of(data: Mapping[str, Any]) -> Job:
    """Return the job that `records.dump` turned into `data`."""
    return records.load(KINDS[data["kind"]], dict(data))


def pack(folder: Path, names: tuple[str, ...]) -> Files:
    """Return those of a folder's files that are there."""
    return {name: (folder / name).read_bytes() for name in names if (folder / name).is_file()}


def unpack(files: Files, folder: Path) -> None:
    """Write files into a folder; result.json last, since it says that the others are whole."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in sorted(files, key=lambda name: name == "result.json"):
        part = folder / f".{name}.part"
        part.write_bytes(files[name])
        part.replace(folder / name)


def refused(error: RewardsmithError) -> tuple[str, str]:
    """Return an error as what crosses to the orchestrator."""
    return type(error).__name__, str(error)


def _followed(job: Job, out: Path, limits: tuple[float | None, int | None]) -> Iterator[Told]:
    """Do a job in a thread, so that its points can be told while it runs."""
    told: queue.Queue[Told] = queue.Queue()

    def run() -> None:
        try:
            executor = _here.setdefault(limits, LocalExecutor(1, *limits))
            result = executor.run(job, out, lambda point: told.put(("point", records.dump(point))))
            whole = finished(job, out) is not None
            names = tuple(name for name in FILES if name != "job.json")
            told.put(("done", (records.dump(result), pack(out, names) if whole else pack(out, ("worker.log",)))))
        except RewardsmithError as error:
            told.put(("refused", refused(error)))
        except Exception as error:  # noqa: BLE001 - whatever it is, the orchestrator waits for it
            told.put(("refused", refused(WorkerFailed(f"{type(error).__name__}: {error}"))))

    threading.Thread(target=run, daemon=True).start()
    while True:
        message = told.get()
        yield message
        if message[0] != "point":
            return


def raised(said: tuple[str, str]) -> RewardsmithError:
    """Return the error that was refused at the far end."""
    return job_messages.Refused(*said).raised()
