"""Name of the fitness that a judge gives: it stands where a fitness expression stands elsewhere."""

from __future__ import annotations

from typing import Final

JUDGED_FITNESS: Final = "judge"
"""Fitness of a run whose programs a language model scores (`feedback.judge_mode = "score"`)."""


def describe_fitness_source(fitness: str) -> str:
    """Return what a run's fitness is, for people: its expression, or that it is a judge's opinion.

    >>> describe_fitness_source("mean(x_velocity)")
    'mean(x_velocity)'
    >>> describe_fitness_source("judge")
    "a model's score of recorded episodes (0 to 1), not a measurement"
    """
    if fitness != JUDGED_FITNESS:
        return fitness
    return "a model's score of recorded episodes (0 to 1), not a measurement"
