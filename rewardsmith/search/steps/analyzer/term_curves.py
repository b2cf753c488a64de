"""Curves over training: each term, the return, the fitness and the episode length at about ten points."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rewardsmith.contract.known_values import average_known
from rewardsmith.contract.records import CurvePoint, Training

POINTS = 10


@dataclass(frozen=True)
class TermCurve:
    """One quantity over training, averaged over the training seeds."""

    name: str
    values: tuple[float | None, ...]
    """At most `POINTS` values, evenly spaced, the first and the last included; None where no episode ended."""

    @property
    def known(self) -> tuple[float, ...]:
        """The values that are there."""
        return tuple(value for value in self.values if value is not None)

    @property
    def max(self) -> float | None:
        """Greatest value."""
        return max(self.known, default=None)

    @property
    def min(self) -> float | None:
        """Least value."""
        return min(self.known, default=None)

    @property
    def mean(self) -> float | None:
        """Mean over the points."""
        return average_known(self.known)

    @property
    def early(self) -> float | None:
        """Mean over the first third: where the training began."""
        return average_known(self.known[: max(1, len(self.known) // 3)])

    @property
    def late(self) -> float | None:
        """Mean over the last third: where the training arrived."""
        return average_known(self.known[-max(1, len(self.known) // 3) :])


@dataclass(frozen=True)
class TrainingCurves:
    """All curves of a program's trainings."""

    env_steps: tuple[int, ...]
    """Environment steps at each point."""
    terms: tuple[TermCurve, ...]
    """Mean of each term per step, before its weight."""
    reward: TermCurve
    """Mean episode return of the program's total."""
    fitness: TermCurve
    """Mean fitness of the training episodes."""
    length: TermCurve
    """Mean episode length in environment steps."""
    multipliers: tuple[TermCurve, ...] = ()
    """Lagrange multipliers, by the limit that each holds: "effort <= 0.3"; empty without constraints."""
    has_learned_weights: bool = False
    """Whether the policy was trained under other weights than the program's."""


def read_curves(trainings: Sequence[Training]) -> TrainingCurves:
    """Return the curves of a program, averaged over its trainings point by point.

    A training that ended early shortens the average to the points that all of them have.
    """
    curves = [training.curve for training in trainings if training.curve]
    shared_points = min((len(curve) for curve in curves), default=0)
    groups = [[curve[index] for curve in curves] for index in _spread_indices(shared_points)]
    names = dict.fromkeys(name for curve in curves for point in curve for name in point.terms)
    limits = dict.fromkeys(limit for curve in curves for point in curve for limit in point.multipliers)
    return TrainingCurves(
        env_steps=tuple(group[0].env_steps for group in groups),
        terms=tuple(_average(name, groups, _read_term(name)) for name in names),
        reward=_average("total reward per episode", groups, lambda point: point.reward),
        fitness=_average("fitness while training", groups, lambda point: point.fitness),
        length=_average("episode length", groups, lambda point: point.length),
        multipliers=tuple(_average(limit, groups, _read_multiplier(limit)) for limit in limits),
        has_learned_weights=any(point.weights for curve in curves for point in curve),
    )


def _average(name: str, groups: list[list[CurvePoint]], read: Callable[[CurvePoint], float | None]) -> TermCurve:
    """Return the mean of a quantity over the training seeds, at each point."""
    return TermCurve(name, tuple(average_known(map(read, group)) for group in groups))


def _read_term(name: str) -> Callable[[CurvePoint], float | None]:
    return lambda point: point.terms.get(name)


def _read_multiplier(limit: str) -> Callable[[CurvePoint], float | None]:
    return lambda point: point.multipliers.get(limit)


def _spread_indices(count: int) -> list[int]:
    """Return at most `POINTS` indices below `count`, evenly spaced, with the first and the last.

    >>> _spread_indices(3), _spread_indices(28)
    ([0, 1, 2], [0, 3, 6, 9, 12, 15, 18, 21, 24, 27])
    """
    if count <= POINTS:
        return list(range(count))
    return [round(index * (count - 1) / (POINTS - 1)) for index in range(POINTS)]
