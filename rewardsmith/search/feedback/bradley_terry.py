"""What comparisons say about strength: Bradley–Terry with a weak prior, and which pair to ask about next.

The chance that i is preferred to j is sigma(theta_i - theta_j) (Bradley & Terry, 1952); a tie counts as half a win for
each. The estimate is the mode under theta ~ N(0, prior²), its spread Laplace's: the inverse curvature there. The next
pair is the one whose answer tells most about the strengths (BALD: Houlsby et al., 2011, arXiv:1112.5745).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
PRIOR = 1.5
"""Standard deviation of a strength before anything is known: the better of two programs wins four times of five."""
ELO_MEAN, ELO_UNIT = 1500.0, 400.0 / math.log(10.0)
Z_975 = 1.959964
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(15)


@dataclass(frozen=True)
class Match:
    """An answer about two items."""

    a: str
    b: str
    score: float
    """1: a is preferred; 0: b is; 0.5: they are equal."""


@dataclass(frozen=True)
class Strengths:
    """How strong each item is, with what is not known about it."""

    items: tuple[str, ...]
    mean: Array
    """(n,): log-odds to be preferred to the average item."""
    covariance: Array
    """(n, n): of the strengths themselves; differences of two are what comparisons tell."""

    def interval(self, item: str) -> tuple[float, float]:
        """Return the 95 % interval of an item's strength against the average one."""
        n, place = len(self.items), self.items.index(item)
        against = np.eye(n)[place] - 1.0 / n
        half = Z_975 * math.sqrt(max(0.0, float(against @ self.covariance @ against)))
        return float(self.mean[place]) - half, float(self.mean[place]) + half

    def chance(self, a: str, b: str) -> float:
        """Return how probable it is that `a` is stronger than `b`, in [0, 1]."""
        mean, variance = self._difference(self.items.index(a), self.items.index(b))
        if variance <= 0.0:
            return 0.5
        return 0.5 * (1.0 + math.erf(mean / math.sqrt(2.0 * variance)))

    def _difference(self, i: int, j: int) -> tuple[float, float]:
        c = self.covariance
        return float(self.mean[i] - self.mean[j]), float(c[i, i] + c[j, j] - 2.0 * c[i, j])


@dataclass(frozen=True)
class Pair:
    """Two items to compare."""

    a: str
    b: str
    bits: float
    """How much the answer is expected to tell about the strengths."""


def fit(items: Sequence[str], matches: Sequence[Match], prior: float = PRIOR) -> Strengths:
    """Return the strengths by Newton's method; the problem is concave, so that every start leads to the same place.

    Args:
        items: all of them, compared or not.
        matches: about these items; others are left out.
        prior: standard deviation of a strength before anything is known.
    """
    place = {item: index for index, item in enumerate(items)}
    known = [match for match in matches if match.a in place and match.b in place and match.a != match.b]
    n = len(place)
    sides = np.zeros((len(known), n))
    for row, match in enumerate(known):
        sides[row, place[match.a]], sides[row, place[match.b]] = 1.0, -1.0
    scores = np.array([match.score for match in known])
    theta: Array = np.zeros(n)
    curvature: Array = np.eye(n) / prior**2
    for _ in range(100):
        chances = _sigma(sides @ theta)
        gradient = sides.T @ (scores - chances) - theta / prior**2
        curvature = sides.T @ (sides * (chances * (1.0 - chances))[:, None]) + np.eye(n) / prior**2
        step = np.linalg.solve(curvature, gradient)
        theta = theta + step * min(1.0, 3.0 / max(1e-12, float(np.max(np.abs(step), initial=0.0))))
        if np.max(np.abs(step), initial=0.0) < 1e-10:
            break
    mean = theta - theta.mean() if n else theta
    return Strengths(tuple(place), mean, np.asarray(np.linalg.inv(curvature)) if n else curvature)


def elo(strength: float) -> float:
    """Return a strength on the scale of chess: 1500 for the average, 400 more for ten wins to one loss.

    >>> elo(0.0), round(elo(math.log(10)))
    (1500.0, 1900)
    """
    return ELO_MEAN + ELO_UNIT * strength


def next_pairs(strengths: Strengths, count: int, asked: Mapping[frozenset[str], int] | None = None) -> tuple[Pair, ...]:
    """Return the pairs whose answers tell most, each chosen as if those before it had been answered.

    Args:
        strengths: what is known.
        count: how many at most.
        asked: how often a pair was asked about; of two that tell the same, the seldom asked one comes first.
    """
    covariance, chosen = strengths.covariance.copy(), list[Pair]()
    n, asked = len(strengths.items), asked or {}
    options = [(i, j) for i in range(n) for j in range(i + 1, n)]
    while options and len(chosen) < count:
        now = Strengths(strengths.items, strengths.mean, covariance)
        told = {pair: information(*now._difference(*pair)) for pair in options}
        names = {pair: frozenset((now.items[pair[0]], now.items[pair[1]])) for pair in options}
        best = min(options, key=lambda pair: (-round(told[pair], 9), asked.get(names[pair], 0), pair))
        chosen.append(Pair(now.items[best[0]], now.items[best[1]], told[best]))
        options.remove(best)
        covariance = _after(covariance, strengths.mean, best)
    return tuple(chosen)


def information(mean: float, variance: float) -> float:
    """Return how many bits the answer to "a or b?" is expected to tell about their strengths.

    Args:
        mean: of the difference in strength.
        variance: of it.
    """
    chances = _sigma(mean + math.sqrt(max(0.0, variance)) * _NODES)
    weights = _WEIGHTS / _WEIGHTS.sum()
    return float(max(0.0, _entropy(weights @ chances) - weights @ _entropy(chances)))


def _after(covariance: Array, mean: Array, pair: tuple[int, int]) -> Array:
    """Return the covariance once a pair is answered, whatever the answer."""
    side = np.zeros(len(mean))
    side[pair[0]], side[pair[1]] = 1.0, -1.0
    chance = _sigma(side @ mean)
    fisher = chance * (1.0 - chance)
    spread = covariance @ side
    return np.asarray(covariance - np.outer(spread, spread) * fisher / (1.0 + fisher * (side @ spread)))


def _sigma(x: Array) -> Array:
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * x)))


def _entropy(chance: Array) -> Array:
    safe = np.clip(chance, 1e-12, 1.0 - 1e-12)
    return np.asarray(-safe * np.log2(safe) - (1.0 - safe) * np.log2(1.0 - safe))
