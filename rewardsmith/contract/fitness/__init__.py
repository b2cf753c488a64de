"""The fitness language: small expressions over an evaluated episode, their bounds, and auxiliary metrics.

Fitness            a parsed expression, which computes the fitness of an episode
Rollout            one episode as an expression sees it
AuxiliaryMetrics   a task's further expressions, reported next to fitness and never used for selection
StateCondition     a condition over the signals of one state, such as the end of a robot's episode
is_bounded_unit    whether an expression lies in [0, 1] for every episode
describe_measure   its kind and unit in words
find_unwrapped_comparisons    remarks on angles that it compares although they go on beyond a turn
RESERVED           names of the language, which no signal may take

`expression` describes the language, `syntax` parses it.
"""

from rewardsmith.contract.fitness.bounds import is_bounded_unit
from rewardsmith.contract.fitness.expression import Fitness, Rollout
from rewardsmith.contract.fitness.metrics import AuxiliaryMetrics
from rewardsmith.contract.fitness.state_condition import StateCondition
from rewardsmith.contract.fitness.syntax import RESERVED
from rewardsmith.contract.fitness.units import describe_measure, find_unwrapped_comparisons

__all__ = [
    "RESERVED",
    "AuxiliaryMetrics",
    "Fitness",
    "Rollout",
    "StateCondition",
    "describe_measure",
    "find_unwrapped_comparisons",
    "is_bounded_unit",
]
