"""A task's auxiliary metrics: reported next to the fitness, measured on the same episodes, never used for selection."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from rewardsmith.contract.errors import FitnessError
from rewardsmith.contract.fitness.expression import Fitness, Rollout
from rewardsmith.contract.records import Signal


@dataclass(frozen=True)
class AuxiliaryMetrics:
    """The parsed expressions of a task's metrics; every error names the metric."""

    expressions: Mapping[str, Fitness]

    @classmethod
    def parse(cls, expressions: Mapping[str, str]) -> AuxiliaryMetrics:
        """Parse the expressions.

        >>> AuxiliaryMetrics.parse({"fell": "1 - survived", "gap": "min(distance)"}).names
        ('distance',)

        Args:
            expressions: metric name to expression.

        Raises:
            FitnessError: if one is no expression of the language, with the place marked.
        """
        parsed: dict[str, Fitness] = {}
        for name, text in expressions.items():
            with _name_metric_in_errors(name):
                parsed[name] = Fitness.parse(text)
        return cls(parsed)

    @property
    def names(self) -> tuple[str, ...]:
        """The signals that they read, privileged ones included, in their order."""
        return tuple(dict.fromkeys(name for fitness in self.expressions.values() for name in fitness.names))

    def bind_environment(self, limit: int | None, step_s: float | None) -> AuxiliaryMetrics:
        """Return the metrics with the values of `limit` and `dt`; see `Fitness.bind_environment`."""
        bound = {name: fitness.bind_environment(limit, step_s) for name, fitness in self.expressions.items()}
        return AuxiliaryMetrics(bound)

    def check_signals(self, names: Iterable[str]) -> None:
        """Make sure that every signal they read exists.

        Raises:
            FitnessError: if one does not, with the nearest names.
        """
        known = list(names)
        for name, fitness in self.expressions.items():
            with _name_metric_in_errors(name):
                fitness.check_signals(known)

    def try_on(self, signals: Iterable[Signal]) -> None:
        """Make sure that they give numbers on an episode of these signals: names and shapes fit.

        Raises:
            FitnessError: if a signal is missing or the shapes do not lead to one number.
        """
        known = list(signals)
        for name, fitness in self.expressions.items():
            with _name_metric_in_errors(name):
                fitness.try_on(known)

    def evaluate(self, name: str, rollout: Rollout) -> float:
        """Return the value of one metric for an episode.

        Raises:
            FitnessError: if it has no finite value there.
        """
        with _name_metric_in_errors(name):
            return self.expressions[name].evaluate(rollout)


@contextmanager
def _name_metric_in_errors(name: str) -> Iterator[None]:
    try:
        yield
    except FitnessError as error:
        raise FitnessError(f"metric {name!r}: {str(error).removeprefix('fitness: ')}") from error
