"""An upgrade during a search ends it with a line that says to resume, and does not count against a program."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path

import pytest
from fakes.played_search import PlayedExecutor, ScriptedDesigner, search

import rewardsmith
from rewardsmith.contract import build_id, job_messages
from rewardsmith.contract.errors import Upgraded, WorkerFailed
from rewardsmith.contract.records import EnvSpec, Limits, ProbeJob, TrainJob
from rewardsmith.contract.reward_program import parse_program
from rewardsmith.executors import slurm
from rewardsmith.executors.local import LocalExecutor
from rewardsmith.sandbox import ProgramLayout, open_process
from rewardsmith.sandbox.inside import wire
from rewardsmith.search.storage.journal import read_journal
from rewardsmith.worker import run_job
from rewardsmith.worker.core_share import CoreShare

PROBE = ProbeJob(EnvSpec("Pendulum-v1"), seed=0, transitions=16)
REWARD = parse_program("def reward(after):\n    return {'up': after.height}\n")


def test_a_worker_of_another_version_gets_no_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    running = build_id.RUNNING_BUILD
    monkeypatch.setattr(build_id, "RUNNING_BUILD", "0.0.1+abc")
    executor = LocalExecutor(1)
    try:
        with pytest.raises(Upgraded, match=r"it began as 0\.0\.1\+abc, and a worker is .*; resume the run") as raised:
            executor.run(PROBE, tmp_path / "probe")
    finally:
        executor.close()
    assert running in str(raised.value)
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "probe" / "result.json").exists()


def test_a_warm_worker_does_no_job_once_its_files_have_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = tmp_path / "site" / "rewardsmith"
    shutil.copytree(Path(rewardsmith.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setenv("PYTHONPATH", str(copy.parent))  # a worker finds its package there first
    executor = LocalExecutor(1)
    try:
        assert executor.run(PROBE, tmp_path / "before").status == "ok"
        with (copy / "worker" / "training" / "train.py").open("a") as file:
            file.write("# another version\n")
        with pytest.raises(Upgraded, match=r"and what is installed is .*; resume the run"):
            executor.run(PROBE, tmp_path / "after")
    finally:
        executor.close()


def test_a_reward_process_of_another_version_scores_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "VERSION", "00000000")
    with pytest.raises(Upgraded, match="its reward processes are of another version; resume the run"):
        open_process(REWARD, ProgramLayout({"height": ()}, (1,)), Limits(backend="local"))


def test_a_job_that_meets_one_is_refused_and_has_not_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def meets(*_: object) -> None:
        raise build_id.build_upgrade_error("its reward processes are of another version")

    monkeypatch.setattr(run_job, "perform_job", meets)
    (tmp_path / "job.json").write_text("{}")
    monkeypatch.setattr(run_job, "load_job", lambda data: None)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert run_job.main(tmp_path, theirs, CoreShare(1)) == 1
        said = job_messages.decode_message(ours.recv(65536).strip())
    assert isinstance(said, job_messages.JobRefused)
    assert isinstance(said.to_error(), Upgraded)


def test_a_node_of_another_version_refuses_the_job(tmp_path: Path) -> None:
    error, words = slurm.run_job_folder(str(tmp_path), (None, None), "0.0.1+abc")
    assert error == "Upgraded"
    assert "it began as 0.0.1+abc, and on a node it is" in words


def test_a_search_that_is_upgraded_ends_and_a_resumed_one_does_the_training(tmp_path: Path) -> None:
    class Changed(PlayedExecutor):
        def run(self, job, out, on_event=None, decide=None):
            if isinstance(job, TrainJob):
                raise build_id.build_upgrade_error("it began as 1, and a worker is 2")
            return super().run(job, out, on_event, decide)

    with pytest.raises(WorkerFailed, match="rewardsmith was changed while this ran"):
        search(tmp_path, ScriptedDesigner([1.0, 3.0, 2.0, 0.5]), Changed())
    assert not any(event.step in ("trainer", "analyzer") for event in read_journal(tmp_path / "run" / "journal.jsonl"))
    assert search(tmp_path, ScriptedDesigner([1.0, 3.0, 2.0, 0.5])).best.id == "g0c01"
