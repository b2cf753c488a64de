"""The form "sparse-dense": a model writes `sparse` and `dense`, and the program around them is the same for all.

Only the signs of the two count, as in Auto MC-Reward (arXiv 2312.09238): sign(sparse) * 1 + sign(dense) * 0.1.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping

from rewardsmith.contract import program_edits, python_ast, reward_program

FUNCTIONS = ("sparse", "dense")


class FormError(Exception):
    """Raised when a program lacks one of the two functions; the message is a sentence for its author."""


def assemble_program(source: str, weights: Mapping[str, float]) -> str:
    r"""Return the program of a text that defines `sparse` and `dense`; its own `reward` and `WEIGHTS` are left out.

    >>> text = "def sparse(after):\n    return after.z > 1\n\ndef dense(before, after):\n    return after.z - before.z"
    >>> print(assemble_program(text, {"sparse": 1.0, "dense": 0.1}).split("\n\n\n")[-1])
    def reward(before, after):
        return {"sparse": np.sign(1.0 * sparse(after)), "dense": np.sign(1.0 * dense(before, after))}
    <BLANKLINE>

    Args:
        source: a text that may not parse; then it comes back as it is, for the critic to refuse.
        weights: of the two terms.

    Raises:
        FormError: if one of the functions is missing.
    """
    tree = python_ast.parse_or_none(source)
    if tree is None:
        return source
    definitions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    missing = [f"`{name}`" for name in FUNCTIONS if name not in definitions]
    if missing:
        raise FormError(f"your program defines no function {' and none '.join(missing)} at its top level")

    # `reward` takes every argument that one of the two takes, and calls each with its own.
    arguments = {name: [argument.arg for argument in definitions[name].args.args] for name in FUNCTIONS}
    all_arguments = sorted({argument for names in arguments.values() for argument in names}, key=_argument_order)
    terms = [f'"{name}": np.sign(1.0 * {name}({", ".join(arguments[name])}))' for name in FUNCTIONS]
    weight_items = [f'"{name}": {float(weights[name])!r}' for name in FUNCTIONS]

    reward = f"def reward({', '.join(all_arguments)}):\n    return {{{', '.join(terms)}}}\n"
    return f"{strip_shared_part(source)}\n\nWEIGHTS = {{{', '.join(weight_items)}}}\n\n\n{reward}"


def strip_shared_part(source: str) -> str:
    """Return the text without the part that all programs share: `reward` and `WEIGHTS`."""
    tree = python_ast.parse_or_none(source)
    if tree is None:
        return source
    removals: list[program_edits.Edit] = [(node, "instead", "") for node in tree.body if _is_shared_part(node)]
    return program_edits.apply_edits(source, removals).strip() + "\n"


def _is_shared_part(node: ast.stmt) -> bool:
    """Return whether a statement belongs to the part that all programs share."""
    if isinstance(node, ast.FunctionDef):
        return node.name == "reward"
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return any(isinstance(target, ast.Name) and target.id == "WEIGHTS" for target in targets)


def _argument_order(argument: str) -> tuple[int, str]:
    """Sort the contract's arguments as it lists them; others, which the critic refuses, come last."""
    known = reward_program.ARGUMENTS
    return (known.index(argument) if argument in known else len(known), argument)
