"""Reward programs as lists of weighted expressions, on which the symbolic designer's genetic programming works.

WeightedTerm     a name, a weight and one expression over the signals
render_program   terms to a program's text
split_terms      a program's text to terms, whoever wrote it, where its body is straight-line
move_constant    an expression with one of its constants moved
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from rewardsmith.contract import python_ast, reward_program

MAX_NODES = 200
"""Size of a term's syntax tree beyond which a program is not split: inlining can double it at every line."""

BUILTINS = {"abs", "float", "int", "len", "max", "min", "range", "sum", "tuple"}
KNOWN_NAMES = {*reward_program.ARGUMENTS, *reward_program.PROVIDED_MODULES} | BUILTINS


@dataclass(frozen=True)
class WeightedTerm:
    """One term of a reward program."""

    name: str
    weight: float
    expression: str
    """A Python expression over the contract's arguments, spelled as `ast.unparse` does."""


class _NotStraightLine(Exception):
    """Raised when a program is more than assignments and a dict of terms."""


def normalize_expression(expression: str) -> str:
    """Return an expression as `ast.unparse` spells it, so that equal expressions are equal texts.

    >>> normalize_expression("shaping.tolerance( after.z, (0.,1), margin = .5 )")
    'shaping.tolerance(after.z, (0.0, 1), margin=0.5)'
    """
    return ast.unparse(python_ast.parse_expression(expression))


def render_program(terms: Sequence[WeightedTerm], title: str | None = None) -> str:
    """Render a reward program of these terms.

    Args:
        terms: at least one, of different names.
        title: first line of the program; None names the terms.
    """
    title = title or f"The weighted sum of {_join_names([term.name for term in terms])}."
    used_names = {name for term in terms for name in _find_names_read(term.expression)}
    arguments = ", ".join(argument for argument in reward_program.ARGUMENTS if argument in used_names)
    lines = [
        f'"""{title}"""',
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
def split_terms(source: str) -> tuple[WeightedTerm, ...] | None:
    r"""Split a program into terms that stand alone.

    Helper variables are put in where they are used, so each term becomes one expression that can be moved to another
    program. Programs with branches, loops, helper functions, memory or reassigned variables cannot be split.

    >>> split_terms("def reward(after):\n    x = after.pitch\n    return {'level': -x * x}")
    (WeightedTerm(name='level', weight=1.0, expression='-after.pitch * after.pitch'),)

    Args:
        source: a reward program that `parse_program` accepts.

    Returns:
        The terms; None for a program that cannot be split.
    """
    program = reward_program.parse_program(source)
    if program.memory:
        return None
    try:
        expressions = _inline_returned_terms(python_ast.parse_module(source))
    except (_NotStraightLine, RecursionError):
        return None
    return tuple(WeightedTerm(name, program.weight(name), text) for name, text in expressions.items())


def find_term_lines(source: str) -> dict[str, range]:
    """Return the lines of each term in the dict that a program returns; {} where it returns none literally."""
    returned = python_ast.iter_returned_terms(python_ast.parse_module(source))
    return {name: range(value.lineno, (value.end_lineno or value.lineno) + 1) for name, value in returned}


def move_constant(expression: str, rng: np.random.Generator) -> str | None:
    """Return the expression with one of its constants moved by chance; None where it has none.

    A pair of constants, as the bounds of a tolerance, moves together and keeps its order. Any other constant keeps its
    sign. Whole numbers are left: they are axes, columns and exponents.
    """
    tree = python_ast.parse_expression(expression)

    # The pairs, and the constants outside of pairs.
    pairs = [node for node in ast.walk(tree) if isinstance(node, ast.Tuple) and _read_pair(node)]
    inside_pairs = {id(inner) for pair in pairs for inner in ast.walk(pair)}
    constants = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, float) and id(node) not in inside_pairs
    ]

    # Move one of them.
    targets: list[ast.Tuple | ast.Constant] = [*pairs, *constants]
    if not targets:
        return None
    target = targets[rng.integers(len(targets))]
    if isinstance(target, ast.Constant):
        value = float(ast.literal_eval(target)) or 0.1
        target.value = round_significant(value * float(np.exp(rng.normal(0.0, 0.5))), 3)
    else:
        low, high = _read_pair(target) or (0.0, 0.0)
        shift = float(rng.normal(0.0, max(high - low, 0.25 * abs(low + high), 0.05)))
        bounds = sorted((round_significant(low + shift, 3), round_significant(high + shift, 3)))
        target.elts = [python_ast.parse_expression(repr(bound)) for bound in bounds]
    return ast.unparse(tree)


def round_significant(value: float, digits: int) -> float:
    """Return the value with so many significant digits.

    >>> round_significant(0.0123456, 2)
    0.012
    """
    return float(f"{value:.{digits}g}")


def _join_names(names: Sequence[str]) -> str:
    """Return the names as words: "a", "a and b", "a, b and c"."""
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _read_pair(node: ast.Tuple) -> tuple[float, float] | None:
    """Return a tuple of two written numbers, at least one of them a float, in order; else None."""
    try:
        values = ast.literal_eval(node)
    except ValueError:
        return None
    if len(values) != 2 or not all(isinstance(value, int | float) for value in values):
        return None
    low, high = values
    return (low, high) if low <= high and float in (type(low), type(high)) else None


# ---------------------------------------------------------------- splitting a text


@lru_cache(maxsize=4096)
def _find_names_read(expression: str) -> frozenset[str]:
    """Return the names that stand in an expression."""
    tree = python_ast.parse_expression(expression)
    return frozenset(node.id for node in ast.walk(tree) if isinstance(node, ast.Name))


def _inline_returned_terms(tree: ast.Module) -> dict[str, str]:
    """Return the returned terms as expressions over the arguments alone."""
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    if len(functions) != 1 or functions[0].decorator_list:
        raise _NotStraightLine
    body, last = functions[0].body[:-1], functions[0].body[-1]
    if not isinstance(last, ast.Return) or not isinstance(last.value, ast.Dict):
        raise _NotStraightLine

    # The variables at the end of the function: constants of the module, then what the body assigns.
    constants = _inline_assignments([node for node in tree.body if node is not functions[0]], {})
    variables = _inline_assignments(body, constants)

    terms: dict[str, str] = {}
    for key, value in zip(last.value.keys, last.value.values, strict=True):
        if not isinstance(key, ast.Constant) or not isinstance(key.value, str) or not key.value.isidentifier():
            raise _NotStraightLine
        terms[key.value] = ast.unparse(_inline_expression(value, variables))
    return terms


def _inline_assignments(statements: Sequence[ast.stmt], known: Mapping[str, ast.expr]) -> dict[str, ast.expr]:
    """Return the variables after straight-line statements, each as an expression over the arguments alone."""
    variables = dict(known)
    for statement in statements:
        if _has_no_effect(statement):
            continue
        name, value = _read_assignment(statement)
        if name in variables or name in KNOWN_NAMES:
            raise _NotStraightLine
        if name != "WEIGHTS":
            variables[name] = _inline_expression(value, variables)
    return variables


def _has_no_effect(statement: ast.stmt) -> bool:
    """Return whether a statement can be left out: a docstring, or an import that every program has anyway."""
    is_docstring = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    return is_docstring or reward_program.imports_only_provided(statement)


def _read_assignment(statement: ast.stmt) -> tuple[str, ast.expr]:
    """Return the one variable that a statement assigns, and its value."""
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target, value = statement.targets[0], statement.value
    elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
        target, value = statement.target, statement.value
    else:
        raise _NotStraightLine
    if not isinstance(target, ast.Name):
        raise _NotStraightLine
    return target.id, value


def _inline_expression(expression: ast.expr, variables: Mapping[str, ast.expr]) -> ast.expr:
    """Return the expression with variables replaced by what they were assigned."""
    binding = (ast.NamedExpr, ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
    for node in ast.walk(expression):
        if isinstance(node, binding):
            raise _NotStraightLine
        if isinstance(node, ast.Name) and node.id not in KNOWN_NAMES and node.id not in variables:
            raise _NotStraightLine
    copy = python_ast.parse_expression(ast.unparse(expression))
    inlined: ast.expr = _VariableInliner(variables).visit(copy)
    if sum(1 for _ in ast.walk(inlined)) > MAX_NODES:
        raise _NotStraightLine
    return inlined


class _VariableInliner(ast.NodeTransformer):
    """Replaces names of variables by their expressions."""

    def __init__(self, variables: Mapping[str, ast.expr]) -> None:
        self.variables = variables

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self.variables.get(node.id, node)
