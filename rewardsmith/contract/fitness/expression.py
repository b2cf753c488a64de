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
import functools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rewardsmith.contract.errors import FitnessError
from rewardsmith.contract.fitness.functions import FUNCTIONS, SIGNATURES
from rewardsmith.contract.fitness.syntax import (
    BINARY,
    COMPARE,
    RESERVED,
    UNARY,
    build_marked_error,
    find_signal_name,
    parse_tree,
    read_index,
)
from rewardsmith.contract.records import Signal

Array = NDArray[np.float64]

TRIAL_STEPS = 1_000
"""Length in steps of the artificial episode on which an expression is tried; long, so that indices like [100] exist."""
MISSING_CONSTANTS: Mapping[str, str] = {
    "limit": "the environment has no time limit, so `limit` has no value; write a number of steps",
    "dt": "the environment does not say how long a step is, so `dt` has no value; write the seconds of a step",
}
"""Why a name of the language has no value."""


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
        tree, names = parse_tree(text)
        return cls(text, tree, names)

    @property
    def is_constant(self) -> bool:
        """Whether it reads nothing of an episode, so that every episode has the same value."""
        read = {node.id for node in ast.walk(self.tree) if isinstance(node, ast.Name)}
        return not self.names and not read & {"survived", "length", "actions"}

    def check_signals(self, names: Iterable[str]) -> None:
        """Make sure that every signal it reads exists.

        Raises:
            FitnessError: if one does not, with the nearest names.
        """
        signal_names = list(names)
        called = {id(node.func) for node in ast.walk(self.tree) if isinstance(node, ast.Call)}
        for node in ast.walk(self.tree):
            name = None if id(node) in called else find_signal_name(node)
            if name is not None and name not in signal_names:
                raise build_marked_error(self.text, node, _describe_unknown_signal(name, signal_names))

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
            raise build_marked_error(self.text, self.tree, f"the result is {value}; guard a division or a root")
        return value

    def compute_values(self, rollout: Rollout) -> Any:
        """Return its value, which may be an array here.

        Raises:
            FitnessError: if the shapes do not fit.
        """
        return _Evaluation(self, rollout).evaluate_node(self.tree)


def _describe_unknown_signal(name: str, signal_names: list[str]) -> str:
    """Say that there is no such signal, which are near, and how a card adds one."""
    if name in FUNCTIONS:
        return f"no signal {name!r}; {name} is a function: {SIGNATURES.get(name, f'{name}(x)')}"
    near = difflib.get_close_matches(name, signal_names, n=3)
    hint = f"near it: {', '.join(near)}" if near else f"there are: {', '.join(signal_names) or 'none'}"
    entry = f'{name} = {{ source = "...", unit = "...", meaning = "..." }}'
    return f"no signal {name!r}; {hint}; a task card adds one under [signals]: {entry}"


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
                raise build_marked_error(self.text, node, str(error)) from error

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
            return np.asarray(self.evaluate_node(node.value))[read_index(node.slice, self.text)]
        if isinstance(node, ast.Call):
            function = FUNCTIONS[node.func.id][0]  # type: ignore[attr-defined]
            return function(*(np.asarray(self.evaluate_node(argument)) for argument in node.args))
        return self._apply_operator(node)

    def _apply_operator(self, node: ast.expr) -> Any:
        if isinstance(node, ast.BinOp):
            return BINARY[type(node.op)](
                _as_number(self.evaluate_node(node.left)), _as_number(self.evaluate_node(node.right))
            )
        if isinstance(node, ast.UnaryOp):
            return UNARY[type(node.op)](_as_number(self.evaluate_node(node.operand)))
        if isinstance(node, ast.BoolOp):
            values = [self.evaluate_node(value) for value in node.values]
            combine = np.logical_and if isinstance(node.op, ast.And) else np.logical_or
            return functools.reduce(combine, values)
        return self._compare(node)

    def _compare(self, node: ast.expr) -> Any:
        if not isinstance(node, ast.Compare):
            raise AssertionError(f"{type(node).__name__} passed validation")
        values = [self.evaluate_node(value) for value in (node.left, *node.comparators)]
        result: Any = True
        for op, left, right in zip(node.ops, values, values[1:], strict=False):
            result = np.logical_and(result, COMPARE[type(op)](left, right))
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
            raise build_marked_error(self.text, node, MISSING_CONSTANTS[node.id])
        return np.float64(number)


def _as_number(value: Any) -> Any:
    """Return truth values as 0 and 1, so that they add up."""
    return value.astype(np.float64) if getattr(value, "dtype", None) == np.bool_ else value


def _to_scalar(fitness: Fitness, value: Any) -> float:
    if np.ndim(value):
        shape = np.shape(value)
        message = f"the result has shape {shape}, not one number; reduce it, e.g. with mean(...) or last(...)"
        raise build_marked_error(fitness.text, fitness.tree, message)
    return float(value)
