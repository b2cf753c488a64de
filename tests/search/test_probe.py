"""Checks of a probed environment before anything is trained or paid for."""

from __future__ import annotations

import math

import pytest

from rewardsmith.contract.errors import TaskError
from rewardsmith.contract.records import Probe
from rewardsmith.search.probe import check_trainer

BOX = Probe((), (1,), (-1.0,), (1.0,), None, (3,), None, 4)
UNBOUNDED = Probe((), (1,), (-math.inf,), (1.0,), None, (3,), None, 4)
CHOICES = Probe((), (1,), (0.0,), (3.0,), 4, (3,), None, 4)


@pytest.mark.parametrize("trainer", ["sac", "td3"])
@pytest.mark.parametrize(
    ("probe", "what"),
    [(UNBOUNDED, "actions without bounds"), (CHOICES, "choices for actions")],
    ids=["open", "choices"],
)
def test_a_trainer_that_cannot_act_in_the_environment_is_refused_before_the_first_training(trainer, probe, what):
    with pytest.raises(TaskError, match=f"{what}; --trainer fast trains it"):
        check_trainer(trainer, probe)
    check_trainer(trainer, BOX)


@pytest.mark.parametrize("probe", [BOX, UNBOUNDED, CHOICES], ids=["box", "open", "choices"])
def test_ppo_trains_them_all(probe):
    check_trainer("fast", probe)
    check_trainer("sb3", probe)
