"""Evaluations in which a scripted motion acts."""

from __future__ import annotations

import numpy as np
import pytest

from rewardsmith.contract.records import EnvSpec, EvaluateJob
from rewardsmith.contract.records.fitness import MOTIONS
from rewardsmith.worker import evaluate
from rewardsmith.worker.envs.base import ActionSpec
from rewardsmith.worker.scripted_motions import make_motion


def acted(env_id: str, motion: str, tmp_path) -> np.ndarray:
    """Return the actions of an episode; both seeds act alike."""
    job = EvaluateJob(EnvSpec(env_id), None, "length", (3, 4), motion=motion)
    assert evaluate.run(job, tmp_path).status == "ok"
    with np.load(tmp_path / "episodes.npz") as file:
        actions = [file[f"{row}/action"] for row in range(2)]
    shortest = min(map(len, actions))
    assert (actions[0][:shortest] == actions[1][:shortest]).all()
    return actions[0]


def test_a_box_is_still_at_its_largest_or_swings(tmp_path):
    assert (acted("Pendulum-v1", "none", tmp_path) == 0.0).all()
    assert (acted("Pendulum-v1", "largest", tmp_path) == 2.0).all()
    sine = acted("Pendulum-v1", "sine", tmp_path)[:, 0]
    assert (sine.min(), sine.max()) == pytest.approx((-2.0, 2.0), abs=1e-6)
    assert sine[0] == 0.0 and np.abs(np.diff(sine)).max() < 0.15


def test_a_choice_is_the_first_the_last_or_each_in_turn(tmp_path):
    assert (acted("MountainCar-v0", "none", tmp_path) == 0).all()
    assert (acted("MountainCar-v0", "largest", tmp_path) == 2).all()
    turns = acted("MountainCar-v0", "sine", tmp_path)[:, 0]
    assert set(turns.tolist()) == {0.0, 1.0, 2.0} and np.abs(np.diff(turns)).max() == 1.0


@pytest.mark.parametrize("motion", MOTIONS)
def test_open_bounds_have_finite_motions(motion):
    spec = ActionSpec((-np.inf, 0.5), (np.inf, 2.0))
    actions = np.array([make_motion(motion, spec)(step) for step in range(200)])
    assert np.isfinite(actions).all() and (actions[:, 1] >= 0.5).all() and (actions[:, 1] <= 2.0).all()
