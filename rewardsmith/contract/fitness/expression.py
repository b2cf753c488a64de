"""The fitness language: a small expression over an evaluated episode, parsed and computed without Python's eval.

    x_position[-1] - start.x_position          distance made
    mean(x_velocity) * survived                speed, nothing for a fall
    any(tip_distance < 0.02)                   1 if it was ever there

names       a signal is its (T, *shape) array, the values after each of the episode's T steps; `start.name` is its
            value at the start; `actions` is (T, a); `survived` is 1, or 0 where the environment ended the episode;
            `length` is T; `limit` is the time limit in steps; `dt` is a step in seconds; `pi`
operators   + - * / // % **, comparisons (chained too), and / or / not element by element, indices and slices
lists       [0.1, 0.2, 0.0], a vector
functions   over time (the first axis): mean sum min max std any all count first last diff rotations
            rotations(angle): turns from the first step to the last, positive where the angle grows
            rotations(angle, when): turns within each unbroken stretch of steps where `when` holds
            element by element: abs sqrt exp sin cos tan arcsin arccos atan2(y, x) wrap clip(x, low, high), min and max
            of several values; angles are in rad, wrap(angle) is in [-pi, pi)
            over the last axis: norm, distance(a, b), angle(a, b) between vectors, angle(v) of a vector in a plane

The result is one finite number. The text may go over several lines.
"""

from __future__ import annotations

import ast
import difflib
import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rewardsmith.contract import python_ast
from rewardsmith.contract.errors import FitnessError
from rewardsmith.contract.fitness.functions import FUNCTIONS, OLD_FUNCTIONS, SIGNATURES, list_functions
from rewardsmith.contract.records import Signal
from rewardsmith.contract.signal_source import current_name

Array = NDArray[np.float64]

MAX_CHARS = 2_000
"""Longest expression in characters; no fitness needs more."""
MAX_DEPTH = 100
"""Deepest nesting of an expression; parsing and computing recurse."""
TRIAL_STEPS = 1_000
"""Length in steps of the artificial episode on which an expression is tried; long, so that indices like [100] exist."""


@dataclass(frozen=True)
class Rollout:
    """One episode as a fitness expression sees it."""

    signals: Mapping[str, Array]
    """Signal name to (T, *shape): the values after each step."""
    start: Mapping[str, Array]
    """Signal name to (*shape): the value at the start."""
    actions: Array
    """(T, a)."""
    terminated: bool
    """It ended by the environment's rule, not by the time limit."""


@dataclass(frozen=True)
class Fitness:
    """A parsed expression."""

    text: str
    tree: ast.expr = field(compare=False, repr=False)
    names: tuple[str, ...]
    """Signals that it reads, in their order."""
    limit: int | None = None
    """The environment's time limit in steps, the name `limit`; None where it is not known or there is none."""
    step_s: float | None = None
    """The length of an environment step in seconds, the name `dt`; None where it is not known."""

    def bind_environment(self, limit: int | None, step_s: float | None) -> Fitness:
        """Return the expression with the values of `limit` and `dt`."""
        return replace(self, limit=limit, step_s=step_s)

    @classmethod
    def parse(cls, text: str) -> Fitness:
        """Parse an expression.

        >>> Fitness.parse("x_position[-1] - start.x_position").names
        ('x_position',)

        Raises:
            FitnessError: if the text is no expression of the language, with the place marked.
        """
        tree = _parse_syntax(text)
        if _tree_depth(tree) > MAX_DEPTH:
            raise FitnessError(f"the fitness expression is nested more than {MAX_DEPTH} deep: {text[:60]!r}...")
        names: dict[str, None] = {}
        _validate_node(tree, text, names)
        return cls(text, tree, tuple(names))

    def check_signals(self, names: Iterable[str]) -> None:
        """Make sure that every signal it reads exists.

        Raises:
            FitnessError: if one does not, with the nearest names.
        """
        signal_names = list(names)
        called = {id(node.func) for node in ast.walk(self.tree) if isinstance(node, ast.Call)}
        for node in ast.walk(self.tree):
            name = None if id(node) in called else _signal_name(node)
            if name is not None and name not in signal_names:
                raise _error_at(self.text, node, _describe_unknown_signal(name, signal_names))

    def try_on(self, signals: Iterable[Signal]) -> None:
        """Make sure that it gives a number on an artificial episode of these signals: names and shapes fit.

        Raises:
            FitnessError: if a signal is missing or the shapes do not lead to one number.
        """
        shapes = {signal.name: signal.shape for signal in signals}
        self.check_signals(shapes)
        rng = np.random.default_rng(0)
        values = {name: rng.uniform(0.5, 1.5, (TRIAL_STEPS, *shapes[name])) for name in self.names}
        start = {name: rng.uniform(0.5, 1.5, shapes[name]) for name in self.names}
        trial = Rollout(values, start, np.ones((TRIAL_STEPS, 1)), False)
        bound = self.bind_environment(self.limit or TRIAL_STEPS, self.step_s or 0.01)
        _to_scalar(self, _Evaluation(bound, trial).evaluate_node(self.tree))

    def evaluate(self, rollout: Rollout) -> float:
        """Return the episode's fitness.

        Raises:
            FitnessError: if a signal is missing, shapes do not fit, or the result is not one finite number.
        """
        self.check_signals(rollout.signals)
        value = _to_scalar(self, _Evaluation(self, rollout).evaluate_node(self.tree))
        if not math.isfinite(value):
            raise _error_at(self.text, self.tree, f"the result is {value}; guard a division or a root")
        return value

    def compute_values(self, rollout: Rollout) -> Any:
        """Return what it comes to before that has to be one number.

        Raises:
            FitnessError: if the shapes do not fit.
        """
        return _Evaluation(self, rollout).evaluate_node(self.tree)


RESERVED = ("survived", "length", "actions", "start", "pi", "limit", "dt", *OLD_FUNCTIONS)
"""Names of the language itself; no signal may take one."""

_BINARY: Mapping[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
_COMPARE: Mapping[type, Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_UNARY: Mapping[type, Callable[[Any], Any]] = {
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Not: np.logical_not,
}


MISSING_CONSTANTS: Mapping[str, str] = {
    "limit": "the environment has no time limit, so `limit` has no value; write a number of steps",
    "dt": "the environment does not say how long a step is, so `dt` has no value; write the seconds of a step",
}
"""Why a name of the language has no value."""


# ---------------------------------------------------------------- reading


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


def _tree_depth(tree: ast.AST) -> int:
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
        _read_index(node.slice, text)
    elif isinstance(node, ast.Constant):
        if isinstance(node.value, bool) or not isinstance(node.value, int | float):
            raise _error_at(text, node, f"only numbers are constants here, not {node.value!r}")
    elif isinstance(node, ast.BinOp | ast.UnaryOp | ast.Compare | ast.BoolOp):
        _validate_operators(node, text)
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                _validate_node(child, text, names)
    else:
        raise _error_at(text, node, f"the fitness language has no {_describe_node(node)}")


def _validate_list(node: ast.List, text: str, names: dict[str, None]) -> None:
    if not node.elts:
        raise _error_at(text, node, "an empty list is no vector; write its numbers, e.g. [0.0, 1.0]")
    for part in node.elts:
        _validate_node(part, text, names)


def _validate_name(node: ast.Name | ast.Attribute, text: str, names: dict[str, None]) -> None:
    if isinstance(node, ast.Attribute) and not (isinstance(node.value, ast.Name) and node.value.id == "start"):
        raise _error_at(text, node, "only `start` has attributes: start.<signal>")
    if isinstance(node, ast.Name) and node.id == "start":
        raise _error_at(text, node, "`start` alone is no value; write start.<signal>")
    if isinstance(node, ast.Name) and node.id in OLD_FUNCTIONS:
        raise _error_at(text, node, f"{node.id} is a function; write {node.id}(...)")
    name = _signal_name(node)
    if name is not None:
        names.setdefault(name)


def _validate_call(node: ast.Call, text: str) -> None:
    name = node.func.id if isinstance(node.func, ast.Name) else None
    if name is None or name not in FUNCTIONS:
        message = f"no function {ast.unparse(node.func)!r}; there are {list_functions()}"
        raise _error_at(text, node.func, message)
    _, least, most = FUNCTIONS[name]
    if node.keywords or any(isinstance(argument, ast.Starred) for argument in node.args):
        raise _error_at(text, node, f"{name}() takes plain values")
    if not least <= len(node.args) <= most:
        allowed = str(least) if least == most else f"{least} to {most}"
        form = f": {SIGNATURES[name]}" if name in SIGNATURES else ""
        raise _error_at(text, node, f"{name}() takes {allowed} value(s){form}, {len(node.args)} given")


def _validate_operators(node: ast.BinOp | ast.UnaryOp | ast.Compare | ast.BoolOp, text: str) -> None:
    operators = node.ops if isinstance(node, ast.Compare) else [node.op]
    for op in operators:
        if not isinstance(op, ast.And | ast.Or) and type(op) not in {**_BINARY, **_COMPARE, **_UNARY}:
            raise _error_at(text, node, f"the fitness language has no operator {type(op).__name__}")


def _signal_name(node: ast.AST) -> str | None:
    """Return the signal that a node names, if it does."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "start":
        return node.attr
    if isinstance(node, ast.Name) and node.id not in RESERVED:
        return node.id
    return None


def _describe_unknown_signal(name: str, signal_names: list[str]) -> str:
    """Say that there is no such signal, which are near, and how a card adds one."""
    if name in FUNCTIONS:
        return f"no signal {name!r}; {name} is a function: {SIGNATURES.get(name, f'{name}(x)')}"
    near = difflib.get_close_matches(name, signal_names, n=3)
    hint = f"near it: {', '.join(near)}" if near else f"there are: {', '.join(signal_names) or 'none'}"
    entry = f'{name} = {{ source = "...", unit = "...", meaning = "..." }}'
    return f"no signal {name!r}; {hint}; a task card adds one under [signals]: {entry}"


def _read_index(node: ast.expr, text: str) -> Any:
    """Return an index made of whole numbers and slices."""
    if isinstance(node, ast.Tuple):
        return tuple(_read_index(part, text) for part in node.elts)
    if isinstance(node, ast.Slice):
        return slice(
            *(None if part is None else _read_index(part, text) for part in (node.lower, node.upper, node.step))
        )
    sign = -1 if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) else 1
    number = node.operand if isinstance(node, ast.UnaryOp) else node
    if isinstance(number, ast.Constant) and type(number.value) is int:
        return sign * number.value
    raise _error_at(text, node, "an index is a whole number or a slice of whole numbers")


def _describe_node(node: ast.AST) -> str:
    names = {
        "IfExp": "if/else",
        "Lambda": "lambda",
        "Tuple": "tuple; write a list, [0.0, 1.0]",
        "Dict": "dict",
        "ListComp": "comprehension",
    }
    return names.get(type(node).__name__, type(node).__name__)


# ---------------------------------------------------------------- computing


class _Evaluation:
    """Computes the value of a validated tree over one episode."""

    def __init__(self, fitness: Fitness, rollout: Rollout) -> None:
        self.fitness, self.text, self.rollout = fitness, fitness.text, rollout

    def evaluate_node(self, node: ast.expr) -> Any:
        with np.errstate(all="ignore"):
            try:
                return self._evaluate_checked(node)
            except FitnessError:
                raise
            except (ArithmeticError, IndexError, TypeError, ValueError) as error:
                raise _error_at(self.text, node, str(error)) from error

    def _evaluate_checked(self, node: ast.expr) -> Any:
        if isinstance(node, ast.Constant):
            return np.float64(node.value)  # type: ignore[arg-type]
        if isinstance(node, ast.Attribute):
            return np.asarray(self.rollout.start[node.attr], dtype=np.float64)
        if isinstance(node, ast.Name):
            return self._look_up(node)
        if isinstance(node, ast.List):
            return np.stack([np.asarray(self.evaluate_node(part), dtype=np.float64) for part in node.elts], axis=-1)
        if isinstance(node, ast.Subscript):
            return np.asarray(self.evaluate_node(node.value))[_read_index(node.slice, self.text)]
        if isinstance(node, ast.Call):
            function = FUNCTIONS[node.func.id][0]  # type: ignore[attr-defined]
            return function(*(np.asarray(self.evaluate_node(argument)) for argument in node.args))
        return self._apply_operator(node)

    def _apply_operator(self, node: ast.expr) -> Any:
        if isinstance(node, ast.BinOp):
            return _BINARY[type(node.op)](
                _as_number(self.evaluate_node(node.left)), _as_number(self.evaluate_node(node.right))
            )
        if isinstance(node, ast.UnaryOp):
            return _UNARY[type(node.op)](_as_number(self.evaluate_node(node.operand)))
        if isinstance(node, ast.BoolOp):
            values = [self.evaluate_node(value) for value in node.values]
            combine = np.logical_and if isinstance(node.op, ast.And) else np.logical_or
            result = values[0]
            for value in values[1:]:
                result = combine(result, value)
            return result
        return self._compare(node)

    def _compare(self, node: ast.expr) -> Any:
        if not isinstance(node, ast.Compare):
            raise AssertionError(f"{type(node).__name__} passed validation")
        values = [self.evaluate_node(value) for value in (node.left, *node.comparators)]
        result: Any = True
        for op, left, right in zip(node.ops, values, values[1:], strict=False):
            result = np.logical_and(result, _COMPARE[type(op)](left, right))
        return result

    def _look_up(self, node: ast.Name) -> Any:
        rollout = self.rollout
        if node.id not in RESERVED:
            return np.asarray(rollout.signals[node.id], dtype=np.float64)
        if node.id == "actions":
            return rollout.actions
        numbers: Mapping[str, float | None] = {
            "survived": float(not rollout.terminated),
            "length": float(len(rollout.actions)),
            "pi": math.pi,
            "limit": self.fitness.limit,
            "dt": self.fitness.step_s,
        }
        number = numbers[node.id]
        if number is None:
            raise _error_at(self.text, node, MISSING_CONSTANTS[node.id])
        return np.float64(number)


def _as_number(value: Any) -> Any:
    """Return truth values as 0 and 1, so that they add up."""
    return value.astype(np.float64) if getattr(value, "dtype", None) == np.bool_ else value


def _to_scalar(fitness: Fitness, value: Any) -> float:
    if np.ndim(value):
        shape = np.shape(value)
        message = f"the result has shape {shape}, not one number; reduce it, e.g. with mean(...) or last(...)"
        raise _error_at(fitness.text, fitness.tree, message)
    return float(value)


# ---------------------------------------------------------------- errors


def _join_lines(text: str) -> str:
    """Return the text with each blank as one space, so that places in it are those of its one line."""
    return re.sub(r"\s", " ", text.strip())


def _error_at(text: str, node: ast.AST, message: str) -> FitnessError:
    start, end = getattr(node, "col_offset", 0), getattr(node, "end_col_offset", 1)
    return FitnessError(_mark_place(text, message, start, end))


def _mark_place(text: str, message: str, start: int, end: int) -> str:
    line = _join_lines(text)
    # ast counts bytes of UTF-8; the mark stands under characters.
    encoded = line.encode()
    first, last = len(encoded[:start].decode(errors="ignore")), len(encoded[:end].decode(errors="ignore"))
    return f"fitness: {message}\n  {line}\n  {' ' * first}{'^' * max(last - first, 1)}"
