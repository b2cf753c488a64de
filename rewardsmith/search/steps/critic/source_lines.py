"""Maps a runtime failure to the line of the program that computes the offending term."""

from __future__ import annotations

import ast
import re

from rewardsmith.contract import python_ast
from rewardsmith.contract.errors import RewardFailed

QUOTED_TERM = re.compile(r"(?:\A|: |\bterm )'(\w+)'")
"""A term as failures name it; where its name is no term of the text, no line is returned."""


def find_failure_line(failure: RewardFailed, source: str) -> int | None:
    """Return the line that is at fault; None where the text does not show it.

    Args:
        failure: of a reward process, which may say anything.
        source: the program, which parses.
    """
    if failure.line is not None:
        return failure.line
    quoted = QUOTED_TERM.search(str(failure))
    if quoted:
        return find_term_line(quoted[1], source)

    # A wrong shape without the name of a term is about all that the program returns.
    returns = [node for node in _list_reward_nodes(source) if isinstance(node, ast.Return)]
    return returns[0].lineno if failure.code == "shape" and len(returns) == 1 else None


def find_term_line(name: str, source: str) -> int | None:
    r"""Return the line on which a program first computes a term; None where its text does not show it.

    >>> find_term_line("up", "def reward(after):\n    height = after.z\n    return {'up': height}")
    2
    """
    values: list[ast.expr] = []
    assigned_lines: dict[str, int] = {}
    for node in _list_reward_nodes(source):
        if isinstance(node, ast.Dict):
            values += [value for key, value in zip(node.keys, node.values, strict=True) if _is_name(key, name)]
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Subscript) and _is_name(target.slice, name):
                    values.append(node.value)
                elif isinstance(target, ast.Name):
                    assigned_lines.setdefault(target.id, node.lineno)
    if not values:
        return None

    # A variable stands for the line that first assigns it.
    first = min(values, key=lambda value: value.lineno)
    return assigned_lines.get(first.id, first.lineno) if isinstance(first, ast.Name) else first.lineno


def _list_reward_nodes(source: str) -> list[ast.AST]:
    """Return the nodes of the program's `reward` function."""
    nodes: list[ast.AST] = []
    for statement in python_ast.parse_module(source).body:
        if isinstance(statement, ast.FunctionDef) and statement.name == "reward":
            nodes += ast.walk(statement)
    return nodes


def _is_name(key: ast.AST | None, name: str) -> bool:
    return isinstance(key, ast.Constant) and key.value == name
