"""Units of fitness expressions, and remarks on angles that are compared without being wrapped."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping

from rewardsmith.contract.fitness.bounds import is_bounded_unit
from rewardsmith.contract.fitness.expression import Fitness
from rewardsmith.contract.records import Signal

KEEPS_UNIT = ("abs", "clip", "diff", "distance", "first", "last", "max", "mean", "min", "norm", "std", "sum", "wrap")
"""Functions whose result has the unit of their first argument."""
PURE_NUMBER = "1"
TURNS = "turns"
UNWRAPPED = "not wrapped"
"""Words by which the meaning of a signal says that its angle goes on beyond a turn."""


def describe_measure(expression: str, signals: Iterable[Signal]) -> str:
    """Return the kind and unit of a fitness for people and prompts; "" where the expression does not tell.

    >>> height = Signal("height", (), "m", "height of the torso", "")
    >>> describe_measure("max(height) - start.height", [height])
    'in m'
    >>> describe_measure("any(height > 1.5)", [height])
    'a share in [0, 1]'

    Args:
        expression: of the fitness.
        signals: every signal that it may name.

    Raises:
        FitnessError: if it is no expression of the language.
    """
    if is_bounded_unit(expression):
        return "a share in [0, 1]"
    unit = _infer_node(Fitness.parse(expression).tree, {signal.name: signal.unit for signal in signals})
    if unit is None:
        return ""
    return "a number without a unit" if unit == PURE_NUMBER else f"in {unit}"


def find_unwrapped_comparisons(fitness: Fitness, signals: Iterable[Signal]) -> tuple[str, ...]:
    """Return a remark for each angle that is compared although it goes on beyond a turn.

    Args:
        fitness: the expression.
        signals: every signal that it may name.
    """
    unwrapped = {signal.name for signal in signals if signal.unit == "rad" and UNWRAPPED in signal.meaning}
    names: dict[str, None] = {}
    for node in ast.walk(fitness.tree):
        if isinstance(node, ast.Compare):
            for side in (node.left, *node.comparators):
                names |= dict.fromkeys(name for name in _list_bare_signals(side) if name in unwrapped)
    return tuple(
        f"the fitness compares {name!r}, an angle that is not wrapped: after a full turn it has changed by 6.28; "
        f"wrap({name}) is in [-pi, pi)"
        for name in names
    )


def _list_bare_signals(node: ast.AST) -> list[str]:
    """Return the signals of one side of a comparison that no wrapping function and no difference stands around."""
    if isinstance(node, ast.Call):
        function = node.func.id if isinstance(node.func, ast.Name) else ""
        if function in ("wrap", "sin", "cos", "tan", "rotations", "diff"):
            return []
        return [name for argument in node.args for name in _list_bare_signals(argument)]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub | ast.Mod):
        return []
    if isinstance(node, ast.Name):
        return [node.id]
    return [name for child in ast.iter_child_nodes(node) for name in _list_bare_signals(child)]


def _infer_node(node: ast.expr, units: Mapping[str, str]) -> str | None:
    """Return the unit of a node's value, by the units of the signals; "1" for a pure number, None where it is open."""
    match node:
        case ast.Constant() | ast.Compare() | ast.BoolOp() | ast.UnaryOp(op=ast.Not()):
            return PURE_NUMBER
        case ast.Name(id="dt"):
            return "s"
        case ast.Name(id=name):
            return units.get(name, PURE_NUMBER if name in ("survived", "length", "pi", "limit") else None)
        case ast.Attribute(attr=name):
            return units.get(name)
        case ast.Subscript(value=value) | ast.UnaryOp(operand=value):
            return _infer_node(value, units)
        case ast.Call(func=ast.Name(id=function), args=arguments):
            return _infer_call(function, arguments, units)
        case ast.BinOp(left=left, op=op, right=right):
            return _combine_units(_infer_node(left, units), op, _infer_node(right, units), left, right)
    return None


def _infer_call(function: str, arguments: list[ast.expr], units: Mapping[str, str]) -> str | None:
    if function == "rotations":
        return TURNS
    if function in ("any", "all", "count", "sin", "cos", "tan", "exp"):
        return PURE_NUMBER
    if function in ("angle", "arccos", "arcsin", "atan2"):
        return "rad"
    return _infer_node(arguments[0], units) if function in KEEPS_UNIT else None


def _combine_units(
    left: str | None, op: ast.operator, right: str | None, left_node: ast.expr, right_node: ast.expr
) -> str | None:
    """Return the unit of two values joined by an operator."""
    if left is None or right is None:
        return None
    if isinstance(op, ast.Add | ast.Sub):
        # What a ratio to a bare number is added to is a number too, as in 1 - abs(speed - 0.5) / 0.5.
        if isinstance(left_node, ast.Constant) and _is_ratio(right_node):
            return PURE_NUMBER
        # A bare number takes the unit of what it is added to.
        if isinstance(right_node, ast.Constant):
            return left
        return right if left == right or isinstance(left_node, ast.Constant) else None
    if isinstance(op, ast.Mult):
        if PURE_NUMBER not in (left, right):
            return None
        return right if left == PURE_NUMBER else left
    if isinstance(op, ast.Div):
        return _divide_units(left, right)
    return None


def _is_ratio(node: ast.expr) -> bool:
    return isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and isinstance(node.right, ast.Constant)


def _divide_units(left: str, right: str) -> str | None:
    if right == PURE_NUMBER:
        return left
    if left == right:
        return PURE_NUMBER
    return f"{left}/s" if right == "s" and "/" not in left else None
