"""Which fitness expressions are shares: in [0, 1] for every episode, by their form alone."""

from __future__ import annotations

import ast

from rewardsmith.contract.fitness.expression import Fitness

TRUTH = ("any", "all")
KEEPING = ("mean", "min", "max", "first", "last")
"""Functions of values in [0, 1] whose result lies there too."""


def is_share(expression: str) -> bool:
    """Return whether an expression's value is in [0, 1] whatever the episode.

    >>> [is_share(text) for text in ("any(success)", "mean(height > 1) * survived", "1 - survived", "mean(height)")]
    [True, True, True, False]

    Raises:
        FitnessError: if it is no expression of the language.
    """
    return _is_share(Fitness.parse(expression).tree)


def _is_share(node: ast.expr) -> bool:
    if isinstance(node, ast.Compare) or (isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)):
        return True
    if isinstance(node, ast.BoolOp | ast.Name):
        return isinstance(node, ast.BoolOp) or node.id == "survived"
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return node.func.id in TRUTH or (node.func.id in KEEPING and all(map(_is_share, node.args)))
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        return _is_share(node.left) and _is_share(node.right)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub):
        return isinstance(node.left, ast.Constant) and node.left.value == 1 and _is_share(node.right)
    return isinstance(node, ast.Subscript) and _is_share(node.value)
