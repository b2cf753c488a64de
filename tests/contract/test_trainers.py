"""The table of trainers: exact lookup, and that other places name the trainers which it has."""

from __future__ import annotations

from typing import get_args

import pytest

from rewardsmith.cli.options import TrainerOption
from rewardsmith.contract.errors import ConfigError
from rewardsmith.contract.records import TrainSettings
from rewardsmith.contract.trainers import TRAINERS, TrainerName, find_sb3_trainer, find_trainer
from rewardsmith.spec.config import resolve_config
from rewardsmith.spec.rl_zoo import DEFAULTS

NAMES = [trainer.name for trainer in TRAINERS]


def test_the_settings_allow_the_trainers_of_the_table():
    assert list(get_args(TrainerName)) == NAMES
    assert [resolve_config({"training": {"trainer": name}}).training.trainer for name in NAMES] == NAMES
    with pytest.raises(ConfigError, match=r"training\.trainer"):
        resolve_config({"training": {"trainer": "ppo"}})


@pytest.mark.parametrize("name", ["ppo", "SAC", "", "fast "])
def test_an_unlisted_name_is_refused_with_the_names_that_are_allowed(name):
    with pytest.raises(ConfigError) as caught:
        find_trainer(name)
    assert str(caught.value) == (
        f"training.trainer = {name!r}: there is no such trainer; allowed are 'fast', 'sb3', 'sac', 'td3'"
    )


def test_the_default_is_the_first_of_its_algorithm():
    default = find_trainer(TrainSettings().trainer)
    assert default == next(trainer for trainer in TRAINERS if trainer.algorithm == default.algorithm)


@pytest.mark.parametrize("trainer", TRAINERS, ids=NAMES)
def test_each_trainer_is_known_to_the_exporter_the_zoo_reader_and_the_help(trainer):
    assert find_sb3_trainer(trainer.algorithm).algorithm == trainer.algorithm
    assert trainer.algorithm.lower() in DEFAULTS
    assert trainer.name in TrainerOption.__metadata__[0].help
