"""Words and numbers that several records use."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le

Status = Literal["ok", "invalid", "failed", "timeout", "pruned", "duplicate", "infrastructure"]
"""How something ended.

ok: it has a figure. invalid: the critic refused the program. failed: the program failed while training.
timeout: a wall clock ended it. pruned: stopped early on purpose. duplicate: it pays what an earlier program pays, and
was not trained again. infrastructure: the machine's fault; retried, and never told to the language model as a fault of
its program.
"""

Severity = Literal["error", "objection", "warning"]
"""error: it cannot be trained as it is. objection: a reviewer's; it can, but its author should answer."""
Mode = Literal["new", "refine", "cross", "weights", "user"]
"""What a slot does: write from the beginning, refine its parents, join a pair of them, change a parent's weights, or
try a program of the user's."""
Rule = Literal["worst", "cautious"]
"""How an ensemble becomes one figure: the least of its members', or their mean less their standard deviation."""
Effort = Literal["minimal", "low", "medium", "high", "xhigh", "max"]
"""How long a reasoning model may think before it answers."""
Scalar = bool | int | float | str
Count = Annotated[int, Ge(1)]
Positive = Annotated[float, Gt(0.0)]
Fraction = Annotated[float, Ge(0.0), Le(1.0)]
