"""The warm worker: the modules that it has loaded, and the start of a job in it."""

from __future__ import annotations

from pathlib import Path

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
