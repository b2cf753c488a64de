"""Jobs through submitit, whose local executor starts processes on this machine in place of Slurm."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from rewardsmith.contract.errors import ConfigError, RunError, TaskError, WorkerFailed
from rewardsmith.contract.records import EnvSpec, Training, TrainJob
from rewardsmith.executors.local import LocalExecutor

pytest.importorskip("submitit")

from rewardsmith.executors.slurm import SlurmExecutor

PROGRAM = "def reward(after):\n    return {'up': -after.obs[:, 0] ** 2}\n"


def training(steps: int = 2_048, env: str = "InvertedPendulum-v5") -> TrainJob:
    return TrainJob(EnvSpec(env), PROGRAM, "obs[-1, 1]", 0, steps)


@pytest.fixture
def executor(tmp_path: Path) -> SlurmExecutor:
    return SlurmExecutor(tmp_path / "slurm", {"timeout_min": 5}, cluster="local")


def test_a_job_is_bit_for_bit_what_it_is_here(executor: SlurmExecutor, tmp_path: Path) -> None:
    points = []
    there = executor.run(training(), tmp_path / "there", points.append)
    local = LocalExecutor(1)
    try:
        here = local.run(training(), tmp_path / "here")
    finally:
        local.close()
    assert isinstance(there, Training)
    assert isinstance(here, Training)
    assert (there.status, there.curve) == ("ok", here.curve)
    assert tuple(points) == there.curve
    policies = [(tmp_path / name / "policy.safetensors").read_bytes() for name in ("there", "here")]
    assert policies[0] == policies[1]


def test_what_a_user_got_wrong_is_raised_here(executor: SlurmExecutor, tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="NoSuchThing"):
        executor.run(training(env="NoSuchThing-v0"), tmp_path / "job")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # submitit waits for no process
def test_closing_ends_a_job_that_runs(executor: SlurmExecutor, tmp_path: Path) -> None:
    threading.Timer(4.0, executor.close).start()
    with pytest.raises(WorkerFailed, match="closed"):
        executor.run(training(50_000_000), tmp_path / "job")


def test_a_machine_without_slurm_is_said_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RunError, match="Slurm cannot be used here"):
        SlurmExecutor(tmp_path / "slurm", {})


def test_a_parameter_that_sbatch_does_not_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="partitoin"):
        SlurmExecutor(tmp_path / "slurm", {"slurm_partitoin": "gpu"}, cluster="local")
