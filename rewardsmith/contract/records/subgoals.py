"""Records of subgoals: the steps of a task, each with the condition that tells that it is reached."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from annotated_types import MaxLen, MinLen


@dataclass(frozen=True)
class Subgoal:
    """A step of a task."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = {"extra": "forbid"}

    text: Annotated[str, MinLen(1), MaxLen(300)]
    """The subgoal in a few words."""
    condition: Annotated[str, MinLen(1), MaxLen(500)]
    """Over the signals of a state, in the language of a robot's `end`."""


@dataclass(frozen=True)
class SubgoalProposal:
    """Subgoals that a model wrote for a task."""

    subgoals: tuple[Subgoal, ...]
    reason: str
    """The model's words about them, for the user."""
    model: str
