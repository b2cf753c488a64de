"""Arguments that a program uses and does not take, added to its signature: nothing that a model has to be asked for."""

from __future__ import annotations

import ast
import re

from rewardsmith.contract import python_ast
from rewardsmith.contract.program_edits import apply_edits
from rewardsmith.contract.reward_program import ARGUMENTS


def add_missing_arguments(source: str, functions: tuple[str, ...] = ("reward",)) -> str:
    r"""Return a program whose functions take the arguments that they use; the rest of the text stays as it is.

    >>> add_missing_arguments("def reward(after):\n    return {'t': after.x - before.x}")
    "def reward(after, before):\n    return {'t': after.x - before.x}"

    Args:
        source: a program's text; one that is no Python, or has an unusual signature, is returned as it is.
        functions: names of the functions that take the contract's arguments.
    """
    tree = python_ast.parse_or_none(source)
    if tree is None:
        return source
    module_names = {name for node in tree.body for name in python_ast.list_stored_names(node)}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name in functions:
            missing = _list_missing(node, module_names)
            if missing:
                mended = _extend_signature(source, node, missing)
                return add_missing_arguments(mended, functions) if mended != source else source
    return source


def _list_missing(function: ast.FunctionDef, module_names: set[str]) -> list[str]:
    """Return the contract's arguments that a function reads, and nothing defines."""
    given = function.args
    if given.posonlyargs or given.kwonlyargs or given.vararg or given.kwarg or given.defaults:
        return []
    bound = {node.arg for node in ast.walk(function) if isinstance(node, ast.arg)} | module_names
    used: set[str] = set()
    for node in ast.walk(function):
        if isinstance(node, ast.Name):
            (used if isinstance(node.ctx, ast.Load) else bound).add(node.id)
    return [name for name in ARGUMENTS if name in used and name not in bound]


def _extend_signature(source: str, function: ast.FunctionDef, missing: list[str]) -> str:
    """Return the text with further arguments at the end of a function's signature."""
    if function.args.args:
        last = function.args.args[-1]
        return apply_edits(source, [(last, "instead", ", ".join([ast.unparse(last), *missing]))])
    lines = source.split("\n")
    row = function.lineno - 1
    lines[row] = re.sub(rf"(def\s+{function.name}\s*\()\s*", rf"\g<1>{', '.join(missing)}", lines[row], count=1)
    changed = "\n".join(lines)
    return changed if changed != source and f"{function.name}({missing[0]}" in changed.replace(" (", "(") else source
