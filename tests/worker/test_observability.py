"""What the policy's observation tells of the signals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rewardsmith.contract.records import ProbeJob, Signal
from rewardsmith.spec.task_cards import load_task
from rewardsmith.worker import probe
from rewardsmith.worker.observability import find_unobserved


@pytest.mark.parametrize(
    ("env", "hidden", "seen"),
    [
        ("Hopper-v5", {"x_position": (0,), "foot_x": (0,)}, "torso_height"),
        ("Swimmer-v5", {"x_position": (0,), "y_position": (0,), "centre_of_mass": (0, 1)}, "heading"),
        ("Walker2d-v5", {"x_position": (0,)}, "joint_velocities"),
        ("Reacher-v5", {}, "shoulder_angle"),
        ("Pendulum-v1", {}, "angle"),
    ],
    ids=["runner", "swimmer", "clipped velocities", "angle as sine and cosine", "classic"],
)
def test_places_that_an_observation_leaves_out_are_found(
    env: str, hidden: dict[str, tuple[int, ...]], seen: str, tmp_path: Path
) -> None:
    card = load_task(None, env)
    unobserved = probe.run(ProbeJob(card.env, 0, 1024), tmp_path).unobserved
    assert unobserved is not None
    assert {name: unobserved[name] for name in hidden} == hidden
    assert seen not in unobserved


def test_an_observation_of_more_numbers_than_transitions_tells_nothing() -> None:
    signals = (Signal("x", (), "m", "", "qpos[0]"),)
    values = {"x": np.arange(20.0)}
    assert find_unobserved(signals, values, np.zeros((20, 15))) is None
    assert find_unobserved(signals, values, np.zeros((20, 1))) == {"x": (0,)}


def test_a_signal_that_never_changes_hides_nothing() -> None:
    signals = (Signal("x", (), "m", "", "qpos[0]"),)
    assert find_unobserved(signals, {"x": np.ones(20)}, np.random.default_rng(0).normal(size=(20, 2))) == {}
