"""The throughput comparison: what it counts, and what the command prints."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from rewardsmith.worker import bench


def test_the_wait_for_rewards_counts_as_cpu_time() -> None:
    timing = bench.timed(lambda steps: float(steps), 3)

    assert timing.reward_s == 3.0
    assert 3.0 <= timing.cpu_s < 3.5
    assert timing.wall_s < 0.5


def test_both_sides_train_for_whole_rollouts(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def played(env_id: str) -> bench.Advance:
        return lambda steps: asked.append(steps) or sum(0.0 for _ in range(100_000))

    monkeypatch.setattr(bench, "as_it_comes", played)
    comparison = bench.compare("Pendulum-v1", rounds=1, steps=100)

    assert asked == [2048, 2048]
    assert comparison.steps_per_s > 0 and comparison.reward_us > 0
    assert comparison.ratio == pytest.approx(comparison.steps_per_s / comparison.sb3_steps_per_s)


@pytest.mark.slow
def test_the_command_prints_a_record_per_environment() -> None:
    command = [sys.executable, "-m", "rewardsmith", "bench", "CartPole-v1", "Pendulum-v1", "--rounds", "1", "--json"]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)

    about, *records = [json.loads(line) for line in answer.stdout.splitlines()]
    assert "torch" in about["machine"]
    assert [record["env_id"] for record in records] == ["CartPole-v1", "Pendulum-v1"]
    assert all(record["ratio"] > 1 for record in records)
