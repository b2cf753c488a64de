"""Estimates of what a program is worth when it is retrained, from the few trainings that a search has of each.

The fitness of a training is modelled as ``fitness[i, s] = mean + quality[i] + noise[i, s]`` with normal quality
(variance ``between``) and normal noise (variance ``within``). Both variances are estimated from the run's own
trainings by the method of moments, with a prior where there are too few of them, and each program's mean is pulled
towards the mean of all programs accordingly (empirical Bayes; Morris, 1983).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist, fmean

from rewardsmith.contract.records import Candidate, Finalist

PRIOR_SHARE = 0.35
"""Share of the variance of single trainings that lies between programs, before any program was trained twice. It is
near the greatest shares that were measured from repeated trainings: 0.09 and 0.19 on Hopper, 0.26 on HalfCheetah, 0.33
on the back flip; over the twelve tasks of the evidence the mean is about 0.2 (benchmarks/RESULTS.md, whose tables of
selection use 0.35). A few repeated trainings outweigh it."""
PRIOR_TRAININGS = 3.0
"""Number of repeated trainings that the prior share counts as."""
LEAST_SHARE = 0.05
"""Least share of the variance that is taken to lie between programs: a search is not sure that all are equal."""
TIE_PROBABILITY = 0.9
"""Two programs whose order is less probable than this are shown as tied."""
LEAST_GAIN = 0.002
"""Expected gain, in standard deviations between programs, below which a training is not worth its steps."""

_NORMAL = NormalDist()


@dataclass(frozen=True)
class Variances:
    """Variances of the fitness of single trainings within one search."""

    mean: float
    """Mean fitness of all programs."""
    between: float
    """Variance of the programs' quality."""
    within: float
    """Variance between trainings of one program: the noise of a training seed."""


@dataclass(frozen=True)
class WorthEstimate:
    """Estimate of what a program reaches when it is retrained."""

    mean: float
    """The program's own mean, pulled towards the mean of all programs."""
    deviation: float
    """Standard deviation of the estimate."""
    trainings: int
    """Number of trainings of the program behind the estimate."""


# ---------------------------------------------------------------- estimates


def estimate_candidates(
    candidates: Iterable[Candidate], finalists: Iterable[Finalist] = ()
) -> dict[str, WorthEstimate]:
    """Return what each candidate of a search is expected to reach when it is retrained.

    Use it wherever a fitness is shown to people: the figure is derived from the trainings and stored nowhere.

    Args:
        candidates: of the search; those without a fitness have no estimate.
        finalists: their fresh trainings after the last generation.

    Returns:
        Candidate id to its estimate, in the order of the candidates.
    """
    return shrink_fitness(collect_fitness(candidates, finalists))


def collect_fitness(
    candidates: Iterable[Candidate], finalists: Iterable[Finalist] = ()
) -> dict[str, tuple[float, ...]]:
    """Return the fitness of every training of each candidate that has a fitness.

    A candidate without the records of its evaluations (of an early version) counts as one training. Where trainings
    began with a parent's policy, those from nothing count alone, as far as the candidate has any: it is retrained so.
    """
    fresh = {finalist.candidate: finalist.fitness for finalist in finalists}
    fitness = {}
    for candidate in candidates:
        if candidate.status != "ok" or candidate.fitness is None or not math.isfinite(candidate.fitness):
            continue
        own = candidate.seed_fitness or (candidate.fitness,)
        retrained = fresh.get(candidate.id, ())
        fitness[candidate.id] = retrained if retrained and is_warm_started(candidate) else (*own, *retrained)
    return fitness


def is_warm_started(candidate: Candidate) -> bool:
    """Return whether a candidate's trainings in the search began with a parent's policy (`search.warm_start`)."""
    return any(training.inherited_from is not None for training in candidate.trainings)


def estimate_variances(fitness: Mapping[str, Sequence[float]]) -> Variances | None:
    """Estimate how much of the spread of fitness is quality and how much is noise.

    Args:
        fitness: program to the fitness of each of its trainings; programs without one are left out.

    Returns:
        None where no program has a fitness.
    """
    groups = [list(values) for values in fitness.values() if values]
    if not groups:
        return None
    means = [fmean(values) for values in groups]
    grand_mean = fmean(means)

    # Total variance of single trainings: each program counts once, by the mean of its squared deviations.
    squares = [fmean([(value - grand_mean) ** 2 for value in values]) for values in groups]
    total = sum(squares) / max(1, len(groups) - 1)

    # Noise: pooled over programs with several trainings, and the prior counts as some more of them.
    repeats = sum(len(values) - 1 for values in groups)
    deviations = sum((value - mean) ** 2 for values, mean in zip(groups, means, strict=True) for value in values)
    prior_noise = (1.0 - PRIOR_SHARE) * total
    within = (PRIOR_TRAININGS * prior_noise + deviations) / (PRIOR_TRAININGS + repeats)
    return Variances(grand_mean, max(total - within, LEAST_SHARE * total), within)


def shrink_fitness(fitness: Mapping[str, Sequence[float]]) -> dict[str, WorthEstimate]:
    """Return each program's estimate; programs without a training have none.

    >>> estimates = shrink_fitness({"a": [4.0], "b": [10.0], "c": [4.0]})
    >>> estimates["a"].mean < estimates["b"].mean < 10.0
    True

    Args:
        fitness: program to the fitness of each of its trainings.
    """
    variances = estimate_variances(fitness)
    if variances is None:
        return {}
    return {name: _shrink_program(values, variances) for name, values in fitness.items() if values}


def find_ties(best: str, estimates: Mapping[str, WorthEstimate]) -> tuple[str, ...]:
    """Return the programs that the measurements do not separate from the best one, best first.

    >>> worth = {"a": WorthEstimate(5.0, 1.0, 2), "b": WorthEstimate(4.5, 1.0, 1), "c": WorthEstimate(0.0, 1.0, 1)}
    >>> find_ties("a", worth)
    ('b',)

    Args:
        best: the program to compare with.
        estimates: program to its estimate; without one of the best program nothing is tied with it.
    """
    if best not in estimates:
        return ()
    first = estimates[best]
    rivals = sorted((name for name in estimates if name != best), key=lambda name: -estimates[name].mean)
    return tuple(name for name in rivals if _probability_ahead(first, estimates[name]) < TIE_PROBABILITY)


def measure_tie_width(variances: Variances, seeds: int) -> float:
    """Return the difference in fitness below which `find_ties` counts two programs as tied.

    >>> round(measure_tie_width(Variances(0.0, 1.0, 1.0), 1), 2)
    2.56

    Args:
        variances: of the search.
        seeds: trainings of each of the two programs.
    """
    noise = variances.within / seeds
    if noise == 0.0:
        return 0.0
    weight = variances.between / (variances.between + noise)
    return _NORMAL.inv_cdf(TIE_PROBABILITY) * math.sqrt(2.0 * noise / weight)


# ---------------------------------------------------------------- allocation


def allocate_trainings(fitness: Mapping[str, Sequence[float]], count: int) -> tuple[str, ...]:
    """Choose the programs that get the next trainings, which run at once.

    Each training goes to the program with the greatest knowledge gradient. For the others of the same batch it counts
    as done with the expected outcome: the estimate stays and gets surer.

    >>> allocate_trainings({"a": [9.0], "b": [8.5], "c": [0.0], "d": [0.5]}, 2)
    ('a', 'b')

    Args:
        fitness: program to the fitness of each of its trainings; of equal gains the first program's counts.
        count: how many trainings, at most.

    Returns:
        A program for each training; fewer where no further training is expected to change the choice for the better.
    """
    variances = estimate_variances(fitness)
    if variances is None:
        return ()
    estimates, chosen = shrink_fitness(fitness), list[str]()
    least_gain = LEAST_GAIN * math.sqrt(variances.between)
    while len(chosen) < count:
        gains = knowledge_gradient(estimates, variances.within)
        program = max(gains, key=lambda name: gains[name])
        if gains[program] <= least_gain:
            break
        chosen.append(program)
        estimate = estimates[program]
        precision = 1.0 / estimate.deviation**2 + (1.0 / variances.within if variances.within > 0.0 else math.inf)
        estimates[program] = replace(estimate, deviation=math.sqrt(1.0 / precision))
    return tuple(chosen)


def knowledge_gradient(estimates: Mapping[str, WorthEstimate], within: float) -> dict[str, float]:
    """Return what one more training of each program is expected to add to the quality of the named program.

    The named program is the one with the highest estimate. A training changes the choice where it lifts another program
    above it, or lowers it below another (Frazier, Powell and Dayanik, 2008, for independent normal beliefs).

    Args:
        estimates: program to its estimate; at least one.
        within: variance of a training's noise.

    Returns:
        Program to the expected gain, in units of fitness; all 0 where there is only one.
    """
    if len(estimates) < 2:
        return dict.fromkeys(estimates, 0.0)
    first, second = sorted((estimate.mean for estimate in estimates.values()), reverse=True)[:2]
    gains = {}
    for name, estimate in estimates.items():
        best_rival = second if estimate.mean == first else first
        variance = estimate.deviation**2
        change = variance / math.sqrt(variance + within) if variance > 0.0 else 0.0
        gains[name] = _expected_excess(estimate.mean - best_rival, change) if change > 0.0 else 0.0
    return gains


def _expected_excess(difference: float, change: float) -> float:
    """Return how much the better of two is expected to gain when their difference changes by a normal amount.

    >>> round(_expected_excess(0.0, 1.0), 3)
    0.399

    Args:
        difference: between the two now; its sign does not matter.
        change: standard deviation of the change; above 0.
    """
    distance = -abs(difference) / change
    return change * (distance * _NORMAL.cdf(distance) + _NORMAL.pdf(distance))


# ---------------------------------------------------------------- parts


def _shrink_program(values: Sequence[float], variances: Variances) -> WorthEstimate:
    count = len(values)
    noise = variances.within / count
    spread = variances.between + noise
    weight = variances.between / spread if spread > 0.0 else 1.0
    mean = variances.mean + weight * (fmean(values) - variances.mean)
    return WorthEstimate(mean, math.sqrt(weight * noise), count)


def _probability_ahead(first: WorthEstimate, other: WorthEstimate) -> float:
    """Return the probability that the first program is better than the other."""
    difference, deviation = first.mean - other.mean, math.hypot(first.deviation, other.deviation)
    if deviation == 0.0:
        return 1.0 if difference > 0.0 else 0.5 if difference == 0.0 else 0.0
    return _NORMAL.cdf(difference / deviation)
