"""The warm worker: the modules that it has loaded, and the start of a job in it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from rewardsmith.contract.records import EnvSpec, ProbeJob, TrainJob, TrainSettings
from rewardsmith.executors.local import LocalExecutor

SETTINGS = TrainSettings(n_envs=2, n_steps=4, batch_size=8, n_epochs=1, checkpoints=1)
TRAINING = TrainJob(EnvSpec("Hopper-v5"), None, "length", seed=0, env_steps=8, settings=SETTINGS)


def read_memory_maps(executor: LocalExecutor) -> str:
    """Return the files that the worker has mapped."""
    assert executor._worker is not None
    return Path(f"/proc/{executor._worker.pid}/maps").read_text()


def test_torch_is_loaded_for_the_first_training_and_shared_with_all(tmp_path: Path) -> None:
    executor = LocalExecutor(1)
    try:
        executor.run(ProbeJob(EnvSpec("Hopper-v5"), 0, 16), tmp_path / "probe")
        assert "libtorch" not in read_memory_maps(executor)
        executor.run(TRAINING, tmp_path / "training")
        assert "libtorch" in read_memory_maps(executor)
    finally:
        executor.close()


@pytest.mark.slow
def test_training_starts_within_a_tenth_of_a_second(tmp_path: Path) -> None:
    executor = LocalExecutor(1)
    try:
        executor.run(TRAINING, tmp_path / "warm")
        times = []
        for i in range(10):
            began = time.perf_counter()
            executor.run(TRAINING, tmp_path / str(i))
            times.append(time.perf_counter() - began)
    finally:
        executor.close()

    assert min(times) < 0.15  # with eight steps of training, and the policy and the result written
