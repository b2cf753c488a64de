"""How a user says who ranks the programs: `--fitness people`, `judge`, or one of them with a metric beside it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, cast

from rewardsmith.contract.errors import FitnessError
from rewardsmith.spec.config import Layer
from rewardsmith.spec.task_cards import find_env

STAND_IN = "length"
"""What is measured beside comparisons where no metric is known: the episode's length, which is always there."""
_WORDS = re.compile(r"\s*(people|judge)\s*(?:\+\s*(?:([0-9.eE+-]+)\s*\*)?(.*))?", re.DOTALL)


@dataclass(frozen=True)
class Asked:
    """Who ranks, and what a metric counts beside them."""

    rank: Literal["people", "judge"]
    blend: float
    fitness: str | None
    """The metric's expression; None takes the card's, for information alone."""

    @property
    def layer(self) -> Layer:
        """The settings."""
        return {"feedback": {"rank": self.rank, "blend": self.blend}}


def read(fitness: str | None) -> Asked | None:
    """Read what the user said of fitness; None where it is a metric or nothing.

    >>> read("people + 0.5*mean(x_velocity)")
    Asked(rank='people', blend=0.5, fitness='mean(x_velocity)')
    >>> read("judge"), read("mean(x_velocity)")
    (Asked(rank='judge', blend=0.0, fitness=None), None)

    Raises:
        FitnessError: if it begins with people or judge and goes on otherwise.
    """
    found = _WORDS.fullmatch(fitness or "")
    if found is None:
        if fitness and re.match(r"\s*(people|judge)\b", fitness):
            raise FitnessError(
                f"fitness {fitness!r}: write people, judge, or people+WEIGHT*EXPRESSION, weight 0 or more"
            )
        return None
    rank = cast(Literal["people", "judge"], found[1])
    if found[3] is None:
        return Asked(rank, 0.0, None)
    try:
        blend = float(found[2]) if found[2] else 1.0
    except ValueError:
        blend = -1.0
    expression = found[3].strip()
    if not expression or not 0.0 <= blend < float("inf"):
        raise FitnessError(f"fitness {fitness!r}: write people+WEIGHT*EXPRESSION, with a weight of 0 or more")
    return Asked(rank, blend, expression)


def metric(ranking: Asked, env: str) -> str | None:
    """Return the metric that is measured beside comparisons: the user's, the card's (None), or the stand-in.

    Raises:
        TaskError: if nothing of the environment's name can exist.
    """
    if ranking.fitness is not None:
        return ranking.fitness
    _, card = find_env(env)
    return None if card else STAND_IN
