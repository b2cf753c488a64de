"""The key is out of reach: no process that runs a simulation or a program sees it, and nothing they write holds it."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from fakes.processes import children

from rewardsmith.contract.records import EnvSpec, TrainJob, TrainSettings
from rewardsmith.executors.local import LocalExecutor

KEY = "sk-planted-0123456789"
PROGRAM = "def reward(action):\n    return {'effort': -np.sum(action**2, axis=1)}\n"


def test_no_worker_and_no_file_of_a_training_holds_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", KEY)
    settings = TrainSettings(n_envs=2, n_steps=64, checkpoints=2)
    job = TrainJob(EnvSpec("Pendulum-v1"), PROGRAM, "1.0", seed=0, env_steps=256, settings=settings)
    seen: dict[int, bytes] = {}
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.01):
            for pid in children(os.getpid()):
                try:
                    seen[pid] = Path(f"/proc/{pid}/environ").read_bytes()
                except OSError:
                    continue

    watcher = threading.Thread(target=watch)
    watcher.start()
    executor = LocalExecutor(1)
    try:
        result = executor.run(job, tmp_path / "training")
    finally:
        executor.close()
        done.set()
        watcher.join()
    assert result.status == "ok", result.cause
    assert len(seen) >= 3, "a worker, a zygote and a reward process were running"
    assert not [pid for pid, environment in seen.items() if KEY.encode() in environment]
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert written and not [path for path in written if KEY.encode() in path.read_bytes()]
