"""Descriptions of the environment in a brief."""

from __future__ import annotations

from dataclasses import replace

from rewardsmith.contract.records import EnvSpec, Probe
from rewardsmith.search import brief
from rewardsmith.spec.task_cards import load_task

ABOUT = "A lake of ice.\n\n## Rewards\nOne at the goal.\n\n## Start\nAt the upper left."
PROBE = Probe((), (1,), (0.0,), (3.0,), 4, (16,), 100, 8, about=ABOUT)


def test_a_task_without_a_card_is_described_by_its_class_without_its_rewards() -> None:
    task = load_task("Cross the lake", "my_envs:Lake-v0", "length")
    says = brief._describe_environment(task, PROBE)
    assert says.endswith("Its class says:\n\nA lake of ice.\n\n## Start\nAt the upper left.")
    assert "goal" not in says
    assert brief._describe_environment(task, replace(PROBE, about="")) == task.env_about


def test_a_card_s_description_stays_as_it_is() -> None:
    card = load_task(None, "hopper")
    assert brief._describe_environment(card, PROBE) == card.env_about
    assert card.env != EnvSpec("Hopper-v5")
