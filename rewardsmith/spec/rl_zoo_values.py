"""Values of rl-zoo3's hyperparameters: numbers and flags as its YAML files spell them, and literals written as Python.

Each function raises ValueError, with what is allowed, for a value that is not one.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Mapping
from typing import Any, Final

from rewardsmith.contract import python_ast

OFF: Final[tuple[Any, ...]] = (None, False, 0, "", "none", "None", [], {})
"""Values that switch a key off."""
TRAIN_ELSEWHERE = "no trainer here does that; remove the key, or train with rl-zoo3 itself"


def accept_value(value: Any, allowed: tuple[Any, ...] | None, reason: str = TRAIN_ELSEWHERE) -> None:
    """Accept a value that changes nothing here.

    Args:
        value: of the key.
        allowed: values that change nothing; None: any value.
        reason: why another value is refused.

    Raises:
        ValueError: if it is another one.
    """
    if isinstance(value, str) and re.fullmatch(r"[-+.\d]+(e[-+]?\d+)?", value):
        value = read_number(value)  # YAML takes 5e-1 for text
    if allowed is None or any(
        value == other and isinstance(value, bool) == isinstance(other, bool) for other in allowed
    ):
        return
    shown = ", ".join(repr(other) for other in allowed if other not in (None, ""))
    raise ValueError(f"{reason}{f' (allowed: {shown})' if shown else ''}")


def read_number(value: Any) -> float:
    """Read a number, also one that YAML takes for text."""
    if isinstance(value, str) and value.startswith(("lin_", "linear_")):
        raise ValueError("a schedule; write the number itself, as trainings here keep it constant")
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("a number is needed")
    try:
        number = float(value)
    except ValueError as error:
        raise ValueError("a number is needed") from error
    if not math.isfinite(number):
        raise ValueError("a finite number is needed")
    return number


def read_count(value: Any) -> int:
    """Read a whole number, also one written as 1e6."""
    number = read_number(value)
    if number != int(number):
        raise ValueError("a whole number is needed")
    return int(number)


def read_flag(value: Any) -> bool:
    """Read true or false."""
    if not isinstance(value, bool):
        raise ValueError("true or false is needed")
    return value


def parse_literal(text: Any) -> dict[str, Any]:
    """Read "dict(a=1, b=nn.Tanh)" or "{'a': 1}"; a dotted name stays text.

    >>> parse_literal("dict(log_std_init=-2, activation_fn=nn.ReLU, net_arch=dict(pi=[64], vf=[64]))")
    {'log_std_init': -2, 'activation_fn': 'nn.ReLU', 'net_arch': {'pi': [64], 'vf': [64]}}

    Raises:
        ValueError: if it is neither.
    """
    value = text if isinstance(text, Mapping) else read_literal(text)
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise ValueError("write dict(...)")
    return dict(value)


def read_literal(text: Any) -> Any:
    """Read a literal of Python; a dotted name stays text."""
    try:
        return _evaluate_node(python_ast.parse_expression(str(text).strip()))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ValueError("write dict(...) with plain values") from error


def _evaluate_node(node: ast.expr) -> Any:
    if isinstance(node, ast.Call):
        names = [keyword.arg for keyword in node.keywords]
        is_plain = isinstance(node.func, ast.Name) and node.func.id == "dict" and not node.args
        if not is_plain or None in names or len(set(names)) < len(names):
            raise ValueError("a call")
        return {str(keyword.arg): _evaluate_node(keyword.value) for keyword in node.keywords}
    if isinstance(node, ast.Dict):
        if None in node.keys:
            raise ValueError("an unpacked dict")
        pairs = zip(node.keys, node.values, strict=True)
        return {ast.literal_eval(key): _evaluate_node(value) for key, value in pairs if key is not None}
    if isinstance(node, ast.Attribute | ast.Name):
        return ast.unparse(node)
    if isinstance(node, ast.List | ast.Tuple):
        return [_evaluate_node(item) for item in node.elts]
    return ast.literal_eval(node)
