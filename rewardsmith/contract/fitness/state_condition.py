"""Conditions over the signals of one state, such as the end of a robot's episode: `height < 0.14 or upright < 0.5`.

The language is that of the fitness without what looks along an episode: no reductions over time, no `start`, and an
index begins with `:`, for the state. The same text is computed for n states at once.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rewardsmith.contract.errors import FitnessError, TaskError
from rewardsmith.contract.fitness.expression import Fitness, Rollout
from rewardsmith.contract.fitness.syntax import RESERVED
from rewardsmith.contract.records import Signal

Array = NDArray[np.float64]

TRIAL_STATES = 7
_EPISODE_NAMES = ("survived", "length", "actions", "limit", "dt")
_EXTREMES = ("max", "min")
_ELEMENTWISE = ("abs", "clip", "exp", "norm", "sqrt", *_EXTREMES)
_COMPARE: Mapping[type, Callable[[Any, Any], Any]] = {
    ast.Lt: np.less,
    ast.LtE: np.less_equal,
    ast.Gt: np.greater,
    ast.GtE: np.greater_equal,
}
Bound = tuple[str, tuple[Any, ...], Callable[[Any, Any], Any], float]
"""Signal, index into its values (n, *shape), comparison, and the number that is compared with."""
_NO_ACTIONS: Array = np.empty((0, 0))


class StateCondition:
    """A parsed condition."""

    def __init__(self, text: str, what: str) -> None:
        """Parse a condition.

        Args:
            text: the condition.
            what: it is, for messages: "the end".

        Raises:
            TaskError: if it is no condition of this language.
        """
        self.text, self._what = text, what
        try:
            self._expression = Fitness.parse(text)
        except FitnessError as error:
            raise TaskError(f"{what} {text!r}: {error.cause}") from error
        self.names = self._expression.names
        self._bounds = _read_bounds(self._expression.tree)
        for node in ast.walk(self._expression.tree):
            fault = _find_fault(node)
            if fault:
                raise TaskError(f"{what} {text!r}: {fault}; it is asked of each state alone")

    def try_on(self, signals: Iterable[Signal]) -> None:
        """Make sure that it is one truth value of a state with these signals.

        Raises:
            TaskError: if a signal is missing or the shapes do not fit.
        """
        shapes = {signal.name: signal.shape for signal in signals}
        try:
            self._expression.check_signals(shapes)
            values = {name: np.ones((TRIAL_STATES, *shapes[name])) for name in self.names}
            shape = np.shape(self._expression.compute_values(_make_rollout(values)))
        except FitnessError as error:
            raise TaskError(f"{self._what} {self.text!r}: {error.cause}") from error
        if self.names and shape != (TRIAL_STATES,):
            raise TaskError(
                f"{self._what} {self.text!r} is not one truth value for a state; take a number of a vector with [:, 2]"
            )

    def compute(self, signals: Mapping[str, Array]) -> NDArray[np.bool_]:
        """Return in which states (n,) it holds.

        Args:
            signals: name to values (n, *shape).
        """
        if self._bounds is None:
            return np.asarray(self._expression.compute_values(_make_rollout(signals))).astype(np.bool_)
        parts = (compare(signals[name][index], bound) for name, index, compare, bound in self._bounds)
        return np.asarray(np.logical_or.reduce([*parts]))


def _read_bounds(tree: ast.expr) -> list[Bound] | None:
    """Return the bounds that a condition joins with `or`; None for one of another form.

    Most conditions are of this form, and one is computed at every step: so it takes a tenth of the time.
    """
    parts = tree.values if isinstance(tree, ast.BoolOp) and isinstance(tree.op, ast.Or) else [tree]
    bounds = [_read_bound(part) for part in parts]
    return [bound for bound in bounds if bound is not None] if None not in bounds else None


def _read_bound(node: ast.expr) -> Bound | None:
    """Return a comparison of a signal, or of a number of it, with a constant; None for anything else."""
    if not isinstance(node, ast.Compare) or len(node.ops) != 1 or type(node.ops[0]) not in _COMPARE:
        return None
    signal, number = node.left, _read_number(node.comparators[0])
    index: tuple[int, ...] = ()

    # The first place of an index is that of the states, a slice.
    if isinstance(signal, ast.Subscript) and isinstance(signal.slice, ast.Tuple):
        places = [_read_number(place) for place in signal.slice.elts[1:]]
        index, signal = tuple(place for place in places if isinstance(place, int)), signal.value
        if len(index) < len(places):
            return None
    if number is None or not isinstance(signal, ast.Name) or signal.id in RESERVED:
        return None
    return signal.id, (Ellipsis, *index), _COMPARE[type(node.ops[0])], float(number)


def _read_number(node: ast.expr) -> int | float | None:
    """Return the number that a node states, signed or not; None for anything else."""
    try:
        value = ast.literal_eval(node)
    except ValueError:
        return None
    return value if isinstance(value, int | float) else None


def _make_rollout(signals: Mapping[str, Array]) -> Rollout:
    return Rollout(signals, {}, _NO_ACTIONS, False)


def _find_fault(node: ast.AST) -> str | None:
    if isinstance(node, ast.Attribute):
        return "`start` has no place in it: write the number"
    if isinstance(node, ast.Name) and node.id in _EPISODE_NAMES:
        return f"{node.id!r} belongs to an episode"
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        name = node.func.id
        if name not in _ELEMENTWISE:
            return f"{name}() looks along an episode; there are {', '.join(_ELEMENTWISE)}"
        if name in _EXTREMES and len(node.args) == 1:
            return f"{name}() of one value looks along an episode; give it several"
    if isinstance(node, ast.Subscript):
        first = node.slice.elts[0] if isinstance(node.slice, ast.Tuple) and node.slice.elts else node.slice
        if not (isinstance(first, ast.Slice) and first.lower is first.upper is first.step is None):
            return "an index begins with `:`, as in position[:, 2]"
    return None
