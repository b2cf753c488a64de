"""Where in its text a program makes what a failure without a line is about: a term, or all that it returns."""

from __future__ import annotations

import ast
import re

from rewardsmith.contract import python_ast
from rewardsmith.contract.errors import RewardFailed

TERM = re.compile(r"(?:\A|: |\bterm )'(\w+)'")
"""A term as failures name it; where its name is no term of the text, nothing is found."""


def line_of(failure: RewardFailed, source: str) -> int | None:
    """Return the line that is at fault; None where the text does not show it.

    Args:
        failure: of a reward process, which may say anything.
        source: the program, which parses.
    """
    if failure.line is not None:
        return failure.line
    named = TERM.search(str(failure))
    if named:
        return line_of_term(named[1], source)
    returns = [node for node in _reward(source) if isinstance(node, ast.Return)]
    return returns[0].lineno if failure.code == "shape" and len(returns) == 1 else None


def line_of_term(name: str, source: str) -> int | None:
    r"""Return the line on which a program first computes a term; None where its text does not show it.

    >>> line_of_term("up", "def reward(after):\n    height = after.z\n    return {'up': height}")
    2
    """
    values: list[ast.expr] = []
    assigned: dict[str, int] = {}
    for node in _reward(source):
        if isinstance(node, ast.Dict):
            values += [value for key, value in zip(node.keys, node.values, strict=True) if _says(key, name)]
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Subscript) and _says(target.slice, name):
                    values.append(node.value)
                elif isinstance(target, ast.Name):
                    assigned.setdefault(target.id, node.lineno)
    if not values:
        return None
    first = min(values, key=lambda value: value.lineno)
    return assigned.get(first.id, first.lineno) if isinstance(first, ast.Name) else first.lineno


def _reward(source: str) -> list[ast.AST]:
    """Return the nodes of the program's function."""
    functions = [node for node in python_ast.module(source).body if isinstance(node, ast.FunctionDef)]
    return [node for function in functions if function.name == "reward" for node in ast.walk(function)]


def _says(key: ast.AST | None, name: str) -> bool:
    return isinstance(key, ast.Constant) and key.value == name
