"""Processes that stay: they do one job after another, and a job that breaks one costs nothing but itself."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from fakes.paths import TESTS

from rewardsmith.contract import gpus, job_messages, records
from rewardsmith.contract.records import EnvSpec, Probe, ProbeJob
from rewardsmith.executors.worker_process import WorkerProcess

PENDULUM = ProbeJob(EnvSpec("Pendulum-v1"), seed=0, transitions=16)
LEAVING = ProbeJob(EnvSpec("fakes.training_case:Faulty-v0", {"fault": "exit", "after": 0}), seed=0, transitions=16)
UNKNOWN = ProbeJob(EnvSpec("Pendulum-v99"), seed=0, transitions=16)


@pytest.fixture
def worker(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(TESTS))
    process = WorkerProcess(None, None, 1)
    yield process
    process.close()


def do_job(worker: WorkerProcess, job: ProbeJob, folder: Path) -> int:
    """Do a job in a process that stays, and return its exit code."""
    folder.mkdir()
    records.write(job, folder / "job.json")
    with worker.open_job("resident", folder) as channel:
        while not isinstance(message := channel.receive(60.0), job_messages.JobEnded):
            assert message is not None
    return message.code


def list_residents(worker: WorkerProcess) -> list[int]:
    children = Path(f"/proc/{worker.pid}/task/{worker.pid}/children").read_text().split()
    return [int(child) for child in children if b"residents" in Path(f"/proc/{child}/cmdline").read_bytes()]


def test_one_process_does_one_job_after_another(worker, tmp_path):
    assert do_job(worker, PENDULUM, tmp_path / "a") == 0
    (pid,) = list_residents(worker)
    assert do_job(worker, UNKNOWN, tmp_path / "b") == 2
    assert do_job(worker, PENDULUM, tmp_path / "c") == 0
    assert list_residents(worker) == [pid]
    results = [records.read(Probe, tmp_path / name / "result.json") for name in ("a", "c")]
    assert results[0] == results[1] and results[0].status == "ok"


def test_a_job_that_ends_its_process_costs_only_itself(worker, tmp_path):
    assert do_job(worker, PENDULUM, tmp_path / "a") == 0
    (pid,) = list_residents(worker)
    assert do_job(worker, LEAVING, tmp_path / "b") not in (0, 2)
    assert do_job(worker, PENDULUM, tmp_path / "c") == 0
    assert list_residents(worker) != [pid]


def test_a_process_that_died_while_it_waited_gets_no_job(worker, tmp_path):
    assert do_job(worker, PENDULUM, tmp_path / "a") == 0
    (pid,) = list_residents(worker)
    os.kill(pid, signal.SIGKILL)
    while Path(f"/proc/{pid}/exe").exists():  # until it is dead, reaped or not
        time.sleep(0.01)
    assert do_job(worker, PENDULUM, tmp_path / "b") == 0


def test_a_job_that_is_given_up_ends_with_its_process(worker, tmp_path):
    hanging = ProbeJob(EnvSpec("fakes.training_case:Faulty-v0", {"fault": "hang", "after": 0}), 0, 64)
    (tmp_path / "a").mkdir()
    records.write(hanging, tmp_path / "a/job.json")
    with worker.open_job("resident", tmp_path / "a") as channel:
        worker.kill_job(tmp_path / "a")
        message = channel.receive(60.0)
        assert isinstance(message, job_messages.JobEnded) and message.code == -signal.SIGKILL
    assert do_job(worker, PENDULUM, tmp_path / "b") == 0


def test_no_process_outlives_the_worker(worker, tmp_path):
    assert do_job(worker, PENDULUM, tmp_path / "a") == 0
    (pid,) = list_residents(worker)
    worker.close()
    assert not Path(f"/proc/{pid}").exists()


def test_gpus_are_found_by_their_nodes_or_by_the_variable_that_names_them(tmp_path):
    for name in ("nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm"):
        (tmp_path / name).touch()
    assert gpus.list_gpus({}, tmp_path) == ("0", "1")
    assert gpus.list_gpus({"CUDA_VISIBLE_DEVICES": "1"}, tmp_path) == ("1",)
    assert gpus.list_gpus({"CUDA_VISIBLE_DEVICES": ""}, tmp_path) == ()
    assert gpus.list_gpus({}, tmp_path / "none") == ()
