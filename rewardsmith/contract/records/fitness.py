"""Fitness that a language model proposes: the word that stands for it until a person has said yes, and its record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

AUTO_FITNESS: Final = "auto"
"""Fitness of a task whose expression is still to be proposed."""
Motion = Literal["none", "largest", "sine"]
"""Scripted motions on which a proposal is shown. none: the action nearest to 0, or the first choice. largest: the
upper bounds, or the last choice. sine: each action swings slowly between its bounds, or the choices take turns."""
MOTIONS: tuple[Motion, ...] = get_args(Motion)
MOTION_NAMES: dict[Motion, str] = {"none": "no action", "largest": "largest action", "sine": "slow sine"}
"""Words for people."""


@dataclass(frozen=True)
class FitnessProposal:
    """A fitness expression that a model proposed for a task, with its values where nothing was learnt."""

    expression: str
    reason: str
    """The model's words about it, for the user."""
    model: str
    random: float
    """Mean fitness under random actions."""
    motions: dict[Motion, float]
    """Mean fitness under each scripted motion."""

    @property
    def is_constant(self) -> bool:
        """Whether it has the same value whatever was done."""
        return len({self.random, *self.motions.values()}) == 1
