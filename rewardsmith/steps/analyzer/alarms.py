"""Alarms: signs in the curves that a reward pays for something other than the task, one line each."""

from __future__ import annotations

import math
from collections.abc import Mapping

from rewardsmith.prompts import figure, one_line
from rewardsmith.steps.analyzer.curves import Course, Curves

DROWNING_SHARE = 0.95
"""Part of the total's size above which one term leaves the others no say."""
RISES = 0.4
"""Trend above which a course counts as rising: 0.4 of its own range between its first and last third."""
FLAT = 0.1
"""Trend, up or down, that is taken for noise."""
FLAT_RANGE = 0.05
"""A course whose range is below this part of its size does not move."""
CONSTANT_RANGE = 0.01
LEAST_POINTS = 4
"""Fewer points show no trend."""


def find_alarms(curves: Curves, weights: Mapping[str, float]) -> tuple[str, ...]:
    """Return the alarms, for the user and for the designer."""
    alarms = [_diverging(curves), *_drowning(curves, weights), *(_constant(course) for course in curves.terms)]
    return tuple(alarm for alarm in alarms if alarm)


def shares(curves: Curves, weights: Mapping[str, float]) -> dict[str, float]:
    """Return each term's part of the total's size at the end of training, in [0, 1].

    The size of a term is |weight * its mean per step|; what cancels within the mean is not seen.
    """
    sizes = {course.name: abs(weights.get(course.name, 1.0) * (course.late or 0.0)) for course in curves.terms}
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
    parts = shares(curves, weights)
    if len(parts) < 2:
        return []
    return [
        f"the term {one_line(name, 40)!r} makes {100.0 * part:.0f} % of the total: the other terms hardly count"
        for name, part in parts.items()
        if part > DROWNING_SHARE
    ]


def _constant(course: Course) -> str | None:
    """Say when a term is the same whatever the policy has learnt."""
    if len(course.known) < LEAST_POINTS or course.max is None or course.min is None:
        return None
    name, size = one_line(course.name, 40), max(abs(course.max), abs(course.min))
    if size == 0.0:
        return f"the term {name!r} is zero throughout the training: it says nothing"
    if course.max - course.min > CONSTANT_RANGE * size:
        return None
    return (
        f"the term {name!r} stays at {figure(course.mean)} per step throughout the training: it rewards the length of "
        "the episode and nothing else"
    )
