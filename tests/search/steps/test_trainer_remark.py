"""The notice before a training on images."""

from __future__ import annotations

from rewardsmith.contract.records import Probe
from rewardsmith.search.steps.trainer import observation_remark
from rewardsmith.spec.config import Config


def probe(*shape: int) -> Probe:
    return Probe((), (1,), (0.0,), (16.0,), 17, shape, 100, 0)


def told(trainer: str, *shape: int) -> str | None:
    return observation_remark(Config.model_validate({"training": {"trainer": trainer}}), probe(*shape))


def test_images_are_trained_by_stable_baselines3_and_the_user_is_told():
    assert "CnnPolicy" in (told("fast", 64, 64, 3) or "")


def test_nothing_is_told_where_the_trainer_was_chosen_or_fits():
    assert told("sb3", 64, 64, 3) is None
    assert told("fast", 11) is None
