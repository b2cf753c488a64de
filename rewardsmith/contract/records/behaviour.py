"""Records of behaviours: a task's descriptors, their proposal by a model, and the behaviour that a slot aims at."""

from __future__ import annotations

from dataclasses import dataclass, field

DEFAULT_BINS = 10


@dataclass(frozen=True)
class BehaviourDescriptor:
    """A number that says how a policy behaves, its range, and the parts that the range is divided into."""

    name: str
    """A valid Python identifier."""
    expression: str
    """Over one evaluated episode, in the language of the fitness; the behaviour of a policy is the mean."""
    low: float
    """Lower end of the range; what is below it counts in the first part."""
    high: float
    """Upper end; what is above it counts in the last part."""
    bins: int = DEFAULT_BINS
    """Number of equal parts."""


@dataclass(frozen=True)
class BehaviourAim:
    """The behaviour that the program of a slot is asked for, next to that of its parent."""

    reached: dict[str, float]
    """Descriptor name to the value of the parent's policy."""
    target: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Descriptor name to the lower and upper end of a cell without a policy; empty where the parent's cell itself is
    to be improved."""


@dataclass(frozen=True)
class BehaviourProposal:
    """Descriptors that a model proposed for a task, with their values where nothing was learnt."""

    descriptors: tuple[BehaviourDescriptor, ...]
    reason: str
    """The model's words about them, for the user."""
    model: str
    random: dict[str, float]
    """Descriptor name to its mean under random actions."""
