"""Records of a proposed domain randomisation of a robot: what a policy withstands, and the ranges chosen in it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class ParameterSweep:
    """The fitness of a policy where one parameter is off and the others are as in the model."""

    low: float
    high: float
    """The range in which the policy still performs; it holds the value of the model."""
    values: dict[str, float | None] = field(default_factory=dict)
    """Each tried value as text, in increasing order, to the mean fitness; None where an evaluation failed."""


@dataclass(frozen=True)
class RandomisationPrior:
    """Ranges in which a policy still performs, one for each parameter: DrEureka's reward-aware physics prior."""

    owner: str
    """Whose policy: a candidate's id, "final" or "environment-reward"."""
    fitness: float
    """Its mean fitness in the model as it is."""
    random: float
    """Mean fitness of random actions there."""
    floor: float
    """Least fitness that counts as performing."""
    sweeps: dict[str, ParameterSweep]


@dataclass(frozen=True)
class RandomisationProposal:
    """Ranges for training that a model chose within a prior."""

    ranges: dict[str, tuple[float, float]]
    reason: str
    """The model's words about them, for the user."""
    model: str
