"""Trainers that `training.trainer` names, and the facts of each that other modules decide by.

`TRAINERS` is the one place that says what a trainer can do; the classes that train stand in `worker/training/train.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from rewardsmith.contract.errors import ConfigError

TrainerName = Literal["fast", "sb3", "sac", "td3"]
"""Names of `TRAINERS`, once more for type checkers and for the settings' schema."""


@dataclass(frozen=True)
class Trainer:
    """A way to train policies."""

    name: TrainerName
    """As settings have it."""
    algorithm: str
    """Class of stable-baselines3 that holds the model and loads an exported policy; prompts name it too."""
    is_on_policy: bool
    """Whether it learns from whole rollouts by the keys of `[training]`: rewards may be normalised, and a policy has a
    distribution to draw from. Else it learns from a replay buffer, by the keys of `[training.off_policy]`."""
    needs_bounded_actions: bool
    """Whether actions must be a box with bounds, to which they are scaled; else choices and open ranges will do too."""
    has_own_update: bool = False
    """Whether its update is our own, without autograd, for tanh networks on vectors."""
    has_action_noise: bool = False
    """Whether it explores by `off_policy.action_noise` on one best action; else by the policy's own distribution."""

    @property
    def is_ppo(self) -> bool:
        """Whether the algorithm is PPO: `training.blend` and the tasks of mjlab need it."""
        return self.algorithm == "PPO"


TRAINERS: Final[tuple[Trainer, ...]] = (
    Trainer("fast", "PPO", is_on_policy=True, needs_bounded_actions=False, has_own_update=True),
    Trainer("sb3", "PPO", is_on_policy=True, needs_bounded_actions=False),
    Trainer("sac", "SAC", is_on_policy=False, needs_bounded_actions=True),
    Trainer("td3", "TD3", is_on_policy=False, needs_bounded_actions=True, has_action_noise=True),
)
"""The first row of an algorithm is the one that messages recommend."""


def find_trainer(name: str) -> Trainer:
    """Return a trainer by its exact name.

    >>> find_trainer("fast").algorithm, find_trainer("td3").needs_bounded_actions
    ('PPO', True)

    Raises:
        ConfigError: if there is no such trainer.
    """
    for trainer in TRAINERS:
        if trainer.name == name:
            return trainer
    allowed = ", ".join(repr(trainer.name) for trainer in TRAINERS)
    raise ConfigError(f"training.trainer = {name!r}: there is no such trainer; allowed are {allowed}")


def find_sb3_trainer(algorithm: str) -> Trainer:
    """Return the trainer whose update of an algorithm is stable-baselines3's own.

    >>> find_sb3_trainer("PPO").name
    'sb3'

    Args:
        algorithm: of one of `TRAINERS`.
    """
    return next(trainer for trainer in TRAINERS if trainer.algorithm == algorithm and not trainer.has_own_update)
