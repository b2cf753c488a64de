"""Bounds of fitness expressions: whether a value lies in [0, 1] for every episode, by the form of the expression."""

from __future__ import annotations

import ast

from rewardsmith.contract.fitness.expression import Fitness

BOOLEAN_REDUCTIONS = ("any", "all")
RANGE_PRESERVING = ("mean", "min", "max", "first", "last")
"""Functions whose result lies in [0, 1] if all their arguments do."""


def is_bounded_unit(expression: str) -> bool:
    """Return whether the expression lies in [0, 1] for every episode.

    >>> [is_bounded_unit(text) for text in ("any(success)", "mean(height > 1) * survived", "1 - survived")]
    [True, True, True]
    >>> is_bounded_unit("mean(height)")
    False

    Raises:
        FitnessError: if it is no expression of the language.
    """
    return _is_bounded_node(Fitness.parse(expression).tree)


def _is_bounded_node(node: ast.expr) -> bool:
    match node:
        # Truth values, and the one name of the language that is 0 or 1.
        case ast.Compare() | ast.BoolOp() | ast.UnaryOp(op=ast.Not()):
            return True
        case ast.Name(id=name):
            return name == "survived"

        # Functions: reductions to a truth value, and those that keep the range of their arguments.
        case ast.Call(func=ast.Name(id=function), args=arguments):
            keeps_range = function in RANGE_PRESERVING and all(_is_bounded_node(argument) for argument in arguments)
            return function in BOOLEAN_REDUCTIONS or keeps_range

        # clip(x, 0, limit) / limit
        case ast.BinOp(
            left=ast.Call(func=ast.Name(id="clip"), args=[_, ast.Constant(value=0), ast.Constant(value=limit)]),
            op=ast.Div(),
            right=ast.Constant(value=divisor),
        ):
            return bool(limit == divisor != 0)

        # x * y, 1 - x and x[...] of values in [0, 1].
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            return _is_bounded_node(left) and _is_bounded_node(right)
        case ast.BinOp(left=ast.Constant(value=1), op=ast.Sub(), right=right):
            return _is_bounded_node(right)
        case ast.Subscript(value=value):
            return _is_bounded_node(value)
    return False
