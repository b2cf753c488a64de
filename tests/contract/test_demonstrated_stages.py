from __future__ import annotations

import numpy as np
import pytest

from rewardsmith.contract import records
from rewardsmith.contract.demonstrated_stages import compute_progress, cut_sequence, fit_stages
from rewardsmith.contract.records.demonstrations import DemonstratedStages


def demonstrate(seed: int, steps: int = 90) -> dict[str, np.ndarray]:
    """Return an episode in which a hand goes, closes and lifts, with signals that tell nothing."""
    rng, t = np.random.default_rng(seed), np.arange(steps)
    return {
        "hand": np.stack([np.clip(t / 40, 0, 1), rng.normal(size=steps)], axis=1),
        "grip": np.clip((t - 40) / 5, 0, 1),
        "height": np.clip((t - 45) / 45, 0, 1),
        "goal": np.full(steps, rng.normal()),
        "constant": np.ones(steps),
    }


def test_a_sequence_is_cut_where_it_changes() -> None:
    steps = np.repeat([0.0, 3.0, -1.0], [10, 4, 7])[:, None] + 0.01 * np.random.default_rng(0).normal(size=(21, 1))
    assert cut_sequence(steps, 3) == [0, 10, 14, 21]
    assert cut_sequence(steps[:3], 3) == [0, 1, 2, 3]


def test_the_progress_rises_along_a_new_demonstration_and_ends_at_one() -> None:
    stages = fit_stages([demonstrate(seed) for seed in range(4)], 3)
    progress = compute_progress(stages, demonstrate(99))
    assert progress[0] < 0.1 and progress[-1] > 0.95
    assert progress[:35].max() < 0.35 < progress[50:].min()
    assert ((progress >= 0.0) & (progress <= 1.0)).all()


def test_only_signals_that_tell_stages_apart_are_kept() -> None:
    stages = fit_stages([demonstrate(seed) for seed in range(4)], 2)
    assert {("hand", 0), ("grip", 0), ("height", 0)} <= set(stages.features)
    assert "constant" not in stages.shapes
    assert stages.shapes["hand"] == (2,)


def test_states_far_from_every_demonstration_make_no_progress() -> None:
    stages = fit_stages([demonstrate(seed) for seed in range(4)], 3)
    far = {name: np.full((1, *values.shape[1:]), 30.0) for name, values in demonstrate(0).items()}
    assert compute_progress(stages, far)[0] < 0.1


def test_equal_demonstrations_give_equal_stages_that_survive_a_file() -> None:
    first, second = (fit_stages([demonstrate(seed) for seed in range(3)], 4) for _ in range(2))
    assert first == second
    assert records.load(DemonstratedStages, records.dump(first)) == first


def test_demonstrations_without_stages_are_refused() -> None:
    with pytest.raises(ValueError, match="2 states, fewer than the 3 stages"):
        fit_stages([{"x": np.arange(2.0)}], 3)
    with pytest.raises(ValueError, match="no signal varies"):
        fit_stages([{"x": np.ones(5)}], 3)
