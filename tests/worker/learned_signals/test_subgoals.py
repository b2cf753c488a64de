from __future__ import annotations

import numpy as np
import pytest

from rewardsmith.contract.errors import TaskError
from rewardsmith.contract.records import EnvSpec, LearnedSignal, Signal
from rewardsmith.worker.learned_signals.base import Moments, ProviderContext
from rewardsmith.worker.learned_signals.subgoals import SubgoalProvider, count_reached

X = Signal("x", (), "m", "", "obs[0]")
PLACE = Signal("place", (2,), "m", "", "obs[0:2]")


def make_provider(*conditions: str, n: int = 1) -> SubgoalProvider:
    subgoals = [{"text": condition, "condition": condition} for condition in conditions]
    signal = LearnedSignal("reached", "subgoals", "", options={"subgoals": subgoals})
    return SubgoalProvider(ProviderContext(signal, EnvSpec("X-v0"), (X, PLACE), n))


def make_moments(x: list[float], starts: list[int], envs: list[int] | None = None) -> Moments:
    marks = np.zeros(len(x), np.bool_)
    marks[starts] = True
    return Moments({"x": np.array(x)}, np.zeros((len(x), 1)), marks, np.array(envs or [0] * len(x), np.intp))


def test_subgoals_count_in_their_order_and_stay_counted():
    provider = make_provider("x > 1", "x < 0", "x > 2")
    values = provider.compute_values(make_moments([-1.0, 1.5, 0.5, -0.5, 0.0, 3.0, 0.0], [0]))
    assert values.tolist() == [0, 1, 1, 2, 2, 3, 3]


def test_several_may_be_reached_in_the_same_state():
    assert make_provider("x > 1", "x > 2").compute_values(make_moments([0.0, 5.0], [0])).tolist() == [0, 2]


def test_the_count_begins_again_with_an_episode_and_goes_on_in_the_next_call():
    provider = make_provider("x > 1", "x < 0", n=2)
    first = make_moments([0.5, 2.0, 0.5, 0.5, 0.5, 2.0], [0, 2, 4], [0, 0, 0, 1, 1, 1])
    assert provider.compute_values(first).tolist() == [0, 1, 0, 0, 0, 1]
    later = make_moments([-1.0, -1.0], [], [0, 1])
    assert provider.compute_values(later).tolist() == [0, 2]


def test_the_count_is_that_of_a_walk_through_the_states():
    holds = np.random.default_rng(0).random((4, 60)) < 0.1
    reached, expected = 1, []
    for state in range(60):
        while reached < 4 and holds[reached, state]:
            reached += 1
        expected.append(reached)
    assert count_reached(holds, 1).tolist() == expected


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        (("x > 0", "y > 0"), "learned signal 'reached': the condition of 'y > 0' 'y > 0': no signal 'y'"),
        (("place > 0",), r"is not one truth value for a state; take a number of a vector with \[:, 2\]"),
        (("x >",), "the condition of 'x >' 'x >'"),
    ],
)
def test_a_condition_that_cannot_be_asked_gives_one_line(conditions, message):
    with pytest.raises(TaskError, match=message) as raised:
        make_provider(*conditions)
    assert "\n" not in str(raised.value)


def test_subgoals_that_nobody_has_written_give_one_line():
    signal = LearnedSignal("reached", "subgoals", "")
    with pytest.raises(TaskError, match="its subgoals are not written yet; a search with a language model writes them"):
        SubgoalProvider(ProviderContext(signal, EnvSpec("X-v0"), (X,), 1))
