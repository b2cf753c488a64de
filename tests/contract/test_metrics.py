"""Metrics: expressions in addition to the fitness, and errors that name the metric."""

from __future__ import annotations

import numpy as np
import pytest

from rewardsmith.contract.errors import FitnessError
from rewardsmith.contract.fitness import AuxiliaryMetrics, Rollout
from rewardsmith.contract.records import Signal

LAVA = Signal("in_lava", (), "1", "1 in lava", "info[in_lava]")
FOOT = Signal("foot", (3,), "m", "place of the foot", "obs[0:3]")


def rollout(*in_lava: float) -> Rollout:
    values = np.array(in_lava)
    return Rollout({"in_lava": values}, {"in_lava": np.array(0.0)}, np.zeros((len(values), 1)), True)


def test_each_is_an_expression_of_the_fitness_language() -> None:
    figures = AuxiliaryMetrics.parse({"death_by_lava": "any(in_lava)", "ended": "1 - survived"})
    assert figures.names == ("in_lava",)
    assert [figures.evaluate("death_by_lava", rollout(*values)) for values in ((0, 0), (0, 1))] == [0.0, 1.0]
    assert figures.evaluate("ended", rollout(0)) == 1.0


def test_an_unknown_signal_is_named_with_its_figure_and_the_nearest() -> None:
    with pytest.raises(FitnessError, match=r"^metric 'death': no signal 'in_lva'; near it: in_lava"):
        AuxiliaryMetrics.parse({"death": "any(in_lva)"}).check_signals(["in_lava", "health"])


def test_an_expression_that_does_not_parse_is_named_with_its_figure() -> None:
    with pytest.raises(FitnessError, match=r"^metric 'death': no function 'ani'; there are abs, all"):
        AuxiliaryMetrics.parse({"death": "ani(in_lava)"})


def test_one_that_gives_no_single_number_is_refused_on_a_made_up_episode() -> None:
    with pytest.raises(FitnessError, match=r"^metric 'foot': the result has shape \(3,\)"):
        AuxiliaryMetrics.parse({"foot": "foot[-1]"}).try_on([LAVA, FOOT])


def test_an_episode_without_a_finite_value_is_told_as_such() -> None:
    with pytest.raises(FitnessError, match=r"^metric 'death': the result is inf"):
        AuxiliaryMetrics.parse({"death": "1 / any(in_lava)"}).evaluate("death", rollout(0.0))
