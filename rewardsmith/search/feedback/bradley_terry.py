"""Strengths from pairwise comparisons: Bradley–Terry with a weak prior, and the most informative next pairs.

The probability that i is preferred to j is sigma(theta_i - theta_j) (Bradley & Terry, 1952); a tie counts as half a
win for each. The estimate is the mode under theta ~ N(0, prior_std²), its covariance Laplace's: the inverse curvature
at the mode. The next pair is the one with the highest expected information gain about the strengths (BALD: Houlsby et
al., 2011, arXiv:1112.5745).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
PRIOR_STD = 1.5
"""Standard deviation of a strength before any comparison: the better of two programs then wins four times of five."""
ELO_MEAN, ELO_UNIT = 1500.0, 400.0 / math.log(10.0)
Z_975 = 1.959964
MAX_ITERATIONS = 100
"""Largest number of iterations of Newton's method."""
MAX_NEWTON_STEP = 3.0
"""A larger step is scaled down to this size, in log-odds."""
TOLERANCE = 1e-10
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(15)


@dataclass(frozen=True)
class PairwiseOutcome:
    """The result of one comparison of two items."""

    a: str
    b: str
    score: float
    """1: a is preferred; 0: b is; 0.5: they are equal."""


@dataclass(frozen=True)
class StrengthEstimate:
    """Strengths of all items with their uncertainty."""

    items: tuple[str, ...]
    mean: Array
    """(n,): log-odds to be preferred to the average item."""
    covariance: Array
    """(n, n): of the strengths themselves; comparisons determine only their differences."""

    def confidence_interval(self, item: str) -> tuple[float, float]:
        """Return the 95 % interval of an item's strength relative to the average item."""
        n, index = len(self.items), self.items.index(item)
        contrast = np.eye(n)[index] - 1.0 / n
        variance = float(contrast @ self.covariance @ contrast)
        half_width = Z_975 * math.sqrt(max(0.0, variance))
        return float(self.mean[index]) - half_width, float(self.mean[index]) + half_width

    def win_probability(self, a: str, b: str) -> float:
        """Return the probability that `a` is stronger than `b`, in [0, 1]."""
        mean, variance = self.estimate_difference(self.items.index(a), self.items.index(b))
        if variance <= 0.0:
            return 0.5
        return 0.5 * (1.0 + math.erf(mean / math.sqrt(2.0 * variance)))

    def estimate_difference(self, i: int, j: int) -> tuple[float, float]:
        """Return mean and variance of the difference in strength of the items at two indices."""
        c = self.covariance
        return float(self.mean[i] - self.mean[j]), float(c[i, i] + c[j, j] - 2.0 * c[i, j])


@dataclass(frozen=True)
class SuggestedPair:
    """Two items to compare next."""

    a: str
    b: str
    bits: float
    """Expected information gain of the answer."""


def fit_strengths(items: Sequence[str], outcomes: Sequence[PairwiseOutcome]) -> StrengthEstimate:
    """Fit the strengths by Newton's method; the problem is concave, so that every start leads to the same place.

    Args:
        items: all of them, compared or not.
        outcomes: of comparisons of these items; others are left out.
    """
    index = {item: position for position, item in enumerate(items)}
    used = [outcome for outcome in outcomes if outcome.a in index and outcome.b in index and outcome.a != outcome.b]
    n = len(index)

    # One row for each comparison: +1 in the column of a, -1 in that of b.
    design = np.zeros((len(used), n))
    for row, outcome in enumerate(used):
        design[row, index[outcome.a]], design[row, index[outcome.b]] = 1.0, -1.0
    scores = np.array([outcome.score for outcome in used])

    theta, curvature = fit_logistic(design, scores, np.full(n, PRIOR_STD**-2))

    # Only differences count: the average item has strength 0.
    mean = theta - theta.mean() if n else theta
    covariance = np.asarray(np.linalg.inv(curvature)) if n else curvature
    return StrengthEstimate(tuple(index), mean, covariance)


def fit_logistic(design: Array, scores: Array, precision: Array) -> tuple[Array, Array]:
    """Fit a logistic model with a normal prior by Newton's method.

    Args:
        design: (m, n), a row for each observation.
        scores: (m,) in [0, 1], what each row should come to.
        precision: (n,), inverse variance of the prior of each coefficient, around 0.

    Returns:
        The coefficients (n,) of highest posterior density, and the curvature (n, n) there.
    """
    theta: Array = np.zeros(len(precision))
    curvature: Array = np.diag(precision)
    for _ in range(MAX_ITERATIONS):
        probabilities = _sigmoid(design @ theta)
        gradient = design.T @ (scores - probabilities) - precision * theta
        fisher = probabilities * (1.0 - probabilities)
        curvature = design.T @ (design * fisher[:, None]) + np.diag(precision)

        step = np.linalg.solve(curvature, gradient)
        step_size = float(np.max(np.abs(step), initial=0.0))
        theta = theta + step * min(1.0, MAX_NEWTON_STEP / max(1e-12, step_size))
        if step_size < TOLERANCE:
            break
    return theta, curvature


def to_elo(strength: float) -> float:
    """Convert a strength to the Elo scale: 1500 for the average, 400 more for ten wins to one loss.

    >>> to_elo(0.0), round(to_elo(math.log(10)))
    (1500.0, 1900)
    """
    return ELO_MEAN + ELO_UNIT * strength


def select_pairs(
    strengths: StrengthEstimate, count: int, ask_counts: Mapping[frozenset[str], int] | None = None
) -> tuple[SuggestedPair, ...]:
    """Select the most informative pairs, each as if those before it had been answered.

    Args:
        strengths: the current estimate.
        count: how many at most.
        ask_counts: how often each pair was compared; of two equally informative pairs the less often compared one wins.
    """
    items, n = strengths.items, len(strengths.items)
    ask_counts = ask_counts or {}
    remaining = [(i, j) for i in range(n) for j in range(i + 1, n)]
    covariance, selected = strengths.covariance.copy(), list[SuggestedPair]()

    while remaining and len(selected) < count:
        current = StrengthEstimate(items, strengths.mean, covariance)
        bits = {pair: expected_information(*current.estimate_difference(*pair)) for pair in remaining}
        times_asked = {(i, j): ask_counts.get(frozenset((items[i], items[j])), 0) for i, j in remaining}
        # The order of the indices breaks ties, so that the same estimate always gives the same pairs.
        best = min(remaining, key=lambda pair: (-round(bits[pair], 9), times_asked[pair], pair))

        selected.append(SuggestedPair(items[best[0]], items[best[1]], bits[best]))
        remaining.remove(best)
        covariance = _update_covariance(covariance, strengths.mean, best)
    return tuple(selected)


def expected_information(mean: float, variance: float) -> float:
    """Return the expected information gain, in bits, of the answer to "a or b?" about their strengths.

    Args:
        mean: of the difference in strength.
        variance: of the difference in strength.
    """
    probabilities = _sigmoid(mean + math.sqrt(max(0.0, variance)) * _NODES)
    weights = _WEIGHTS / _WEIGHTS.sum()
    answer_entropy = _binary_entropy(weights @ probabilities)
    expected_entropy = weights @ _binary_entropy(probabilities)
    return float(max(0.0, answer_entropy - expected_entropy))


def _update_covariance(covariance: Array, mean: Array, pair: tuple[int, int]) -> Array:
    """Return the covariance after a pair was compared, which does not depend on the answer (Sherman–Morrison)."""
    contrast = np.zeros(len(mean))
    contrast[pair[0]], contrast[pair[1]] = 1.0, -1.0
    probability = _sigmoid(contrast @ mean)
    fisher = probability * (1.0 - probability)
    spread = covariance @ contrast
    return np.asarray(covariance - np.outer(spread, spread) * fisher / (1.0 + fisher * (contrast @ spread)))


def _sigmoid(x: Array) -> Array:
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * x)))


def _binary_entropy(probability: Array) -> Array:
    safe = np.clip(probability, 1e-12, 1.0 - 1e-12)
    return np.asarray(-safe * np.log2(safe) - (1.0 - safe) * np.log2(1.0 - safe))
