"""The part of the designer's instructions that is read from the code, so that the two cannot differ."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from rewardsmith.contract import python_ast


@dataclass(frozen=True)
class Function:
    """A function that a reward program may call."""

    call: str
    """As it is called, with its defaults: "shaping.smooth_step(x, low=0.0, high=1.0)"."""
    does: str
    """The first line of its docstring."""


@cache
def shaping() -> tuple[Function, ...]:
    """Return the public functions of `rewardsmith.shaping`, in its order; reading them imports no NumPy."""
    source = (files("rewardsmith.contract") / "shaping.py").read_text(encoding="utf-8")
    functions = [node for node in python_ast.module(source).body if isinstance(node, ast.FunctionDef)]
    return tuple(
        Function(f"shaping.{node.name}({_parameters(node.args)})", (ast.get_docstring(node) or "").partition("\n")[0])
        for node in functions
        if not node.name.startswith("_")
    )


def _parameters(arguments: ast.arguments) -> str:
    """Return a signature's parameters with their defaults, without their types."""
    bare = ast.arguments(
        posonlyargs=[],
        args=[ast.arg(argument.arg) for argument in arguments.args],
        kwonlyargs=[],
        kw_defaults=[],
        defaults=arguments.defaults,
    )
    return ast.unparse(bare)
