"""The end of a job whose files cannot be written: its refusal reaches the orchestrator also where the log cannot."""

from __future__ import annotations

import errno
import os
import socket
import sys
from pathlib import Path

import pytest

from rewardsmith.contract import job_messages, records
from rewardsmith.contract.errors import UnwritableRun
from rewardsmith.contract.records import EnvSpec, ProbeJob
from rewardsmith.worker import run_job
from rewardsmith.worker.core_share import CoreShare


def run_failing_job(folder: Path, error: Exception, monkeypatch: pytest.MonkeyPatch) -> job_messages.JobMessage:
    """Run a job that raises an error, with a log on a full disk; return what the orchestrator hears."""
    records.write(ProbeJob(EnvSpec("Pendulum-v1"), 0, 4), folder / "job.json")

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(run_job, "perform_job", fail)
    ours, theirs = socket.socketpair()
    with ours, theirs, Path("/dev/full").open("w", buffering=1, encoding="utf-8", errors="replace") as full:
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stderr", full)
            assert run_job.main(folder, theirs, CoreShare(1)) == 1
        # What is still in the buffer would fail once more when the file is closed.
        os.dup2(os.open(os.devnull, os.O_WRONLY), full.fileno())
        return job_messages.decode_message(ours.recv(65536))


def build_masked_error() -> Exception:
    """Return an error of a library that a full disk led to."""
    error = ValueError("can't close the ZIP file while there is an open writing handle on it")
    error.__context__ = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return error


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "no space"), OSError(errno.EDQUOT, "quota"), build_masked_error()], ids=str
)
def test_a_full_disk_is_told_although_the_log_is_full_too(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = run_failing_job(tmp_path, error, monkeypatch)
    assert isinstance(heard, job_messages.JobRefused)
    refusal = heard.to_error()
    assert isinstance(refusal, UnwritableRun)
    said = f"cannot write the job in {str(tmp_path)!r}: the disk is full; make room, then resume the run"
    assert str(refusal) == said


def test_another_crash_is_told_with_its_place_although_the_log_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = run_failing_job(tmp_path, RuntimeError("the simulator\nis gone"), monkeypatch)
    assert isinstance(heard, job_messages.JobCrashed)
    assert heard.cause.startswith("RuntimeError: the simulator is gone (test_run_job.py:")
