"""Facts of the trainings for prompts: the algorithm, its budget and its discount, with what follows for a reward."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rewardsmith.contract.term_limits import parse_limits
from rewardsmith.contract.text import flatten_text
from rewardsmith.contract.trainers import find_trainer
from rewardsmith.spec.config import Config

DEFAULT_GAMMA = 0.99
"""Default discount of `shaping.potential`."""
FAR_GAMMA = 0.999
"""Discount from which the value of staying alive outweighs what single actions earn."""


def describe_training(config: Config, earlier: str = "") -> str:
    """Return how policies are trained, in a few sentences.

    Args:
        config: of the search.
        earlier: the sentence of the stage before, whose policy every training begins with; "" without one.
    """
    training, steps = config.training, f"{config.search.env_steps:,}"
    gamma = training.gamma
    trainer = find_trainer(training.trainer)
    parts = [
        f"Policies are trained by {trainer.algorithm} for {steps} environment steps, discount"
        f" {gamma:g}{_describe_horizon(gamma)}."
    ]
    if trainer.is_on_policy and training.normalize_reward:
        parts.append(
            "Rewards are divided by the running deviation of the return: only the balance between terms counts."
        )
    parts.append("A constant term pays for the length of the episode alone; a large one drowns the others.")
    if gamma >= FAR_GAMMA:
        parts.append(
            "With this discount a constant can freeze the policy: leave constants out where no episode ends early."
        )
    if gamma != DEFAULT_GAMMA:
        parts.append(f"Give `shaping.potential` gamma={gamma:g}.")
    if earlier:
        parts.append(f"Every training begins with a policy that was trained for this before: {flatten_text(earlier)}")
    if training.constraints:
        parts.append(_describe_limits(training.constraints))
    if training.blend == "barfi":
        parts.append(
            "The weights of the terms are learned while the policy is trained, beside the environment's own reward:"
            " return each thing that may help as a term of its own."
        )
    if config.search.warm_start:
        parts.append("A program's training begins with the policy of the program that it is built on.")
    return " ".join(parts)


def _describe_limits(constraints: Sequence[str]) -> str:
    """Return which terms a program must have because the training holds them at limits."""
    limits = parse_limits(constraints)
    names = ", ".join(dict.fromkeys(f"`{limit.term}`" for limit in limits))
    return (
        f"The training holds terms at limits by Lagrange multipliers: {', '.join(limit.text for limit in limits)}, the"
        f" mean per step before the weight. Return {names} as a term of exactly this name and in the unit of its limit,"
        " and beside it the goal as terms of other names; the weight of a limited term is only where its multiplier"
        " begins."
    )


def _describe_horizon(gamma: float) -> str:
    """Return how many steps away a reward is worth half."""
    if not 0.0 < gamma < 1.0:
        return ""
    return f" ({round(math.log(0.5) / math.log(gamma)):,} steps away a reward counts half)"
