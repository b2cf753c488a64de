"""Reward programs as lists of weighted expressions: what the symbolic designer's genetic programming works on.

Term         a name, a weight and one expression over the signals
render       terms to a program's text
terms_of     a program's text to terms, whoever wrote it, where its body is straight-line
retargeted   an expression with one of its figures moved
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from rewardsmith.contract import python_ast, reward_program

MAX_NODES = 200
"""Size of a term's syntax tree beyond which a program is not taken apart: inlining can double it at every line."""

BUILTINS = {"abs", "float", "int", "len", "max", "min", "range", "sum", "tuple"}
KNOWN_NAMES = {*reward_program.ARGUMENTS, "np", "math", "shaping"} | BUILTINS


@dataclass(frozen=True)
class Term:
    """One term of a reward program."""

    name: str
    weight: float
    expression: str
    """A Python expression over the contract's arguments, spelled as `ast.unparse` does."""


class _NotStraight(Exception):
    """Raised when a program is more than assignments and a dict of terms."""


def spelled(expression: str) -> str:
    """Return an expression as `ast.unparse` spells it, so that equal expressions are equal texts.

    >>> spelled("shaping.tolerance( after.z, (0.,1), margin = .5 )")
    'shaping.tolerance(after.z, (0.0, 1), margin=0.5)'
    """
    return ast.unparse(python_ast.expression(expression))


def render(terms: Sequence[Term]) -> str:
    """Return a reward program of these terms.

    Args:
        terms: at least one, of different names.
    """
    named = {name for term in terms for name in _names(term.expression)}
    arguments = ", ".join(argument for argument in reward_program.ARGUMENTS if argument in named)
    lines = [
        f'"""The weighted sum of {_listed([term.name for term in terms])}."""',
        "",
        "WEIGHTS = {",
        *(f'    "{term.name}": {float(term.weight)!r},' for term in terms),
        "}",
        "",
        "",
        f"def reward({arguments}):",
        "    return {",
        *(f'        "{term.name}": {term.expression},' for term in terms),
        "    }",
    ]
    return "\n".join(lines) + "\n"


@lru_cache(maxsize=1024)
def terms_of(source: str) -> tuple[Term, ...] | None:
    r"""Take a program apart into terms that stand alone.

    Helper variables are put in where they are used, so each term becomes one expression that can be moved to another
    program. Branches, loops, helper functions, memory and reassigned variables cannot be taken apart like that.

    >>> terms_of("def reward(after):\n    x = after.pitch\n    return {'level': -x * x}")
    (Term(name='level', weight=1.0, expression='-after.pitch * after.pitch'),)

    Args:
        source: a reward program that `program.parse` accepts.

    Returns:
        The terms; None for a program that cannot be taken apart.
    """
    parsed = reward_program.parse(source)
    if parsed.memory:
        return None
    try:
        expressions = _returned(python_ast.module(source))
    except (_NotStraight, RecursionError):
        return None
    return tuple(Term(name, parsed.weight(name), text) for name, text in expressions.items())


def lines_of(source: str) -> dict[str, range]:
    """Return the lines of each term in the dict that a program returns; {} where it returns none literally."""
    return {
        key.value: range(value.lineno, (value.end_lineno or value.lineno) + 1)
        for node in ast.walk(python_ast.module(source))
        if isinstance(node, ast.Return) and isinstance(node.value, ast.Dict)
        for key, value in zip(node.value.keys, node.value.values, strict=True)
        if isinstance(key, ast.Constant) and isinstance(key.value, str)
    }


def retargeted(expression: str, rng: np.random.Generator) -> str | None:
    """Return the expression with one of its figures moved; None where it has none.

    A pair of figures, as the bounds of a tolerance, moves together and keeps its order. Any other figure keeps its
    sign. Whole numbers are left: they are axes, columns and exponents.
    """
    tree = python_ast.expression(expression)
    pairs = [node for node in ast.walk(tree) if isinstance(node, ast.Tuple) and _pair(node)]
    in_pairs = {id(inner) for pair in pairs for inner in ast.walk(pair)}
    figures = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, float) and id(node) not in in_pairs
    ]
    targets: list[ast.Tuple | ast.Constant] = [*pairs, *figures]
    if not targets:
        return None
    target = targets[rng.integers(len(targets))]
    if isinstance(target, ast.Constant):
        figure = float(ast.literal_eval(target)) or 0.1
        target.value = rounded(figure * float(np.exp(rng.normal(0.0, 0.5))), 3)
    else:
        low, high = _pair(target) or (0.0, 0.0)
        shift = float(rng.normal(0.0, max(high - low, 0.25 * abs(low + high), 0.05)))
        moved = (rounded(low + shift, 3), rounded(high + shift, 3))
        target.elts = [python_ast.expression(repr(min(moved))), python_ast.expression(repr(max(moved)))]
    return ast.unparse(tree)


def rounded(value: float, digits: int) -> float:
    """Return the value with so many significant digits.

    >>> rounded(0.0123456, 2)
    0.012
    """
    return float(f"{value:.{digits}g}")


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _pair(node: ast.Tuple) -> tuple[float, float] | None:
    """Return a tuple of two written numbers, at least one of them a float, in order; else None."""
    try:
        values = ast.literal_eval(node)
    except ValueError:
        return None
    if len(values) != 2 or not all(isinstance(value, int | float) for value in values):
        return None
    low, high = values
    return (low, high) if low <= high and float in (type(low), type(high)) else None


# ---------------------------------------------------------------- taking a text apart


@lru_cache(maxsize=4096)
def _names(expression: str) -> frozenset[str]:
    return frozenset(node.id for node in ast.walk(python_ast.expression(expression)) if isinstance(node, ast.Name))


def _returned(tree: ast.Module) -> dict[str, str]:
    """Return the returned terms as expressions over the arguments alone."""
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    if len(functions) != 1 or functions[0].decorator_list:
        raise _NotStraight
    constants = _assigned([node for node in tree.body if node is not functions[0]], {})
    body = functions[0].body
    if not isinstance(body[-1], ast.Return) or not isinstance(body[-1].value, ast.Dict):
        raise _NotStraight
    values = _assigned(body[:-1], constants)
    terms: dict[str, str] = {}
    for key, value in zip(body[-1].value.keys, body[-1].value.values, strict=True):
        if not isinstance(key, ast.Constant) or not isinstance(key.value, str) or not key.value.isidentifier():
            raise _NotStraight
        terms[key.value] = ast.unparse(_inlined(value, values))
    return terms


def _assigned(statements: Sequence[ast.stmt], values: Mapping[str, ast.expr]) -> dict[str, ast.expr]:
    """Return the variables after straight-line statements, each as an expression over the arguments alone."""
    values = dict(values)
    for statement in statements:
        if _is_silent(statement):
            continue
        target = _target(statement)
        if target in values or target in KNOWN_NAMES:
            raise _NotStraight
        if target != "WEIGHTS":
            assert isinstance(statement, ast.Assign | ast.AnnAssign)  # as _target has found
            assert statement.value is not None
            values[target] = _inlined(statement.value, values)
    return values


def _is_silent(statement: ast.stmt) -> bool:
    """Return whether a statement can be left out: a docstring, or an import of what is there anyway."""
    if isinstance(statement, ast.Import):
        return all((alias.asname or alias.name) in ("np", "math") for alias in statement.names)
    if isinstance(statement, ast.ImportFrom):
        return statement.module == "__future__"
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _target(statement: ast.stmt) -> str:
    """Return the one variable that a statement assigns."""
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    if isinstance(statement, ast.AnnAssign) and statement.value is not None:
        targets = [statement.target]
    if len(targets) != 1 or not isinstance(targets[0], ast.Name):
        raise _NotStraight
    return targets[0].id


def _inlined(expression: ast.expr, values: Mapping[str, ast.expr]) -> ast.expr:
    """Return the expression with variables replaced by what they were assigned."""
    binding = (ast.NamedExpr, ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
    for node in ast.walk(expression):
        if isinstance(node, binding):
            raise _NotStraight
        if isinstance(node, ast.Name) and node.id not in KNOWN_NAMES and node.id not in values:
            raise _NotStraight
    inlined: ast.expr = _Inline(values).visit(python_ast.expression(ast.unparse(expression)))
    if sum(1 for _ in ast.walk(inlined)) > MAX_NODES:
        raise _NotStraight
    return inlined


class _Inline(ast.NodeTransformer):
    def __init__(self, values: Mapping[str, ast.expr]) -> None:
        self.values = values

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self.values.get(node.id, node)
