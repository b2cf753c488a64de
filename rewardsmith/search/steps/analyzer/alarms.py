"""Alarms: signs in the curves that a reward pays for something other than the task, one line each."""

from __future__ import annotations

import math
from collections.abc import Mapping

from rewardsmith.contract.records import DryRun
from rewardsmith.llm.prompts import figure, one_line
from rewardsmith.search.steps.analyzer.term_curves import Course, Curves

DROWNING_SHARE = 0.95
"""Part of the total's size above which one term leaves the others no say."""
RISES = 0.4
"""Trend above which a course counts as rising: 0.4 of its own range between its first and last third."""
FLAT = 0.1
"""Trend, up or down, that is taken for noise."""
FLAT_RANGE = 0.05
"""A course whose range is below this part of its size does not move."""
CONSTANT_RANGE = 0.01
MINOR_SHARE, MAJOR_SHARE = 0.5, 0.8
"""A term that grows from below the one to above the other part of the total's size has taken over."""
PINNED_SHARE = 0.2
"""Part of the total's size below which a term at its bound is no matter."""
PINNED_RANGE = 0.03
"""Part of the range under random actions within which a term is at its bound."""
LEAST_POINTS = 4
"""Fewer points show no trend."""


def find_alarms(curves: Curves, weights: Mapping[str, float], dry_run: DryRun | None = None) -> tuple[str, ...]:
    """Return the alarms, for the user and for the designer.

    Args:
        curves: of the program's trainings.
        weights: term to weight.
        dry_run: what its terms gave under random actions: the bounds that a term is seen to have.
    """
    alarms = [_diverging(curves), *_drowning(curves, weights), *_taking_over(curves, weights)]
    alarms += _constants(curves, weights)
    alarms += _pinned(curves, weights, dry_run)
    return tuple(alarm for alarm in alarms if alarm)


def shares(curves: Curves, weights: Mapping[str, float]) -> dict[str, float]:
    """Return each term's part of the total's size at the end of training, in [0, 1].

    The size of a term is |weight * its mean per step|; what cancels within the mean is not seen.
    """
    return _parts({course.name: course.late for course in curves.terms}, weights)


def _parts(means: Mapping[str, float | None], weights: Mapping[str, float]) -> dict[str, float]:
    sizes = {name: abs(weights.get(name, 1.0) * (mean or 0.0)) for name, mean in means.items()}
    sizes = {name: size if math.isfinite(size) else 0.0 for name, size in sizes.items()}
    whole = sum(sizes.values())
    return {name: size / whole if whole else 0.0 for name, size in sizes.items()}


def trend(course: Course) -> float:
    """Return the change from the first to the last third of a course in units of its range, in [-1, 1].

    0 where the course has too few points or hardly moves.

    >>> trend(Course("v", (0.0, 1.0, 2.0, 3.0, 4.0, 5.0)))
    0.8
    """
    known = course.known
    if len(known) < LEAST_POINTS:
        return 0.0
    low, high = min(known), max(known)
    if not high - low > FLAT_RANGE * max(abs(low), abs(high)):
        return 0.0
    third = len(known) // 3
    return (sum(known[-third:]) - sum(known[:third])) / third / (high - low)


def _diverging(curves: Curves) -> str | None:
    """Say when the program is satisfied ever better and the task is not."""
    rising, fitness = trend(curves.reward), trend(curves.fitness)
    if rising < RISES or fitness > FLAT or len(curves.fitness.known) < LEAST_POINTS:
        return None
    course = "falls" if fitness < -FLAT else "stays flat"
    return (
        f"the program's own return rises while fitness {course}: the policy earns reward by something other than the "
        "task"
    )


def _drowning(curves: Curves, weights: Mapping[str, float]) -> list[str]:
    """Say which term leaves the others no say although fitness does not rise; a goal that is reached may well lead."""
    parts = shares(curves, weights)
    if len(parts) < 2 or not _stalls(curves):
        return []
    return [
        f"the term {one_line(name, 40)!r} makes {100.0 * part:.0f} % of the total: the other terms hardly count"
        for name, part in parts.items()
        if part > DROWNING_SHARE
    ]


def _constants(curves: Curves, weights: Mapping[str, float]) -> list[str]:
    """Say which terms are the same whatever the policy has learnt.

    A small bonus for every step survived is what many good programs have: a constant counts where it leads the total
    while fitness does not rise.
    """
    parts, stalls = shares(curves, weights), _stalls(curves)
    alarms = []
    for course in curves.terms:
        name = one_line(course.name, 40)
        if not _is_constant(course):
            continue
        if course.mean == 0.0:
            alarms.append(f"the term {name!r} is zero throughout the training: it says nothing")
        elif stalls and parts[course.name] > MINOR_SHARE:
            alarms.append(
                f"the term {name!r} stays at {figure(course.mean)} per step throughout the training: it rewards the "
                "length of the episode and nothing else"
            )
    return alarms


def _is_constant(course: Course) -> bool:
    """Return whether a term has hardly moved in the whole training."""
    if len(course.known) < LEAST_POINTS or course.max is None or course.min is None:
        return False
    return course.max - course.min <= CONSTANT_RANGE * max(abs(course.max), abs(course.min))


def _taking_over(curves: Curves, weights: Mapping[str, float]) -> list[str]:
    """Say which term has come to make the total although fitness does not rise."""
    if not _stalls(curves):
        return []
    early = _parts({course.name: course.early for course in curves.terms}, weights)
    return [
        f"the term {one_line(name, 40)!r} has grown from {100 * early[name]:.0f} to {100 * part:.0f} % of the total "
        "while fitness does not rise: the policy collects it instead of doing the task"
        for name, part in shares(curves, weights).items()
        if early[name] < MINOR_SHARE and DROWNING_SHARE >= part > MAJOR_SHARE
    ]


def _pinned(curves: Curves, weights: Mapping[str, float], dry_run: DryRun | None) -> list[str]:
    """Say which term is at the most that random actions reach, from early on, while fitness does not rise.

    That is what posture terms do: a policy that only stands still, or keeps its starting pose, has all of them.
    """
    if dry_run is None or not _stalls(curves):
        return []
    seen = {term.name: (term.min, term.max) for term in dry_run.terms if weights.get(term.name, 1.0) > 0.0}
    parts = shares(curves, weights)
    return [
        f"the term {one_line(course.name, 40)!r} has been at its bound for most of the training while fitness does not "
        "rise: it is had by holding still, and nothing more can be learnt from it"
        for course in curves.terms
        if course.name in seen and parts[course.name] > PINNED_SHARE and _sits_at(course, *seen[course.name])
    ]


def _sits_at(course: Course, low: float, high: float) -> bool:
    """Return whether a course has changed, and its last two thirds are at the greatest value seen at random."""
    late = course.known[len(course.known) // 3 :]
    near = all(abs(high - value) <= PINNED_RANGE * (high - low) for value in late)
    return len(course.known) >= LEAST_POINTS and high > low and near and not _is_constant(course)


def _stalls(curves: Curves) -> bool:
    """Return whether fitness is known and does not rise."""
    return len(curves.fitness.known) >= LEAST_POINTS and trend(curves.fitness) <= FLAT
