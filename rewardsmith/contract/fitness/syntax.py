"""Syntax of the fitness language: text to a tree of Python's `ast` that holds nothing outside of the language.

`expression` describes the language. Every error marks the place in the text.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from rewardsmith.contract import python_ast
from rewardsmith.contract.errors import FitnessError
from rewardsmith.contract.fitness.functions import FUNCTIONS, OLD_FUNCTIONS, SIGNATURES
from rewardsmith.contract.signal_source import current_name

MAX_CHARS = 2_000
"""Longest expression in characters; no fitness needs more."""
MAX_DEPTH = 100
"""Deepest nesting of an expression; parsing and computing recurse."""
RESERVED = ("survived", "length", "actions", "start", "pi", "limit", "dt", *OLD_FUNCTIONS)
"""Names of the language itself; no signal may take one."""

BINARY: Mapping[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
COMPARE: Mapping[type, Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
UNARY: Mapping[type, Callable[[Any], Any]] = {
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Not: np.logical_not,
}


def parse_tree(text: str) -> tuple[ast.expr, tuple[str, ...]]:
    """Parse an expression.

    Returns:
        Its tree, and the signals that it reads, in their order.

    Raises:
        FitnessError: if the text is no expression of the language, with the place marked.
    """
    tree = _parse_syntax(text)
    if _measure_depth(tree) > MAX_DEPTH:
        raise FitnessError(f"the fitness expression is nested more than {MAX_DEPTH} deep: {text[:60]!r}...")
    names: dict[str, None] = {}
    _validate_node(tree, text, names)
    return tree, tuple(names)


def _parse_syntax(text: str) -> ast.expr:
    if len(text) > MAX_CHARS:
        raise FitnessError(f"the fitness expression has {len(text):,} characters, at most {MAX_CHARS:,}")
    if not text.strip():
        raise FitnessError("the fitness expression is empty; write e.g. 'mean(x_velocity)'")
    try:
        tree = python_ast.parse_expression(_join_lines(text))
    except SyntaxError as error:
        place = error.offset - 1 if error.offset else len(text.strip())
        raise FitnessError(_mark_place(text, f"{error.msg}", place, place + 1)) from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise FitnessError(f"the fitness expression {text!r} cannot be parsed: {error or 'it is too deep'}") from error

    # An expression written for an older version may use the former name of a signal.
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            node.id = current_name(node.id)
        elif isinstance(node, ast.Attribute):
            node.attr = current_name(node.attr)
    return tree


def _measure_depth(tree: ast.AST) -> int:
    depth, level = 0, [tree]
    while level:
        depth += 1
        level = [child for node in level for child in ast.iter_child_nodes(node)]
    return depth


def _validate_node(node: ast.AST, text: str, names: dict[str, None]) -> None:
    """Refuse what is not of the language, and collect the signals into `names`."""
    if isinstance(node, ast.Name | ast.Attribute):
        _validate_name(node, text, names)
    elif isinstance(node, ast.Call):
        _validate_call(node, text)
        for argument in node.args:
            _validate_node(argument, text, names)
    elif isinstance(node, ast.List):
        _validate_list(node, text, names)
    elif isinstance(node, ast.Subscript):
        _validate_node(node.value, text, names)
        read_index(node.slice, text)
    elif isinstance(node, ast.Constant):
        if isinstance(node.value, bool) or not isinstance(node.value, int | float):
            raise build_marked_error(text, node, f"only numbers are constants here, not {node.value!r}")
    elif isinstance(node, ast.BinOp | ast.UnaryOp | ast.Compare | ast.BoolOp):
        _validate_operators(node, text)
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                _validate_node(child, text, names)
    else:
        raise build_marked_error(text, node, f"the fitness language has no {_describe_node(node)}")


def _validate_list(node: ast.List, text: str, names: dict[str, None]) -> None:
    if not node.elts:
        raise build_marked_error(text, node, "an empty list is no vector; write its numbers, e.g. [0.0, 1.0]")
    for part in node.elts:
        _validate_node(part, text, names)


def _validate_name(node: ast.Name | ast.Attribute, text: str, names: dict[str, None]) -> None:
    if isinstance(node, ast.Attribute) and not (isinstance(node.value, ast.Name) and node.value.id == "start"):
        raise build_marked_error(text, node, "only `start` has attributes: start.<signal>")
    if isinstance(node, ast.Name) and node.id == "start":
        raise build_marked_error(text, node, "`start` alone is no value; write start.<signal>")
    if isinstance(node, ast.Name) and node.id in OLD_FUNCTIONS:
        raise build_marked_error(text, node, f"{node.id} is a function; write {node.id}(...)")
    name = find_signal_name(node)
    if name is not None:
        names.setdefault(name)


def _validate_call(node: ast.Call, text: str) -> None:
    name = node.func.id if isinstance(node.func, ast.Name) else None
    if name is None or name not in FUNCTIONS:
        message = f"no function {ast.unparse(node.func)!r}; there are {', '.join(sorted(FUNCTIONS))}"
        raise build_marked_error(text, node.func, message)
    _, least, most = FUNCTIONS[name]
    if node.keywords or any(isinstance(argument, ast.Starred) for argument in node.args):
        raise build_marked_error(text, node, f"{name}() takes plain values")
    if not least <= len(node.args) <= most:
        allowed = str(least) if least == most else f"{least} to {most}"
        form = f": {SIGNATURES[name]}" if name in SIGNATURES else ""
        raise build_marked_error(text, node, f"{name}() takes {allowed} value(s){form}, {len(node.args)} given")


def _validate_operators(node: ast.BinOp | ast.UnaryOp | ast.Compare | ast.BoolOp, text: str) -> None:
    operators = node.ops if isinstance(node, ast.Compare) else [node.op]
    for op in operators:
        if not isinstance(op, ast.And | ast.Or) and type(op) not in {**BINARY, **COMPARE, **UNARY}:
            raise build_marked_error(text, node, f"the fitness language has no operator {type(op).__name__}")


def find_signal_name(node: ast.AST) -> str | None:
    """Return the signal that a node names, if it does."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "start":
        return node.attr
    if isinstance(node, ast.Name) and node.id not in RESERVED:
        return node.id
    return None


def read_index(node: ast.expr, text: str) -> Any:
    """Return an index made of whole numbers and slices."""
    if isinstance(node, ast.Tuple):
        return tuple(read_index(part, text) for part in node.elts)
    if isinstance(node, ast.Slice):
        return slice(
            *(None if part is None else read_index(part, text) for part in (node.lower, node.upper, node.step))
        )
    is_negative = isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub)
    number = node.operand if isinstance(node, ast.UnaryOp) and is_negative else node
    if isinstance(number, ast.Constant) and type(number.value) is int:
        return -number.value if is_negative else number.value
    raise build_marked_error(text, node, "an index is a whole number or a slice of whole numbers")


def _describe_node(node: ast.AST) -> str:
    names = {
        "IfExp": "if/else",
        "Lambda": "lambda",
        "Tuple": "tuple; write a list, [0.0, 1.0]",
        "Dict": "dict",
        "ListComp": "comprehension",
    }
    return names.get(type(node).__name__, type(node).__name__)


def _join_lines(text: str) -> str:
    """Return the text with each blank as one space, so that places in it are those of its one line."""
    return re.sub(r"\s", " ", text.strip())


def build_marked_error(text: str, node: ast.AST, message: str) -> FitnessError:
    """Build the error for a node of an expression's tree, with its place marked."""
    start, end = getattr(node, "col_offset", 0), getattr(node, "end_col_offset", 1)
    return FitnessError(_mark_place(text, message, start, end))


def _mark_place(text: str, message: str, start: int, end: int) -> str:
    line = _join_lines(text)
    # ast counts bytes of UTF-8; the mark stands under characters.
    encoded = line.encode()
    first, last = len(encoded[:start].decode(errors="ignore")), len(encoded[:end].decode(errors="ignore"))
    return f"fitness: {message}\n  {line}\n  {' ' * first}{'^' * max(last - first, 1)}"
