"""Scores of a judge: what a language model makes of recorded episodes, by subtasks of the task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Le

from rewardsmith.contract.known_values import average_known

UnitScore = Annotated[float, Ge(0.0), Le(1.0)]


@dataclass(frozen=True)
class Subtask:
    """A part of a task that the judge scores by itself."""

    name: str
    meaning: str
    """What earns the score 1, and what 0."""


@dataclass(frozen=True)
class SubtaskScore:
    """The score of one subtask, over two answers of the model."""

    name: str
    score: UnitScore
    """Mean of the two answers; 0: nothing of it is done, 1: all of it."""
    disagreement: UnitScore
    """Absolute difference of the two answers."""
    reasons: tuple[str, ...]
    """One for each answer, in one line."""


@dataclass(frozen=True)
class JudgeScore:
    """The judge's opinion of one policy, from its recorded episodes."""

    by: str
    """"judge:<model>"."""
    subtasks: tuple[SubtaskScore, ...]
    """Empty where the model gave no score."""
    frames: int = 0
    """Number of frames that the model was given beside the tables; an endpoint that takes no images dropped them."""
    gives_fitness: bool = False
    """Whether the score is the fitness of the policy; else it is for the reflection alone."""
    problem: str | None = None
    """Why there is no score; None where there is one."""

    @property
    def score(self) -> float | None:
        """Mean over the subtasks, in [0, 1]; None where there is no score."""
        return average_known(subtask.score for subtask in self.subtasks)

    @property
    def disagreement(self) -> float | None:
        """Mean absolute difference between the two answers; None where there is no score."""
        return average_known(subtask.disagreement for subtask in self.subtasks)
