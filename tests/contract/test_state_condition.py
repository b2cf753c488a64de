"""Conditions over one state: the same truth on the short way and on the long one, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest

from rewardsmith.contract.errors import TaskError
from rewardsmith.contract.fitness import StateCondition
from rewardsmith.contract.records import Signal

SIGNALS = (Signal("height", (), "m", "", ""), Signal("position", (3,), "m", "", ""))
RNG = np.random.default_rng(0)
STATES = {"height": RNG.uniform(0.0, 1.0, 50), "position": RNG.normal(size=(50, 3))}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("height < 0.5", STATES["height"] < 0.5),
        ("height < 0.5 or position[:, 2] > 0.2", (STATES["height"] < 0.5) | (STATES["position"][:, 2] > 0.2)),
        ("position[:, 0] <= -0.3", STATES["position"][:, 0] <= -0.3),
        ("position[:, -1] > +0.1", STATES["position"][:, 2] > 0.1),
        ("height < 0.5 and position[:, 1] > 0", (STATES["height"] < 0.5) & (STATES["position"][:, 1] > 0)),
        (
            "norm(position) > 1 or height < 0.1",
            (np.linalg.norm(STATES["position"], axis=1) > 1) | (STATES["height"] < 0.1),
        ),
        ("not 0.2 < height < 0.8", ~((STATES["height"] > 0.2) & (STATES["height"] < 0.8))),
    ],
)
def test_a_condition_holds_for_each_state_alone(text, expected):
    condition = StateCondition(text, "end =")
    condition.try_on(SIGNALS)
    found = condition.compute(STATES)
    assert found.dtype == np.bool_ and found.any() and not found.all()
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("height <", "invalid syntax"),
        ("position[2] < 1", "an index begins with `:`"),
        ("mean(height) < 1", r"mean\(\) looks along an episode; there are abs"),
        ("max(height) > 1", r"max\(\) of one value looks along an episode; give it several"),
        ("start.height < 1", "`start` has no place in it: write the number"),
        ("survived", "'survived' belongs to an episode"),
        ("position < 1", "is not one truth value for a state"),
        ("hight < 1", "no signal 'hight'; near it: height"),
    ],
)
def test_what_looks_along_an_episode_is_refused_in_one_line(text, said):
    with pytest.raises(TaskError, match=said) as caught:
        StateCondition(text, "end =").try_on(SIGNALS)
    assert str(caught.value).startswith(f"end = {text!r}") and "\n" not in str(caught.value)
