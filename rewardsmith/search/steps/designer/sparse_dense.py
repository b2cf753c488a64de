"""The form "sparse-dense": a model writes `sparse` and `dense`, and the program around them is the same for all.

Only the signs of the two count, as in Auto MC-Reward (arXiv 2312.09238): sign(sparse) * 1 + sign(dense) * 0.1.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping

from rewardsmith.contract import python_ast, reward_program

PARTS = ("sparse", "dense")


class FormRefused(Exception):
    """Raised when a program lacks one of the two functions; the message is a sentence for its author."""


def assembled(source: str, weights: Mapping[str, float]) -> str:
    r"""Return the program of a text that defines `sparse` and `dense`; its own `reward` and `WEIGHTS` are left out.

    >>> text = "def sparse(after):\n    return after.z > 1\n\ndef dense(before, after):\n    return after.z - before.z"
    >>> print(assembled(text, {"sparse": 1.0, "dense": 0.1}).split("\n\n\n")[-1])
    def reward(before, after):
        return {"sparse": np.sign(1.0 * sparse(after)), "dense": np.sign(1.0 * dense(before, after))}
    <BLANKLINE>

    Args:
        source: a text that may not parse; then it comes back as it is, for the critic to refuse.
        weights: of the two terms.

    Raises:
        FormRefused: if one of the functions is missing.
    """
    tree = _tree(source)
    if tree is None:
        return source
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    missing = [f"`{part}`" for part in PARTS if part not in functions]
    if missing:
        raise FormRefused(f"your program defines no function {' and none '.join(missing)} at its top level")
    taken = {part: [argument.arg for argument in functions[part].args.args] for part in PARTS}
    arguments = sorted({name for names in taken.values() for name in names}, key=_order)
    terms = ", ".join(f'"{part}": np.sign(1.0 * {part}({", ".join(taken[part])}))' for part in PARTS)
    balance = ", ".join(f'"{part}": {float(weights[part])!r}' for part in PARTS)
    reward = f"def reward({', '.join(arguments)}):\n    return {{{terms}}}\n"
    return f"{written(source)}\n\nWEIGHTS = {{{balance}}}\n\n\n{reward}"


def written(source: str) -> str:
    """Return the text without the part that all programs share."""
    tree = _tree(source)
    if tree is None:
        return source
    return (
        reward_program.edited(source, [(node, "instead", "") for node in tree.body if _is_harness(node)]).strip() + "\n"
    )


def _tree(source: str) -> ast.Module | None:
    try:
        return python_ast.module(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _is_harness(node: ast.stmt) -> bool:
    """Return whether a statement is the part that all programs share."""
    if isinstance(node, ast.FunctionDef):
        return node.name == "reward"
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return any(isinstance(target, ast.Name) and target.id == "WEIGHTS" for target in targets)


def _order(argument: str) -> tuple[int, str]:
    """Sort the contract's arguments as it lists them; others, which the critic refuses, last."""
    known = reward_program.ARGUMENTS
    return (known.index(argument) if argument in known else len(known), argument)
