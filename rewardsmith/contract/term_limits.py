"""Limits of reward terms, as `training.constraints` writes them: "effort <= 0.3"."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from rewardsmith.contract.errors import ConfigError
from rewardsmith.contract.text import format_number

_LIMIT = re.compile(r"\s*([A-Za-z_]\w*)\s*(<=|>=)\s*(\S+)\s*")
HOW_TO_WRITE = 'a constraint is a term\'s name, <= or >=, and a number, as in ["effort <= 0.3"]'


@dataclass(frozen=True)
class TermLimit:
    """A limit that the mean of a term, before its weight, is to keep."""

    term: str
    comparison: Literal["<=", ">="]
    bound: float
    """In the unit of the term, per environment step."""

    @property
    def text(self) -> str:
        """The limit as a setting has it: "effort <= 0.3"."""
        return f"{self.term} {self.comparison} {self.bound:g}"

    @property
    def tag(self) -> str:
        """A name of letters for trackers: "effort_at_most"."""
        return f"{self.term}_{'at_most' if self.comparison == '<=' else 'at_least'}"

    @property
    def sign(self) -> float:
        """1 for an upper limit, -1 for a lower one."""
        return 1.0 if self.comparison == "<=" else -1.0

    def measure_excess(self, mean: float) -> float:
        """Return how far a mean lies beyond the limit; 0 or less where the limit is kept.

        >>> parse_limit("speed >= 2").measure_excess(1.5)
        0.5
        """
        return self.sign * (mean - self.bound)


SLACK = 0.1
"""Excess over a limit that counts as kept, in units of the bound or of the term's range over training, whichever is
larger: a multiplier swings about its limit by so much (benchmarks/RESULTS.md)."""


def describe_missed_limit(limit: TermLimit, means: Sequence[float], multiplier: float) -> str | None:
    """Return a line where a limit was not kept at the end of a training; None where it was.

    Args:
        limit: of the term.
        means: of the term at the points of the learning curve, at least one.
        multiplier: of the limit at the end.
    """
    slack = SLACK * max(abs(limit.bound), max(means) - min(means))
    if limit.measure_excess(means[-1]) <= slack:
        return None
    mean, reached = format_number(means[-1], 3), format_number(multiplier, 3)
    return (
        f"the limit {limit.text!r} was not kept: the term's mean is {mean} per step at the end of training, with a"
        f" multiplier of {reached}; the limit may be out of reach, or the training too short"
    )


def parse_limit(text: str) -> TermLimit:
    """Read one limit.

    >>> parse_limit("effort<=0.3")
    TermLimit(term='effort', comparison='<=', bound=0.3)

    Raises:
        ConfigError: if the text is no limit.
    """
    match = _LIMIT.fullmatch(text)
    try:
        bound = float(match[3]) if match else math.nan
    except ValueError:
        bound = math.nan
    if match is None or not math.isfinite(bound):
        raise ConfigError(f"training.constraints: {text!r} is no constraint; {HOW_TO_WRITE}")
    return TermLimit(match[1], "<=" if match[2] == "<=" else ">=", bound)


def parse_limits(texts: Iterable[str]) -> tuple[TermLimit, ...]:
    """Read the limits of a training.

    Raises:
        ConfigError: if a text is no limit, a term is limited twice from one side, or its limits leave no value.
    """
    limits = tuple(parse_limit(text) for text in texts)
    seen: dict[tuple[str, str], TermLimit] = {}
    for limit in limits:
        key = (limit.term, limit.comparison)
        if key in seen:
            raise ConfigError(
                f"training.constraints: {seen[key].text!r} and {limit.text!r} limit the same term; keep one of them"
            )
        seen[key] = limit
    for limit in limits:
        upper = seen.get((limit.term, "<="))
        if limit.comparison == ">=" and upper is not None and upper.bound < limit.bound:
            raise ConfigError(
                f"training.constraints: no value keeps both {limit.text!r} and {upper.text!r}; move one of the numbers"
            )
    return limits
