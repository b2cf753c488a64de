"""Courses over training: each term, the return, the fitness and the episode length at about ten points."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rewardsmith.contract.records import CurvePoint, Training

POINTS = 10


@dataclass(frozen=True)
class Course:
    """One figure over training, averaged over the training seeds."""

    name: str
    values: tuple[float | None, ...]
    """At most `POINTS`, evenly spaced, the first and the last included; None where no episode ended."""

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
        return sum(self.known) / len(self.known) if self.known else None

    @property
    def early(self) -> float | None:
        """Mean over the first third: where the training began."""
        first = self.known[: max(1, len(self.known) // 3)]
        return sum(first) / len(first) if first else None

    @property
    def late(self) -> float | None:
        """Mean over the last third: where the training arrived."""
        last = self.known[-max(1, len(self.known) // 3) :]
        return sum(last) / len(last) if last else None


@dataclass(frozen=True)
class Curves:
    """Everything that was followed over training."""

    env_steps: tuple[int, ...]
    """Environment steps at each point."""
    terms: tuple[Course, ...]
    """Mean of each term per step, before its weight."""
    reward: Course
    """Mean episode return of the program's total."""
    fitness: Course
    """Mean fitness of the training episodes."""
    length: Course
    """Mean episode length in environment steps."""


def read_curves(trainings: Sequence[Training]) -> Curves:
    """Return the courses of a program, averaged over its trainings point by point.

    A training that ended early shortens the average to the points that all of them have.
    """
    lines = [training.curve for training in trainings if training.curve]
    count = min((len(line) for line in lines), default=0)
    at = _spread(count)
    points = [[line[index] for line in lines] for index in at]
    names = dict.fromkeys(name for line in lines for point in line for name in point.terms)
    return Curves(
        env_steps=tuple(group[0].env_steps for group in points),
        terms=tuple(_course(name, points, _term(name)) for name in names),
        reward=_course("total reward per episode", points, lambda point: point.reward),
        fitness=_course("fitness while training", points, lambda point: point.fitness),
        length=_course("episode length", points, lambda point: point.length),
    )


def _course(name: str, points: list[list[CurvePoint]], read: Callable[[CurvePoint], float | None]) -> Course:
    return Course(name, tuple(_mean([read(point) for point in group]) for group in points))


def _term(name: str) -> Callable[[CurvePoint], float | None]:
    return lambda point: point.terms.get(name)


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _spread(count: int) -> list[int]:
    """Return at most `POINTS` indices below `count`, evenly spaced, with the first and the last.

    >>> _spread(3), _spread(28)
    ([0, 1, 2], [0, 3, 6, 9, 12, 15, 18, 21, 24, 27])
    """
    if count <= POINTS:
        return list(range(count))
    return [round(index * (count - 1) / (POINTS - 1)) for index in range(POINTS)]
