"""Checks of a probed environment before anything is trained or paid for."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from rewardsmith.contract.errors import FitnessError, TaskError
from rewardsmith.contract.records import Metric, Probe
from rewardsmith.search.probe import check_task_signals, check_trainer
from rewardsmith.spec.task_cards import Stage, Task

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


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"fitness": "x_position"}, "not one number"),
        ({"metrics": (Metric("far", "x_position", "m"),)}, "metric 'far'.*not one number"),
        ({"stages": (Stage("Jump.", "torso_height > 1", 1000),)}, "stage 1 .*not one number"),
    ],
)
def test_what_is_no_number_is_found_before_the_first_training(change, says):
    task = Task.load("hopper")
    known = (*task.env.signals, *task.env.list_learned())
    check_task_signals(task, known, task.env.privileged_signals)
    with pytest.raises(FitnessError, match=f"(?s){says}"):
        check_task_signals(replace(task, **change), known, task.env.privileged_signals)
