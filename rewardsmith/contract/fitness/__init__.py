"""The fitness language: small expressions over an evaluated episode, their bounds, and auxiliary metrics.

Fitness            a parsed expression, which computes the fitness of an episode
Rollout            one episode as an expression sees it
AuxiliaryMetrics   a task's further expressions, reported next to fitness and never used for selection
is_bounded_unit    whether an expression lies in [0, 1] for every episode
RESERVED           names of the language, which no signal may take

`expression` describes the language.
"""

from rewardsmith.contract.fitness.bounds import is_bounded_unit
from rewardsmith.contract.fitness.expression import RESERVED, Fitness, Rollout
from rewardsmith.contract.fitness.metrics import AuxiliaryMetrics

__all__ = ["RESERVED", "AuxiliaryMetrics", "Fitness", "Rollout", "is_bounded_unit"]
