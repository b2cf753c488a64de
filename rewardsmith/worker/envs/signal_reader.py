"""Reader of signals from a simulation's fields: sources resolved once, values copied into packed rows each step."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from rewardsmith.contract.errors import TaskError
from rewardsmith.contract.records import Signal
from rewardsmith.contract.signal_source import (
    FUNCTIONS,
    Constant,
    FieldReference,
    FunctionCall,
    Index,
    Node,
    SignedSum,
    list_field_references,
    parse,
)
from rewardsmith.contract.text import suggest_names
from rewardsmith.worker.envs.base import SignalLayout
from rewardsmith.worker.envs.mujoco_fields import COMPUTED, bind_body_velocity

Array = NDArray[np.float64]
Getter = Callable[[str], Array]
"""Field name to its live (n, ...) buffer."""
Resolve = Callable[[str, str], Index]
"""(field, name of a model element) to the rows of the field that belong to it."""


def refuse_row_name(field: str, name: str) -> Index:
    """Refuse a name as an index, for environments without a model."""
    raise TaskError(f"{field}[{name}]: the rows of {field!r} have no names here; use a number or a slice")


@dataclass(frozen=True)
class SignalReader:
    """Sources of a layout, resolved for one environment."""

    layout: SignalLayout
    nodes: tuple[Node, ...]

    @classmethod
    def from_layout(cls, layout: SignalLayout, resolve: Resolve) -> SignalReader:
        """Parse and resolve the sources of a layout's signals.

        Raises:
            TaskError: if a source does not parse or names an element that is not there.
        """
        return cls(layout, tuple(_resolve_node(parse(signal.source), resolve) for signal in layout.signals))

    @property
    def fields(self) -> tuple[str, ...]:
        """Fields that the signals read, without repetition."""
        return tuple(dict.fromkeys(ref.field for node in self.nodes for ref in list_field_references(node)))

    def bind_fields(self, get: Getter, roots: Sequence[int] = ()) -> Callable[[Array], None]:
        """Return a function that copies the current values into packed rows (n, width).

        Args:
            get: gives each field's live buffer (n, ...); the same buffer on every call, refreshed by the owner.
            roots: (nbody,), root body of each body's tree, where the environment has a MuJoCo model.

        Raises:
            TaskError: if an index is outside a field or a signal's shape is not the stated one.
        """
        signals = zip(self.layout.signals, self.nodes, strict=True)
        values = [self._bind_signal(signal, node, get, roots) for signal, node in signals]
        pairs = list(zip(self.layout.map_columns().values(), values, strict=True))

        def copy(out: Array) -> None:
            for column, value in pairs:
                out[:, column] = value()

        return copy

    def _bind_signal(self, signal: Signal, node: Node, get: Getter, roots: Sequence[int]) -> Callable[[], Array]:
        compute = _bind_node(node, get, signal, roots)
        shape = compute().shape[1:]
        # A flat slice, as of the observation, may be stated in the shape that it had.
        if shape != signal.shape and shape != (math.prod(signal.shape),):
            raise TaskError(
                f"signal {signal.name!r}: its source {signal.source!r} has shape {shape}, stated is {signal.shape}"
            )
        width = math.prod(shape)
        return lambda: compute().reshape(-1, width)


def select_signals(catalogue: Iterable[Signal], names: Sequence[str]) -> SignalLayout:
    """Return the layout of the named signals.

    Raises:
        TaskError: if a name is not in the catalogue, with the nearest.
    """
    known = {signal.name: signal for signal in catalogue}
    for name in names:
        if name not in known:
            raise TaskError(f"the environment has no signal {name!r}; {suggest_names(name, known)}")
    return SignalLayout(tuple(known[name] for name in dict.fromkeys(names)))


def _resolve_node(node: Node, resolve: Resolve) -> Node:
    if isinstance(node, FunctionCall):
        return FunctionCall(node.function, _resolve_node(node.argument, resolve))
    if isinstance(node, SignedSum):
        return SignedSum(_resolve_node(node.left, resolve), node.sign, _resolve_node(node.right, resolve))
    if isinstance(node, Constant):
        return node
    if node.field == "info":
        return FieldReference("info." + ".".join(str(index) for index in node.indices))
    return FieldReference(
        node.field,
        tuple(resolve(node.field, index) if isinstance(index, str) else index for index in node.indices),
    )


def _bind_node(node: Node, get: Getter, signal: Signal, roots: Sequence[int]) -> Callable[[], Array]:
    if isinstance(node, FunctionCall):
        function, inner = FUNCTIONS[node.function], _bind_node(node.argument, get, signal, roots)
        return lambda: function(inner())
    if isinstance(node, SignedSum):
        left, right = _bind_node(node.left, get, signal, roots), _bind_node(node.right, get, signal, roots)
        return (lambda: left() + right()) if node.sign > 0 else (lambda: left() - right())
    if isinstance(node, Constant):
        constant = np.array(node.value)
        return lambda: constant
    if node.field in COMPUTED:
        return _bind_velocity(node, get, signal, roots)
    view = _index_field(get(node.field), node.indices, signal)
    return lambda: view


def _bind_velocity(ref: FieldReference, get: Getter, signal: Signal, roots: Sequence[int]) -> Callable[[], Array]:
    body = ref.indices[0] if ref.indices else None
    if not isinstance(body, int) or not 0 <= body < len(roots):
        raise TaskError(f"signal {signal.name!r}: {signal.source!r} must name one body, as in {ref.field}[torso]")
    velocity = bind_body_velocity(ref.field, body, int(roots[body]), get)
    return lambda: _index_field(velocity(), ref.indices[1:], signal)


def _index_field(array: Array, indices: Sequence[Index], signal: Signal) -> Array:
    try:
        part: Array = array[(slice(None), *cast("tuple[int | slice, ...]", tuple(indices)))]
    except IndexError as error:
        shape = array.shape[1:]
        raise TaskError(f"signal {signal.name!r}: {signal.source!r} is outside the field, of shape {shape}") from error
    return part
