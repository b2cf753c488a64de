"""Files of a finished job that are gone or damaged: noticed before they are needed, and made again by the same job.

The journal has the job's record, which stays as it is: a training is deterministic, so the same job gives the same
files on the same machine. Where it does not, the user is told.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from rewardsmith.contract import bounded_files, records
from rewardsmith.contract.job_files import RESULT_FILE
from rewardsmith.contract.records import Evaluation, Probe, Training
from rewardsmith.executors.render_job import POLICY_FILES
from rewardsmith.search.storage.journal import Journal, strip_times

R = TypeVar("R", Training, Evaluation, Probe)

HEADER_BYTES = 8
"""Size of the number with which a safetensors file begins: the size of the JSON that follows."""


def find_policy_fault(folder: Path) -> str | None:
    """Return what is wrong with the policy in a folder, without reading its numbers; None if nothing is."""
    spec, tensors = (folder / name for name in POLICY_FILES)
    try:
        bounded_files.read_json(spec)
        with bounded_files.open_regular(tensors) as file:
            size = int.from_bytes(file.read(HEADER_BYTES), "little")
            header = bounded_files.parse_json(file.read(min(size, bounded_files.MAX_BYTES)), tensors)
            ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
            is_whole = file.seek(0, 2) == HEADER_BYTES + size + max(ends, default=0)
    except FileNotFoundError:
        return "its policy is missing"
    except (OSError, ValueError, TypeError, KeyError, AttributeError, IndexError):
        return "its policy is damaged"
    return None if is_whole else "its policy is damaged"


def find_arrays_fault(path: Path) -> str | None:
    """Return what is wrong with a file of recorded arrays; None if nothing is."""
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except FileNotFoundError:
        return f"its {path.name} is missing"
    except (OSError, ValueError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError):
        return f"its {path.name} is damaged"
    return None if damaged is None else f"its {path.name} is damaged"


def run_once(
    journal: Journal,
    key: str,
    run_job: Callable[[], R],
    kind: type[R],
    folder: Path,
    find_fault: Callable[[], str | None],
    notify: Callable[[str], None],
) -> R:
    """Return the record of a job: the journal's, else that of the job run now, which is kept if it is settled.

    A job of an earlier session is done again where its files are gone.

    Args:
        journal: of the run.
        key: of the job's event.
        run_job: does the job.
        kind: of its record.
        folder: of the job.
        find_fault: returns what is wrong with its files; None if nothing is.
        notify: called with what came out where it was done again.
    """
    recorded = journal.get(key, kind)
    record = journal.once(key, kind, run_job, keep=is_settled)
    fault = find_fault() if recorded is not None and recorded.status == "ok" else None
    if fault:
        repeat_job(key, fault, record, folder, run_job, notify)
    return record


def is_settled(record: Training | Evaluation | Probe) -> bool:
    """Return whether a resumed search takes the record as it is; a failure of the machine is tried again."""
    return record.status != "infrastructure"


def repeat_job(
    key: str, fault: str, recorded: R, folder: Path, run_job: Callable[[], R], notify: Callable[[str], None]
) -> None:
    """Do a finished job again, for its files; the recorded result stays.

    Args:
        key: of the job's event in the journal, for the notice.
        fault: what is wrong with its files.
        recorded: the result in the journal.
        folder: of the job.
        run_job: does the job in that folder.
        notify: called with what came out.
    """
    # With its result still there, the job would count as finished.
    (folder / RESULT_FILE).unlink(missing_ok=True)
    repeated = run_job()
    if repeated.status != recorded.status:
        outcome = f"it was done again and ended as {repeated.status}: {repeated.cause}"
    elif _compare_form(repeated) == _compare_form(recorded):
        outcome = "it was done again, with the same result"
    else:
        outcome = (
            "it was done again and gave another result (another machine, or other versions); the recorded result stays,"
            " and what is made from these files now may differ from it"
        )
    notify(f"{key}: {fault}; {outcome}")


def _compare_form(record: Training | Evaluation | Probe) -> str:
    return json.dumps(strip_times(records.dump(record)), sort_keys=True)
