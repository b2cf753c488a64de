"""Alarms: signs in the curves that a reward pays for something other than the task, one line each."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from rewardsmith.contract.records import Candidate, Probe, TermStats
from rewardsmith.contract.term_limits import describe_missed_limit, parse_limit
from rewardsmith.llm.prompts import format_value, to_one_line
from rewardsmith.sandbox.recorded import EpisodeFile
from rewardsmith.search.steps.analyzer.term_curves import TermCurve, TrainingCurves

DROWNING_SHARE = 0.95
"""Part of the total's size above which one term drowns the others."""
RISES = 0.4
"""Trend above which a curve counts as rising: 0.4 of its own range between its first and last third."""
FLAT = 0.1
"""Trend, up or down, that is taken for noise."""
FLAT_RANGE = 0.05
"""A curve whose range is below this part of its size does not move."""
CONSTANT_RANGE = 0.01
MINOR_SHARE, MAJOR_SHARE = 0.5, 0.8
"""A term that grows from below the one to above the other part of the total's size has taken over."""
PINNED_SHARE = 0.2
"""Part of the total's size below which a term at its bound raises no alarm."""
PINNED_RANGE = 0.03
"""Part of the range under random actions within which a term is at its bound."""
LEAST_POINTS = 4
"""Smallest number of points of a trend."""
STUCK = 1e-6
"""Size of fitness below which it counts as 0."""
IDLE_ACTION = 0.05
"""Root mean square of actions, in units of half their range, below which a policy does next to nothing."""


def find_alarms(
    curves: TrainingCurves, weights: Mapping[str, float], trial_terms: Mapping[str, TermStats] | None = None
) -> tuple[str, ...]:
    """Return the alarms, for the user and for the designer.

    Args:
        curves: of the program's trainings.
        weights: term to weight.
        trial_terms: what its terms gave under random actions: the bounds that a term is seen to have.
    """
    alarms = [
        _find_diverging_return(curves),
        _find_falling_return(curves),
        *_find_drowning_terms(curves, weights),
        *_find_takeovers(curves, weights),
    ]
    alarms += _find_constant_terms(curves, weights)
    alarms += _find_terms_at_bound(curves, weights, trial_terms or {})
    alarms += _find_exceeded_limits(curves)
    return tuple(alarm for alarm in alarms if alarm)


def term_shares(curves: TrainingCurves, weights: Mapping[str, float]) -> dict[str, float]:
    """Return each term's part of the total's size at the end of training, in [0, 1].

    The size of a term is |weight * its mean per step|; what cancels within the mean is not seen.
    """
    return _relative_sizes({curve.name: curve.late for curve in curves.terms}, weights)


def _relative_sizes(means: Mapping[str, float | None], weights: Mapping[str, float]) -> dict[str, float]:
    sizes = {name: abs(weights.get(name, 1.0) * (mean or 0.0)) for name, mean in means.items()}
    sizes = {name: size if math.isfinite(size) else 0.0 for name, size in sizes.items()}
    whole = sum(sizes.values())
    return {name: size / whole if whole else 0.0 for name, size in sizes.items()}


def relative_trend(curve: TermCurve) -> float:
    """Return the change from the first to the last third of a curve in units of its range, in [-1, 1].

    0 where the curve has too few points or hardly moves.

    >>> relative_trend(TermCurve("v", (0.0, 1.0, 2.0, 3.0, 4.0, 5.0)))
    0.8
    """
    values = curve.known
    if len(values) < LEAST_POINTS:
        return 0.0
    low, high = min(values), max(values)
    if not high - low > FLAT_RANGE * max(abs(low), abs(high)):
        return 0.0
    third = len(values) // 3
    return (sum(values[-third:]) - sum(values[:third])) / third / (high - low)


def _find_diverging_return(curves: TrainingCurves) -> str | None:
    """Return an alarm where the program's own return rises and fitness does not."""
    rising, fitness = relative_trend(curves.reward), relative_trend(curves.fitness)
    if rising < RISES or fitness > FLAT or len(curves.fitness.known) < LEAST_POINTS:
        return None
    # A policy that never left a fitness of 0 has not found the task; it does not cheat.
    if max(map(abs, curves.fitness.known)) <= STUCK:
        return None
    course = "falls" if fitness < -FLAT else "stays flat"
    return (
        f"the program's own return rises while fitness {course}: the policy earns reward by something other than the "
        "task"
    )


def _find_falling_return(curves: TrainingCurves) -> str | None:
    """Return an alarm where the program's own return falls over training: it is not learnt from.

    Where terms are held at limits the goal may have to give way to them, and where weights are learned the return under
    the program's own is not what the policy is trained on.
    """
    if curves.multipliers or curves.has_learned_weights:
        return None
    if relative_trend(curves.reward) > -RISES or relative_trend(curves.fitness) > FLAT:
        return None
    return "the program's own return falls over training: the policy does not learn what the program pays for"


def find_action_alarms(candidate: Candidate, folders: Sequence[Path], probe: Probe | None) -> tuple[str, ...]:
    """Return an alarm where the policy hardly acts, by its recorded episodes.

    Args:
        candidate: trained and evaluated.
        folders: of its evaluations; one without a recording is passed over.
        probe: says the bounds of the actions; None where they are not known.
    """
    if probe is None or probe.discrete_actions is not None or not probe.action_low:
        return ()
    half_range = [0.5 * (high - low) for low, high in zip(probe.action_low, probe.action_high, strict=True)]
    if not all(math.isfinite(half) and half > 0.0 for half in half_range):
        return ()
    sizes = []
    for evaluation, folder in zip(candidate.evaluations, folders, strict=False):
        file = EpisodeFile.in_folder(folder)
        if file.exists() and evaluation.episodes:
            for episode in file.read_columns(range(len(evaluation.episodes)), ()):
                if episode.actions is not None:
                    sizes.append(float(((episode.actions / half_range) ** 2).mean()))
    if not sizes or math.sqrt(sum(sizes) / len(sizes)) >= IDLE_ACTION:
        return ()
    return (
        f"the actions are near zero (root mean square {format_value(math.sqrt(sum(sizes) / len(sizes)))} of half their "
        "range): the policy hardly moves",
    )


def _find_drowning_terms(curves: TrainingCurves, weights: Mapping[str, float]) -> list[str]:
    """Return an alarm for a term that drowns the others while fitness does not rise; a reached goal may well lead."""
    parts = term_shares(curves, weights)
    if len(parts) < 2 or not _fitness_stalls(curves):
        return []
    return [
        f"the term {to_one_line(name, 40)!r} makes {100.0 * part:.0f} % of the total: the other terms hardly count"
        for name, part in parts.items()
        if part > DROWNING_SHARE
    ]


def _find_constant_terms(curves: TrainingCurves, weights: Mapping[str, float]) -> list[str]:
    """Return an alarm for each term that is the same whatever the policy has learnt.

    A small bonus for every step survived is what many good programs have: a constant counts where it leads the total
    while fitness does not rise, or where it is nearly all of the total.
    """
    parts, stalls = term_shares(curves, weights), _fitness_stalls(curves)
    alarms = []
    for curve in curves.terms:
        name = to_one_line(curve.name, 40)
        if not _is_constant(curve):
            continue
        if curve.mean == 0.0:
            alarms.append(f"the term {name!r} is zero throughout the training: it says nothing")
        elif parts[curve.name] > (MINOR_SHARE if stalls else MAJOR_SHARE):
            alarms.append(
                f"the term {name!r} stays at {format_value(curve.mean)} per step throughout the training: it rewards "
                "the length of the episode and nothing else"
            )
    return alarms


def _is_constant(curve: TermCurve) -> bool:
    """Return whether a term has hardly moved in the whole training."""
    if len(curve.known) < LEAST_POINTS or curve.max is None or curve.min is None:
        return False
    return curve.max - curve.min <= CONSTANT_RANGE * max(abs(curve.max), abs(curve.min))


def _find_takeovers(curves: TrainingCurves, weights: Mapping[str, float]) -> list[str]:
    """Return an alarm for a term that has come to make the total while fitness does not rise."""
    if not _fitness_stalls(curves):
        return []
    early = _relative_sizes({curve.name: curve.early for curve in curves.terms}, weights)
    return [
        f"the term {to_one_line(name, 40)!r} has grown from {100 * early[name]:.0f} to {100 * part:.0f} % of the total "
        "while fitness does not rise: the policy collects it instead of doing the task"
        for name, part in term_shares(curves, weights).items()
        if early[name] < MINOR_SHARE and DROWNING_SHARE >= part > MAJOR_SHARE
    ]


def _find_terms_at_bound(
    curves: TrainingCurves, weights: Mapping[str, float], trial_terms: Mapping[str, TermStats]
) -> list[str]:
    """Return an alarm for a term at the most that random actions reach, from early on, while fitness does not rise.

    That is what posture terms do: a policy that only stands still, or keeps its starting pose, has all of them.
    """
    if not trial_terms or not _fitness_stalls(curves):
        return []
    seen = {name: (term.min, term.max) for name, term in trial_terms.items() if weights.get(name, 1.0) > 0.0}
    parts = term_shares(curves, weights)
    return [
        f"the term {to_one_line(curve.name, 40)!r} has been at its bound for most of the training while fitness does "
        "not rise: it is had by holding still, and nothing more can be learnt from it"
        for curve in curves.terms
        if curve.name in seen and parts[curve.name] > PINNED_SHARE and _sits_at(curve, *seen[curve.name])
    ]


def _sits_at(curve: TermCurve, low: float, high: float) -> bool:
    """Return whether a curve has changed, and its last two thirds are at the greatest value seen at random."""
    late = curve.known[len(curve.known) // 3 :]
    near = all(abs(high - value) <= PINNED_RANGE * (high - low) for value in late)
    return len(curve.known) >= LEAST_POINTS and high > low and near and not _is_constant(curve)


def _find_exceeded_limits(curves: TrainingCurves) -> list[str]:
    """Return an alarm for each limit of `training.constraints` that was not kept at the end of training."""
    terms = {curve.name: curve for curve in curves.terms}
    alarms: list[str | None] = []
    for multiplier in curves.multipliers:
        limit = parse_limit(multiplier.name)
        curve = terms.get(limit.term)
        if curve is None or not curve.known or not multiplier.known:
            continue
        alarms.append(describe_missed_limit(limit, curve.known, multiplier.known[-1]))
    return [alarm for alarm in alarms if alarm]


def _fitness_stalls(curves: TrainingCurves) -> bool:
    """Return whether fitness is known and does not rise."""
    return len(curves.fitness.known) >= LEAST_POINTS and relative_trend(curves.fitness) <= FLAT
