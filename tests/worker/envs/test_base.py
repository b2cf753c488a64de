"""Layouts and action spaces."""

from __future__ import annotations

import numpy as np
import pytest

from rewardsmith.contract.records import Signal
from rewardsmith.worker.envs.base import ActionSpec, SignalLayout

LAYOUT = SignalLayout((Signal("a", (), "m", "", ""), Signal("b", (2, 3), "m", "", ""), Signal("c", (), "m", "", "")))


def test_unpacked_signals_are_views_of_their_columns():
    packed = np.arange(16.0).reshape(2, 8)
    values = LAYOUT.unpack_signals(packed)
    np.testing.assert_array_equal(values["a"], [0, 8])
    np.testing.assert_array_equal(values["b"][1], [[9, 10, 11], [12, 13, 14]])
    np.testing.assert_array_equal(values["c"], [7, 15])
    packed[:] = 0
    assert not values["b"].any()


def test_one_row_unpacks_to_the_bare_shapes():
    assert {name: value.shape for name, value in LAYOUT.unpack_signals(np.zeros(8), ("b", "a")).items()} == {
        "b": (2, 3),
        "a": (),
    }


def test_samples_of_a_box_are_uniform_and_fit_float32():
    actions = ActionSpec(low=(-2.0, 0.0), high=(-1.0, 0.1))
    drawn = np.array([actions.sample(rng) for rng in [np.random.default_rng(0)] for _ in range(500)])
    assert (drawn >= np.float32([-2.0, 0.0])).all()
    assert (drawn <= np.float32([-1.0, 0.1])).all()
    np.testing.assert_allclose(drawn.mean(axis=0), [-1.5, 0.05], atol=0.03)
    np.testing.assert_array_equal(drawn, drawn.astype(np.float32))


def test_samples_without_bounds_are_finite():
    actions = ActionSpec(low=(-np.inf,), high=(np.inf,))
    assert np.isfinite(actions.sample(np.random.default_rng(0))).all()


def test_samples_of_a_discrete_space_are_all_its_numbers():
    actions, rng = ActionSpec(low=(0.0,), high=(2.0,), n=3), np.random.default_rng(0)
    assert {float(actions.sample(rng)[0]) for _ in range(50)} == {0.0, 1.0, 2.0}


@pytest.mark.parametrize(
    ("low", "high", "is_near"),
    [
        (-1.0, 1.0, True),
        (-2.0, 2.0, True),
        (0.0, 1.0, True),
        (0.0, 512.0, False),
        (-0.01, 0.01, False),
        (90.0, 92.0, False),
    ],
)
def test_actions_far_from_where_a_policy_begins_are_told_apart(low: float, high: float, is_near: bool) -> None:
    assert ActionSpec((-1.0, low), (1.0, high)).is_near_unit is is_near
