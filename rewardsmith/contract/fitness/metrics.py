"""A task's further figures: read as its fitness is, measured of the same episodes, and never selected by."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from rewardsmith.contract.errors import FitnessError
from rewardsmith.contract.fitness.expression import Fitness, Rollout
from rewardsmith.contract.records import Signal


@dataclass(frozen=True)
class Figures:
    """Parsed expressions; every complaint names the figure."""

    parsed: Mapping[str, Fitness]

    @classmethod
    def parse(cls, expressions: Mapping[str, str]) -> Figures:
        """Read expressions.

        >>> Figures.parse({"fell": "1 - survived", "gap": "min(distance)"}).names
        ('distance',)

        Args:
            expressions: by the figure's name.

        Raises:
            FitnessError: if one is no expression of the language, with the place marked.
        """
        parsed: dict[str, Fitness] = {}
        for name, text in expressions.items():
            with _about(name):
                parsed[name] = Fitness.parse(text)
        return cls(parsed)

    @property
    def names(self) -> tuple[str, ...]:
        """Signals and measures that they read, in their order."""
        return tuple(dict.fromkeys(name for fitness in self.parsed.values() for name in fitness.names))

    def check(self, names: Iterable[str]) -> None:
        """Make sure that every signal they read exists.

        Raises:
            FitnessError: if one does not, with the nearest names.
        """
        known = list(names)
        for name, fitness in self.parsed.items():
            with _about(name):
                fitness.check(known)

    def try_on(self, signals: Iterable[Signal]) -> None:
        """Make sure that they give numbers on an episode of these signals: names and shapes fit.

        Raises:
            FitnessError: if a signal is missing or the shapes do not lead to one number.
        """
        known = list(signals)
        for name, fitness in self.parsed.items():
            with _about(name):
                fitness.try_on(known)

    def evaluate(self, name: str, rollout: Rollout) -> float:
        """Return one of them for an episode.

        Raises:
            FitnessError: if it has no finite value there.
        """
        with _about(name):
            return self.parsed[name].evaluate(rollout)


@contextmanager
def _about(name: str) -> Iterator[None]:
    try:
        yield
    except FitnessError as error:
        raise FitnessError(f"figure {name!r}: {str(error).removeprefix('fitness: ')}") from error
