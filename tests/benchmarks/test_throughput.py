"""The throughput benchmark: the time that it counts, and equal training on both sides."""

from __future__ import annotations

import importlib.util
import sys

import pytest
from fakes.paths import CHECKOUT

_SPEC = importlib.util.spec_from_file_location("throughput", CHECKOUT / "benchmarks" / "throughput.py")
assert _SPEC is not None and _SPEC.loader is not None
throughput = importlib.util.module_from_spec(_SPEC)
sys.modules["throughput"] = throughput
_SPEC.loader.exec_module(throughput)


def test_the_wait_for_rewards_counts_as_cpu_time() -> None:
    timing = throughput.measure(lambda steps: float(steps), 3)

    assert timing.reward_s == 3.0
    assert 3.0 <= timing.cpu_s < 3.5
    assert timing.wall_s < 0.5


def test_both_sides_train_for_whole_rollouts(monkeypatch: pytest.MonkeyPatch) -> None:
    trained: list[int] = []

    def make_fake_training(env_id: str):
        return lambda steps: trained.append(steps) or sum(0.0 for _ in range(100_000))

    monkeypatch.setattr(throughput, "make_sb3_training", make_fake_training)
    comparison = throughput.compare_throughput("Pendulum-v1", rounds=1, steps=100)

    assert trained == [2048, 2048]
    assert comparison.steps_per_s > 0 and comparison.reward_us > 0
    assert comparison.ratio == pytest.approx(comparison.steps_per_s / comparison.sb3_steps_per_s)
