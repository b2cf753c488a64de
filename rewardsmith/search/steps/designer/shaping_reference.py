"""The functions of `shaping` for the designer's instructions, read from its source so that the two cannot differ."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from rewardsmith.contract import python_ast

PROMPTED = ("tolerance", "smooth_step", "potential", "distance", "wrap_angle")
"""Functions that the designer's prompt lists. A recorded search is found by the words of its prompts, so that the list
stays as it is; people and coding agents are told all of them."""


@dataclass(frozen=True)
class ShapingFunction:
    """A function that a reward program may call."""

    call: str
    """The call with its defaults: "shaping.smooth_step(x, low=0.0, high=1.0)"."""
    summary: str
    """First line of its docstring."""


@cache
def list_shaping_functions(prompted_only: bool = True) -> tuple[ShapingFunction, ...]:
    """Return the public functions of `rewardsmith.contract.shaping`, in its order; reading them imports no NumPy.

    Args:
        prompted_only: those that the designer's prompt lists; else all.
    """
    source = (files("rewardsmith.contract") / "shaping.py").read_text(encoding="utf-8")
    functions: list[ShapingFunction] = []
    for node in python_ast.parse_module(source).body:
        if not isinstance(node, ast.FunctionDef) or node.name.startswith("_"):
            continue
        if node.name in PROMPTED or not prompted_only:
            summary = (ast.get_docstring(node) or "").partition("\n")[0]
            functions.append(ShapingFunction(f"shaping.{node.name}({_render_parameters(node.args)})", summary))
    return tuple(functions)


def _render_parameters(arguments: ast.arguments) -> str:
    """Return a signature's parameters with their defaults, without their types."""
    untyped = ast.arguments(
        posonlyargs=[],
        args=[ast.arg(argument.arg) for argument in arguments.args],
        kwonlyargs=[],
        kw_defaults=[],
        defaults=arguments.defaults,
    )
    return ast.unparse(untyped)
