"""Value of `--fitness` that lets comparisons rank: people, judge, or one of them blended with a metric."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, cast

from rewardsmith.contract.errors import FitnessError
from rewardsmith.spec.config import Layer
from rewardsmith.spec.task_cards import find_env

FALLBACK_METRIC = "length"
"""Metric that is recorded next to comparisons where none is known: the episode's length exists everywhere."""
_RANK_OPTION = re.compile(r"\s*(people|judge)\s*(?:\+\s*(?:([0-9.eE+-]+)\s*\*)?(.*))?", re.DOTALL)


@dataclass(frozen=True)
class RankOption:
    """The choice of the ranking: metric, people or judge, and the weight of a metric in it."""

    rank: Literal["people", "judge"]
    blend: float
    fitness: str | None
    """Expression of the metric; None takes the card's, which is then only shown."""

    @property
    def layer(self) -> Layer:
        """The option as settings; a fitness does not decide between programs then, so there are no finalists."""
        return {"feedback": {"rank": self.rank, "blend": self.blend}, "search": {"finalist_share": 0.0}}


def parse_rank_option(fitness: str | None) -> RankOption | None:
    """Parse a value of `--fitness`; return None where it is a metric or missing.

    >>> parse_rank_option("people + 0.5*mean(x_velocity)")
    RankOption(rank='people', blend=0.5, fitness='mean(x_velocity)')
    >>> parse_rank_option("judge"), parse_rank_option("mean(x_velocity)")
    (RankOption(rank='judge', blend=0.0, fitness=None), None)

    Raises:
        FitnessError: if it begins with people or judge and continues in another form.
    """
    match = _RANK_OPTION.fullmatch(fitness or "")
    if match is None:
        if fitness and re.match(r"\s*(people|judge)\b", fitness):
            raise FitnessError(
                f"fitness {fitness!r}: write people, judge, or people+WEIGHT*EXPRESSION, weight 0 or more"
            )
        return None

    rank, weight, metric = cast(Literal["people", "judge"], match[1]), match[2], match[3]
    if metric is None:
        return RankOption(rank, 0.0, None)

    try:
        blend = float(weight) if weight else 1.0
    except ValueError:
        blend = -1.0
    expression = metric.strip()
    if not expression or not 0.0 <= blend < float("inf"):
        raise FitnessError(f"fitness {fitness!r}: write people+WEIGHT*EXPRESSION, with a weight of 0 or more")
    return RankOption(rank, blend, expression)


def select_metric(option: RankOption, env: str) -> str | None:
    """Return the metric that is recorded next to comparisons: the user's, the card's (None), or the fallback.

    Raises:
        TaskError: if no environment can have this name.
    """
    if option.fitness is not None:
        return option.fitness
    _, card = find_env(env)
    return None if card else FALLBACK_METRIC
