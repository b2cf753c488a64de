"""Statistics over runs and tasks, with intervals that reflect how few runs there are.

After Agarwal, Schwarzer, Castro, Courville and Bellemare, "Deep Reinforcement Learning at the Edge of the Statistical
Precipice" (NeurIPS 2021, arXiv:2108.13264). Scores are one array for each task, of shape (runs,): normalised, so that
tasks may be pooled. Tasks may have different numbers of runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Scores = Mapping[str, Sequence[float]]
"""Each task's scores, one per run."""
Statistic = Callable[[Sequence[Array]], Array]
"""Function from each task's resampled scores (resamples, runs) to one figure per resample (resamples,)."""

RESAMPLES = 2_000
BATCH = 2_000_000
"""Numbers drawn at once."""


@dataclass(frozen=True)
class Estimate:
    """An estimate with its 95 % interval."""

    value: float
    low: float | None
    """None with one run for each task, as every resample would be the same."""
    high: float | None


def interquartile_mean(scores: Scores) -> Estimate:
    """Return the mean of the middle half of all runs, all tasks pooled.

    As robust against outliers as the median, and it takes fewer runs to be sure of. Of n runs the int(n / 4) lowest and
    the int(n / 4) highest are left out.

    Args:
        scores: of at least one task with at least one run.
    """
    return bootstrap_interval(_middle_means, _as_arrays(scores))


def mean_over_tasks(scores: Scores) -> Estimate:
    """Return the mean over tasks of each task's mean."""
    return bootstrap_interval(_task_means, _as_arrays(scores))


def probability_of_improvement(first: Scores, second: Scores) -> Estimate | None:
    """Return the probability that a run of the first does better than one of the second, on a task drawn at random.

    For each task the share of pairs of runs in which the first is better, a tie counting half (the Mann-Whitney
    U statistic over the number of pairs); the mean over the tasks that both have.

    Returns:
        The estimate in [0, 1]; None where they share no task.
    """
    shared = [task for task in first if task in second and len(first[task]) and len(second[task])]
    if not shared:
        return None
    generator = np.random.default_rng(0)
    values, figures = [], np.zeros(RESAMPLES)
    for task in shared:
        won = _compare_pairs(np.asarray(first[task], dtype=float), np.asarray(second[task], dtype=float))
        m, n = won.shape
        values.append(won.mean())
        # A resample is given by how often each run is drawn, so each pair of runs is compared only once.
        first_counts = generator.multinomial(m, np.full(m, 1 / m), size=RESAMPLES)
        second_counts = generator.multinomial(n, np.full(n, 1 / n), size=RESAMPLES)
        figures += ((first_counts @ won) * second_counts).sum(axis=1) / (m * n)
    if all(len(first[task]) < 2 and len(second[task]) < 2 for task in shared):
        return Estimate(float(np.mean(values)), None, None)
    return _build_estimate(float(np.mean(values)), figures / len(shared))


def performance_profile(scores: Scores, thresholds: Sequence[float]) -> tuple[float, ...]:
    """Return for each threshold the share of runs above it: the mean over tasks of each task's share."""
    levels = np.asarray(thresholds, dtype=float)
    shares = [(array[:, None] > levels).mean(axis=0) for array in _as_arrays(scores)]
    return tuple(float(share) for share in np.mean(shares, axis=0))


def bootstrap_interval(statistic: Statistic, scores: Sequence[Array]) -> Estimate:
    """Return a statistic with its 95 % percentile interval, from a stratified bootstrap.

    Each resample draws every task's runs again, with replacement; every task is in it once.

    Args:
        statistic: what to estimate.
        scores: each stratum's, of shape (runs,).

    Returns:
        Without an interval where no stratum has two runs: every resample would be the same.
    """
    value = float(statistic([array[None] for array in scores])[0])
    if all(len(array) < 2 for array in scores):
        return Estimate(value, None, None)
    generator = np.random.default_rng(0)
    batch = max(1, BATCH // max(1, sum(len(array) for array in scores)))
    figures = []
    for begin in range(0, RESAMPLES, batch):
        count = min(batch, RESAMPLES - begin)
        drawn = [array[generator.integers(len(array), size=(count, len(array)))] for array in scores]
        figures.append(statistic(drawn))
    return _build_estimate(value, np.concatenate(figures))


def _build_estimate(value: float, figures: Array) -> Estimate:
    low, high = np.quantile(figures, (0.025, 0.975))
    return Estimate(value, float(low), float(high))


def _as_arrays(scores: Scores) -> list[Array]:
    arrays = [np.asarray(runs, dtype=float) for runs in scores.values() if len(runs)]
    if not arrays:
        raise ValueError("there is no run to estimate from")
    return arrays


def _middle_means(drawn: Sequence[Array]) -> Array:
    pooled = np.sort(np.concatenate(drawn, axis=1), axis=1)
    cut = pooled.shape[1] // 4
    return np.asarray(pooled[:, cut : pooled.shape[1] - cut].mean(axis=1))


def _task_means(drawn: Sequence[Array]) -> Array:
    return np.asarray(np.mean([array.mean(axis=1) for array in drawn], axis=0))


def _compare_pairs(first: Array, second: Array) -> Array:
    """Return for each pair of runs 1 where the first is better, 0.5 for a tie, else 0; shape (m, n)."""
    return np.asarray((first[:, None] > second) + 0.5 * (first[:, None] == second))
