"""Observed signals: the components that a policy's observation contains, found in transitions under random actions.

Only what is certain is called unobserved. A coordinate of the simulation (`qpos`, `qvel`) is observed where it, or its
sine and cosine, is a linear function of the observation. A place in the world is unobserved where it moves along with a
coordinate that is unobserved, as the feet of a runner do whose observation leaves out its position.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from rewardsmith.contract.records import Signal

Array = NDArray[np.float64]

MAX_NUMBERS = 600
"""Longest observation that is looked at; more numbers than transitions would explain everything."""
EXACT = 1e-3
"""Part of a signal's spread that a linear function of the observation may leave, where it holds the signal itself;
observations are clipped and rounded here and there."""
MOVES_ALONG = 0.5
"""Slope on an unobserved coordinate from which a place moves along with it; 1 where it does fully."""
EQUAL_ROWS = 0.3
"""Part of the transitions in which a number of the observation is the signal; in the others it may be clipped."""
COORDINATES = ("qpos[", "qvel[")


def find_unobserved(
    signals: Sequence[Signal], values: Mapping[str, Array], obs: Array
) -> dict[str, tuple[int, ...]] | None:
    """Return the components of signals that the observation does not contain; None where that cannot be found out.

    Args:
        signals: the catalogue.
        values: signal name to (n, *shape).
        obs: (n, d), the observations at the same moments.
    """
    n, width = obs.shape
    if width > min(MAX_NUMBERS, n // 2) or not np.isfinite(obs).all():
        return None
    basis = _Basis(np.column_stack([np.ones(n), obs]))

    # Coordinates of the simulation that no linear function of the observation gives.
    hidden: dict[tuple[str, int], Array] = {}
    for signal in signals:
        if signal.source.startswith(COORDINATES) and signal.source.count("[") == 1:
            for index, column in enumerate(_list_columns(values[signal.name])):
                if not _is_observed(basis, column, is_angle=signal.unit == "rad"):
                    hidden[signal.name, index] = column

    # Places that move along with a hidden coordinate.
    units = {signal.name: signal.unit for signal in signals}
    drifting = [column for (name, _), column in hidden.items() if units[name] == "m"]
    for signal in signals:
        if signal.unit != "m":
            continue
        for index, column in enumerate(_list_columns(values[signal.name])):
            if not _is_observed(basis, column) and _moves_along(basis, column, drifting):
                hidden[signal.name, index] = column

    unobserved: dict[str, tuple[int, ...]] = {}
    for signal in signals:
        indices = tuple(sorted(index for name, index in hidden if name == signal.name))
        if indices:
            unobserved[signal.name] = indices
    return unobserved


class _Basis:
    """The numbers of an observation, with what many columns are compared to: an orthonormal basis of their span."""

    def __init__(self, columns: Array) -> None:
        self.columns = columns
        """(n, d)."""
        vectors, sizes, _ = np.linalg.svd(columns, full_matrices=False)
        # The rank as `numpy.linalg.lstsq` takes it.
        self._span = vectors[:, sizes > np.finfo(np.float64).eps * max(columns.shape) * sizes[0]]

    def subtract_fit(self, column: Array) -> Array:
        """Return what least squares over the columns leave of a column (n,)."""
        rest = column - self._span @ (self._span.T @ column)
        return np.asarray(rest)


def _list_columns(values: Array) -> list[Array]:
    """Return the components (n,) of values (n, *shape)."""
    return list(values.reshape(len(values), -1).T)


def _is_observed(basis: _Basis, column: Array, *, is_angle: bool = False) -> bool:
    """Return whether a linear function of the observation gives a column, or the sine and cosine of an angle."""
    if _residual_share(basis, column) < EXACT or _is_copied(basis.columns, column):
        return True
    return is_angle and all(_residual_share(basis, part) < EXACT for part in (np.sin(column), np.cos(column)))


def _is_copied(numbers: Array, column: Array) -> bool:
    """Return whether a number of the observation equals the column in most transitions."""
    equal = np.isclose(numbers, column[:, None], rtol=1e-5, atol=1e-9)
    return bool(equal.mean(axis=0).max() >= EQUAL_ROWS)


def _residual_share(basis: _Basis, column: Array) -> float:
    """Return the part of a column's standard deviation that least squares over the basis leave; 0 for a constant."""
    spread = float(np.std(column))
    if not np.isfinite(column).all() or spread <= 1e-9 * (1.0 + float(np.max(np.abs(column)))):
        return 0.0
    return float(np.std(basis.subtract_fit(column))) / spread


def _moves_along(basis: _Basis, column: Array, coordinates: Sequence[Array]) -> bool:
    """Return whether a column has the slope of one of the coordinates, all else equal."""
    if not coordinates or not np.isfinite(column).all():
        return False
    solution, *_ = np.linalg.lstsq(np.column_stack([basis.columns, *coordinates]), column, rcond=None)
    return bool(np.max(np.abs(solution[basis.columns.shape[1] :])) > MOVES_ALONG)
