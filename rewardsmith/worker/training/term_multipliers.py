"""Lagrange multipliers that hold terms of a program at limits.

After "Confronting Reward Model Overoptimization with Constrained RLHF" (Moskovitz et al., ICLR 2024, arXiv:2310.04373).
Without limits the total is goal = sum w_j * term_j. A limit takes its term out of the goal; with slack = bound - term
(term - bound for ">="), the total of a transition is the normalised Lagrangian of Stooke, Achiam & Abbeel (ICML 2020,
arXiv:2007.03964), section 5:

    total = (goal + sum_i lambda_i * slack_i) / (1 + sum_i lambda_i)

The multipliers are bounded, as in the first paper, and the division keeps the total at the goal's scale however large
they become. They are learned here, on the trusted side, from the terms that leave the sealed process by name.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from rewardsmith.contract.errors import RewardFailed
from rewardsmith.contract.reward_program import Array, RewardProgram
from rewardsmith.contract.term_limits import TermLimit
from rewardsmith.worker.training.running_stats import RunningMeanStd

WINDOW = 2_048
"""Transitions over which a term's mean is taken: one rollout of PPO by default, some hundred steps of SAC and TD3."""
LEARNING_RATE = 0.2
"""Change of log(lambda) in one window, where the mean is a standard deviation of the term or more beyond its limit. A
rollout that is longer than the window is one step of the policy, and so one step of the multiplier too."""
PROPORTIONAL = 4.0
"""Part of log(lambda) that follows the present excess at once; it damps the swings about the limit (Stooke et al.)."""
LOWEST, HIGHEST = math.log(1e-2), math.log(1e4)
"""Bounds of log(lambda / lambda at the start)."""


@dataclass
class TermMultiplier:
    """The multiplier of one limit."""

    limit: TermLimit
    initial: float
    """Multiplier at the start, above 0."""
    learned: float = 0.0
    """log(multiplier / initial) without the proportional part."""
    mean: float | None = None
    """Mean of the term over about the last `WINDOW` transitions."""
    statistics: RunningMeanStd = field(default_factory=lambda: RunningMeanStd(()))

    @property
    def value(self) -> float:
        """The multiplier lambda."""
        return self.initial * math.exp(min(max(self.learned + PROPORTIONAL * self._excess(), LOWEST), HIGHEST))

    def update(self, term: Array) -> None:
        """Learn from the values (n,) of the term in a new rollout: dual ascent on log(lambda)."""
        self.statistics.update(term)
        part = min(1.0, len(term) / WINDOW)
        mean = float(term.mean())
        self.mean = mean if self.mean is None else (1.0 - part) * self.mean + part * mean
        learned = self.learned + LEARNING_RATE * part * self._excess()
        self.learned = min(max(learned, LOWEST), HIGHEST)

    def _excess(self) -> float:
        """Return the excess of the mean in standard deviations of the term, in [-1, 1]."""
        excess = 0.0 if self.mean is None else self.limit.measure_excess(self.mean)
        deviation = math.sqrt(float(self.statistics.var))
        return min(max(excess / deviation, -1.0), 1.0) if deviation > 0.0 else math.copysign(bool(excess), excess)


class LimitedTotal:
    """Totals of a program whose terms are held at limits."""

    def __init__(self, program: RewardProgram, limits: Sequence[TermLimit]) -> None:
        """Begin with each term's weight as its multiplier.

        Args:
            program: gives the weights.
            limits: at least one.
        """
        self._program = program
        self._multipliers = [TermMultiplier(limit, abs(program.weight(limit.term)) or 1.0) for limit in limits]
        self._limited = frozenset(limit.term for limit in limits)

    @property
    def multipliers(self) -> dict[str, float]:
        """Limit, as it is written, to its multiplier."""
        return {multiplier.limit.text: multiplier.value for multiplier in self._multipliers}

    def compute_goal(self, terms: Mapping[str, Array]) -> Array:
        """Return the weighted sum (n,) of the terms without a limit.

        Raises:
            RewardFailed: if the program lacks a limited term, or has no other.
        """
        for multiplier in self._multipliers:
            if multiplier.limit.term not in terms:
                raise RewardFailed(
                    f"training.constraints holds {multiplier.limit.text!r}, and the program returns no such term; it"
                    f" returns {', '.join(terms)}"
                )
        free = [self._program.weight(name) * term for name, term in terms.items() if name not in self._limited]
        if not free:
            raise RewardFailed("training.constraints limits every term, so that no goal is left")
        return np.asarray(np.sum(free, axis=0))

    def compute_total(self, terms: Mapping[str, Array], goal: Array) -> Array:
        """Learn the multipliers from the terms (n,) of a rollout; return its totals (n,) under them."""
        for multiplier in self._multipliers:
            multiplier.update(terms[multiplier.limit.term])
        total, scale = goal.copy(), 1.0
        for multiplier in self._multipliers:
            limit, weight = multiplier.limit, multiplier.value
            total -= weight * limit.sign * (terms[limit.term] - limit.bound)
            scale += weight
        return np.asarray(total / scale)
