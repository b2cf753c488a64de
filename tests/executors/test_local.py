"""Jobs in worker processes: results, retries, limits, rungs, and no process that outlives its orchestrator."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from fakes.paths import TESTS

from rewardsmith.contract import records
from rewardsmith.contract.errors import RunError, TaskError, WorkerFailed
from rewardsmith.contract.records import (
    CurvePoint,
    EnvSpec,
    EvaluateJob,
    Evaluation,
    Probe,
    ProbeJob,
    Rung,
    Training,
    TrainJob,
    TrainSettings,
)
from rewardsmith.executors.local import LocalExecutor

CASES = TESTS
"""Where the environments that misbehave lie."""
PROBE = ProbeJob(EnvSpec("Pendulum-v1"), seed=0, transitions=16)
DAWDLING = ProbeJob(EnvSpec("fakes.training_case:Faulty-v0", {"fault": "dawdle", "after": 0}), seed=0, transitions=32)
HANGING = ProbeJob(EnvSpec("fakes.training_case:Faulty-v0", {"fault": "hang", "after": 0}), seed=0, transitions=64)
SMALL = TrainSettings(n_envs=2, n_steps=32, batch_size=64, n_epochs=1, net_arch=(8,), checkpoints=4)
UPRIGHT = 'def reward(after):\n    return {"upright": np.exp(-after.obs[:, 1] ** 2)}\n'
LONG = 10_000_000
"""Environment steps that no test waits for."""


@pytest.fixture(scope="module")
def executor() -> Iterator[LocalExecutor]:
    with started(2) as executor:
        yield executor


@contextmanager
def started(slots: int, **limits: float) -> Iterator[LocalExecutor]:
    """Give an executor whose workers find the environments that misbehave."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(CASES))
        patch.setenv("A_SECRET", "sk-not-for-workers")
        executor = LocalExecutor(slots, **limits)  # type: ignore[arg-type]
        try:
            yield executor
        finally:
            executor.close()


def training(env_steps: int = 256, **changes: object) -> TrainJob:
    job = TrainJob(EnvSpec("InvertedPendulum-v5"), None, "length", 0, env_steps, SMALL)
    return replace(job, **changes)  # type: ignore[arg-type]


def faulty(fault: str) -> EnvSpec:
    return EnvSpec("fakes.training_case:Faulty-v0", {"fault": fault})


def children(pid: int) -> list[int]:
    """Return the processes whose parent is `pid`."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


def eventually(condition: Callable[[], bool]) -> bool:
    """Wait for a condition, at most half a minute."""
    deadline = time.monotonic() + 30
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


def in_thread(function: Callable[[], object]) -> tuple[threading.Thread, list[object]]:
    """Run a function in a thread; its result or its exception goes into the list."""
    outcome: list[object] = []

    def run() -> None:
        try:
            outcome.append(function())
        except Exception as error:  # noqa: BLE001 - the test looks at it
            outcome.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, outcome


def worker_pid(executor: LocalExecutor) -> int:
    assert executor._worker is not None
    return executor._worker.pid


def test_training_goes_from_its_job_to_its_files(executor: LocalExecutor, tmp_path: Path) -> None:
    points: list[CurvePoint] = []
    job = training(program=UPRIGHT)
    result = executor.run(job, tmp_path / "t", points.append)

    assert isinstance(result, Training) and result.status == "ok"
    assert list(result.curve) == points and len(points) == 4
    assert records.read(TrainJob, tmp_path / "t/job.json") == job
    assert records.read(Training, tmp_path / "t/result.json") == result
    assert len((tmp_path / "t/progress.jsonl").read_text().splitlines()) == 4
    assert (tmp_path / "t/policy.safetensors").stat().st_size > 0


def test_policy_of_a_training_is_evaluated_by_its_relative_path(
    executor: LocalExecutor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor.run(training(), tmp_path / "t")
    with started(1) as fresh:  # a worker starts where its orchestrator stands
        monkeypatch.chdir(tmp_path)
        job = EvaluateJob(EnvSpec("InvertedPendulum-v5"), "t", "length", seeds=(1, 2))
        result = fresh.run(job, Path("e"))

    assert isinstance(result, Evaluation) and [episode.seed for episode in result.episodes] == [1, 2]


def test_finished_job_answers_without_running(executor: LocalExecutor, tmp_path: Path) -> None:
    first = executor.run(PROBE, tmp_path)
    assert isinstance(first, Probe)
    records.write(replace(first, transitions=99), tmp_path / "result.json")

    assert executor.run(PROBE, tmp_path) == replace(first, transitions=99)


def test_folder_of_another_job_is_cleared(executor: LocalExecutor, tmp_path: Path) -> None:
    executor.run(training(), tmp_path)
    result = executor.run(PROBE, tmp_path)

    assert isinstance(result, Probe) and result.status == "ok"
    assert not (tmp_path / "policy.safetensors").exists()
    assert records.read(ProbeJob, tmp_path / "job.json") == PROBE


@pytest.mark.parametrize("torn", ["", '{"status": "ok", "see'])
def test_job_whose_result_is_not_whole_runs_again(executor: LocalExecutor, tmp_path: Path, torn: str) -> None:
    first = executor.run(PROBE, tmp_path)
    (tmp_path / "result.json").write_text(torn)

    assert executor.run(PROBE, tmp_path) == first


def test_what_the_user_can_mend_is_raised_as_such(executor: LocalExecutor, tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="InvertedPendulum-v5"):
        executor.run(ProbeJob(EnvSpec("InvertedPendulumm-v5"), 0, 16), tmp_path)


def test_folder_that_cannot_be_written_is_the_users_error(executor: LocalExecutor, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="file"):
        executor.run(PROBE, tmp_path / "file" / "job")


def test_worker_sees_nothing_of_the_environment(executor: LocalExecutor, tmp_path: Path) -> None:
    executor.run(PROBE, tmp_path)

    environment = Path(f"/proc/{worker_pid(executor)}/environ").read_bytes()
    assert b"PATH=" in environment and b"SECRET" not in environment and b"sk-" not in environment


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        ("crash", "ZeroDivisionError: the simulator gave up (training_case.py:"),
        ("exit", "killed by SIGABRT"),
        ("leave", "ended with exit code 0; see worker.log"),
    ],
)
def test_crashing_simulator_ends_as_infrastructure_after_a_retry(
    executor: LocalExecutor, tmp_path: Path, fault: str, cause: str
) -> None:
    job = training(env=faulty(fault))
    result = executor.run(job, tmp_path)

    assert isinstance(result, Training) and result.status == "infrastructure"
    assert cause in (result.cause or "")
    assert not (tmp_path / "result.json").exists()  # a later run tries it again
    assert executor.run(PROBE, tmp_path / "next").status == "ok"


def test_job_of_a_killed_worker_is_done_by_a_new_one(tmp_path: Path) -> None:
    with started(1) as executor:
        executor.run(PROBE, tmp_path / "warm")
        worker = worker_pid(executor)
        thread, outcome = in_thread(lambda: executor.run(DAWDLING, tmp_path / "job"))
        assert eventually(lambda: bool(children(worker)))
        os.kill(worker, signal.SIGKILL)
        thread.join(60)

        assert isinstance(outcome[0], Probe) and outcome[0].status == "ok"
        assert worker_pid(executor) != worker


def test_job_beyond_its_time_is_ended(tmp_path: Path) -> None:
    with started(1, time_limit_s=4.0) as executor:
        result = executor.run(HANGING, tmp_path)

        assert (result.status, result.cause) == ("timeout", "no result within 4 s, the limit limits.job_s")
        assert not children(worker_pid(executor))
        assert executor.run(HANGING, tmp_path) == result


def test_job_beyond_its_memory_is_ended(tmp_path: Path) -> None:
    with started(1, memory_limit_mib=20) as executor:
        result = executor.run(HANGING, tmp_path)

    assert result.status == "infrastructure"
    assert "limits.memory_mib allows 20" in (result.cause or "")


def test_training_that_waits_at_a_rung_gives_its_slot_to_another(tmp_path: Path) -> None:
    with started(1) as executor:
        both = threading.Barrier(2, timeout=60)

        def decide(rung: Rung) -> bool:
            both.wait()  # as halving does: nobody is judged before all have come this far
            return rung.env_steps != 64

        jobs = [training(256, seed=seed, rungs=(128 if seed else 64,)) for seed in range(2)]
        threads = [in_thread(lambda job=job: executor.run(job, tmp_path / str(job.seed), None, decide)) for job in jobs]
        for thread, _ in threads:
            thread.join()
        stopped, went_on = (outcome[0] for _, outcome in threads)

    assert isinstance(stopped, Training) and (stopped.status, stopped.env_steps) == ("pruned", 64)
    assert isinstance(went_on, Training) and (went_on.status, went_on.env_steps) == ("ok", 256)


def test_at_most_slots_jobs_run_at_once(tmp_path: Path) -> None:
    with started(1) as executor:
        executor.run(PROBE, tmp_path / "warm")
        threads = [in_thread(lambda i=i: executor.run(DAWDLING, tmp_path / str(i))) for i in range(3)]
        most = 0
        while any(thread.is_alive() for thread, _ in threads):
            most = max(most, len(children(worker_pid(executor))))
            time.sleep(0.01)

    assert most == 1
    assert all(isinstance(outcome[0], Probe) for _, outcome in threads)


def test_exception_of_a_listener_ends_the_job(executor: LocalExecutor, tmp_path: Path) -> None:
    def interrupt(point: CurvePoint) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        executor.run(training(LONG, settings=replace(SMALL, checkpoints=10_000)), tmp_path, interrupt)

    assert eventually(lambda: not children(worker_pid(executor)))


def test_closing_ends_running_and_waiting_jobs(tmp_path: Path) -> None:
    with started(1) as executor:
        executor.run(PROBE, tmp_path / "warm")
        threads = [in_thread(lambda i=i: executor.run(HANGING, tmp_path / str(i))) for i in range(2)]
        worker = worker_pid(executor)
        assert eventually(lambda: len(children(worker)) == 1)
        processes = [worker, *children(worker)]
        executor.close()
        for thread, _ in threads:
            thread.join(10)

    assert all(isinstance(outcome[0], WorkerFailed) for _, outcome in threads)
    assert not any(Path(f"/proc/{pid}").exists() for pid in processes)


SCRIPT = """
import sys
from pathlib import Path
from rewardsmith.executors.local import LocalExecutor
from rewardsmith.contract.records import *
settings = TrainSettings(n_envs=2, n_steps=32, batch_size=64, n_epochs=1, net_arch=(8,), checkpoints=1000)
program = 'def reward(after):\\n    return {"up": after.obs[:, 1]}\\n'
job = TrainJob(EnvSpec("InvertedPendulum-v5"), program, "length", 0, 6_400_000, settings)
executor = LocalExecutor(1)
executor.run(job, Path(sys.argv[1]), lambda point: print(executor._worker.pid, flush=True))
"""


def test_nothing_outlives_an_orchestrator_that_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SCRIPT, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as orchestrator:
        assert orchestrator.stdout is not None
        worker = int(orchestrator.stdout.readline())
        (training_pid,) = children(worker)
        processes = [worker, training_pid, *children(training_pid)]  # the last is the reward process's zygote
        assert len(processes) == 3
        orchestrator.kill()

    assert eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in processes))


# ---------------------------------------------------------------- cores


@pytest.mark.skipif(sys.platform != "linux", reason="threads are counted in /proc")
def test_a_training_that_runs_alone_gets_threads_for_the_cores_that_are_free(tmp_path):
    settings = TrainSettings(n_envs=4, n_steps=32, batch_size=64, n_epochs=1, net_arch=(8,), checkpoints=2)
    counts = {}
    for name, cores, physics_threads in (("one", 1, "auto"), ("three", 3, "auto"), ("fixed", 3, 1)):
        job = training(512, env=EnvSpec("Hopper-v5"), settings=replace(settings, physics_threads=physics_threads))
        with started(1, cores=cores) as executor:
            executor.run(job, tmp_path / name, lambda _, name=name: counts.update({name: count_job_threads(executor)}))
    assert counts["three"] - counts["one"] == 2
    assert counts["fixed"] == counts["one"]
    policies = {(tmp_path / name / "policy.safetensors").read_bytes() for name in counts}
    assert len(policies) == 1


def count_job_threads(executor: LocalExecutor) -> int:
    """Return the number of threads of the only job's process."""
    assert executor._worker is not None
    children = Path(f"/proc/{executor._worker.pid}/task/{executor._worker.pid}/children").read_text().split()
    return max(len(list(Path(f"/proc/{child}/task").iterdir())) for child in children)
