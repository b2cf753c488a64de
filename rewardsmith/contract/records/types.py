"""Words and numbers that several records use."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le

Status = Literal["ok", "invalid", "failed", "timeout", "pruned", "infrastructure"]
"""How something ended.

ok: it has a figure. invalid: the critic refused the program. failed: the program failed while training.
timeout: a wall clock ended it. pruned: stopped early on purpose. infrastructure: the machine's fault; retried, and
never told to the language model as a fault of its program.
"""

Severity = Literal["error", "objection", "warning"]
"""error: it cannot be trained as it is. objection: a reviewer's; it can, but its author should answer."""
Mode = Literal["new", "refine", "cross", "user"]
"""Kind of program that a slot tries. new: written from the beginning. refine: an improvement of its parents. cross:
a pair of parents joined. user: a program of the user's."""
EnsembleRule = Literal["worst", "cautious"]
"""How an ensemble becomes one figure: the least of its members', or their mean less their standard deviation."""
Effort = Literal["minimal", "low", "medium", "high", "xhigh", "max"]
"""How long a reasoning model may think before it answers."""
Scalar = bool | int | float | str
JsonValue = Any
"""A scalar, null, or a list or a table of such values, nested at will."""
Count = Annotated[int, Ge(1)]
Positive = Annotated[float, Gt(0.0)]
Fraction = Annotated[float, Ge(0.0), Le(1.0)]


@dataclass(frozen=True)
class _BoundInJson:
    """Marker of a number that may be infinite: JSON has no such number, so it is written as "inf" or "-inf"."""

    missing: float
    """Number that null stands for: earlier versions wrote null for a bound that is infinite."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        number = core_schema.no_info_before_validator_function(
            lambda bound: self.missing if bound is None else bound, handler(source)
        )
        number["serialization"] = core_schema.plain_serializer_function_ser_schema(
            lambda bound: bound if math.isfinite(bound) else str(bound), when_used="json"
        )
        return number


LowerBound = Annotated[float, _BoundInJson(-math.inf)]
UpperBound = Annotated[float, _BoundInJson(math.inf)]
