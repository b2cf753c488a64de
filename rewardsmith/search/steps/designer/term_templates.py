"""Terms that the symbolic designer can write about a signal catalogue, by the signals' units.

speeds ("m/s", "rad/s")   more of it, less of it, stillness, steadiness, a speed kept
places ("m", "rad")       high or low, near a target, kept as at the episode's start, rising or falling
other units               high or low, near a target
pairs of vectors          the distance between them
the action                effort; and a constant for being alive

The names and meanings of the signals are never read: only their order, shapes and units.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, zip_longest

import numpy as np

from rewardsmith.contract.records import Signal
from rewardsmith.search.steps.designer.term_expressions import WeightedTerm, normalize_expression, round_significant

MAX_COMPONENTS = 32
"""Columns of one vector that are looked at one by one."""
MAX_NAME = 60
"""Characters of a term's name; the reward process takes 64."""
PER_STEP = 50.0
"""Weight of a change per step, which makes it a speed at the control steps of 0.01 to 0.05 s that are usual."""

ALIVE = WeightedTerm("alive", 1.0, normalize_expression("np.ones(len(action))"))
EFFORT = WeightedTerm("effort", 0.005, normalize_expression("-np.sum(action**2, axis=1)"))


@dataclass(frozen=True)
class SignalComponent:
    """A number of the state: a scalar signal, or one column of a vector signal."""

    label: str
    """Part of a term's name."""
    path: str
    """Text after `after.`, e.g. "position[:, 0]"."""
    unit: str

    @property
    def is_speed(self) -> bool:
        """Whether it is a rate of change of a place."""
        return self.unit in ("m/s", "rad/s")

    @property
    def is_place(self) -> bool:
        """Whether it is the position or the posture of something."""
        return self.unit in ("m", "rad")


@lru_cache(maxsize=8)
def list_components(signals: tuple[Signal, ...]) -> tuple[SignalComponent, ...]:
    """Return the numbers of the state, in the catalogue's order; signals of two and more axes are left out."""
    components: list[SignalComponent] = []
    for signal in signals:
        if signal.shape == ():
            components.append(SignalComponent(signal.name, signal.name, signal.unit))
        elif len(signal.shape) == 1:
            for column in range(min(signal.shape[0], MAX_COMPONENTS)):
                label, path = f"{signal.name}_{column}", f"{signal.name}[:, {column}]"
                components.append(SignalComponent(label, path, signal.unit))
    return tuple(components)


@lru_cache(maxsize=8)
def list_lead_terms(signals: tuple[Signal, ...]) -> tuple[WeightedTerm, ...]:
    """Return the terms that can stand for a whole task, the likelier first.

    Places, speeds along a line, turning speeds and distances take turns, each with two opposite aims, so that any few
    in a row cover different signals and both directions. What the catalogue names first comes first.
    """
    # Pairs of opposite terms, by kind of signal; further aims of a signal come after all pairs.
    pairs_by_kind: dict[str, list[tuple[WeightedTerm, WeightedTerm]]] = {}
    further: list[WeightedTerm] = []
    for component in list_components(signals):
        kind = component.unit if component.is_speed else "place"
        first, second, *others = _list_aims(component)
        pairs_by_kind.setdefault(kind, []).append((first, second))
        further += others
    pairs_by_kind["gap"] = [(gap, build_closed_gap_term(gap)) for gap in list_gap_terms(signals)]

    # The kinds take turns.
    leads: list[WeightedTerm] = []
    for row in zip_longest(*pairs_by_kind.values()):
        for pair in row:
            leads += pair or ()
    return (*leads, *further)


def draw_term(signals: tuple[Signal, ...], rng: np.random.Generator) -> WeightedTerm:
    """Draw any term; signals that stand earlier in the catalogue are likelier.

    Args:
        signals: the catalogue; it may be empty, then only the action is left.
        rng: source of chance.
    """
    components = list_components(signals)
    gaps = list_gap_terms(signals)
    if gaps and rng.random() < 0.1:
        gap = gaps[_draw_early_index(len(gaps), rng)]
        return gap if rng.random() < 0.5 else build_closed_gap_term(gap)
    if not components or rng.random() < 0.15:
        usual = ALIVE if rng.random() < 0.5 else EFFORT
        return WeightedTerm(usual.name, draw_near(usual.weight, rng), usual.expression)
    return _draw_component_term(components[_draw_early_index(len(components), rng)], rng)


def gate_term(term: WeightedTerm, gate: WeightedTerm) -> WeightedTerm:
    """Return the product of two terms: the first counts as far as the second, bounded in [0, 1], holds."""
    name = f"{term.name}_while_{gate.name}"[:MAX_NAME]
    return WeightedTerm(name, term.weight, normalize_expression(f"({term.expression}) * ({gate.expression})"))


def draw_gate(signals: tuple[Signal, ...], rng: np.random.Generator) -> WeightedTerm | None:
    """Draw a term in [0, 1]; None where the catalogue has only speeds."""
    candidates = [component for component in list_components(signals) if not component.is_speed]
    if not candidates:
        return None
    component = candidates[_draw_early_index(len(candidates), rng)]
    if component.is_place and rng.random() < 0.7:
        return build_kept_term(component, rng)
    return build_near_term(component, rng)


def draw_near(centre: float, rng: np.random.Generator, spread: float = 0.7) -> float:
    """Draw a number near `centre` on a log scale: within a factor of e**spread as a rule, of its square at most."""
    return round_significant(centre * float(np.exp(spread * np.clip(rng.normal(), -2.0, 2.0))), 2)


# ---------------------------------------------------------------- one term


def build_up_term(component: SignalComponent) -> WeightedTerm:
    """Return the term that grows with the number."""
    return WeightedTerm(f"{component.label}_up", 1.0, f"after.{component.path}")


def build_down_term(component: SignalComponent) -> WeightedTerm:
    """Return the term that falls with the number."""
    return WeightedTerm(f"{component.label}_down", 1.0, f"-after.{component.path}")


def build_change_term(component: SignalComponent, sign: float) -> WeightedTerm:
    """Return the change over the step, counted up or down."""
    direction, first, second = ("rising", "after", "before") if sign > 0 else ("falling", "before", "after")
    expression = f"{first}.{component.path} - {second}.{component.path}"
    return WeightedTerm(f"{component.label}_{direction}", PER_STEP, expression)


def build_still_term(component: SignalComponent) -> WeightedTerm:
    """Return the cost of a speed, squared."""
    expression = f"-np.square(after.{component.path})"
    return WeightedTerm(f"{component.label}_still", 0.1, normalize_expression(expression))


def build_steady_term(component: SignalComponent) -> WeightedTerm:
    """Return the cost of a change of speed, squared: smoothness of the motion, as the contract has no last action."""
    expression = f"-np.square(after.{component.path} - before.{component.path})"
    return WeightedTerm(f"{component.label}_steady", 0.1, normalize_expression(expression))


def build_near_term(component: SignalComponent, rng: np.random.Generator | None = None) -> WeightedTerm:
    """Return a tolerance around a target: 0, or one drawn over the sizes that such a number often has."""
    target, margin = 0.0, 1.0
    if rng is not None:
        target = round_significant(float(rng.choice([0.0, -1.0, 1.0]) * np.exp(rng.normal(0.0, 0.7))), 2)
        margin = draw_near(0.7, rng)
    bounds = (round_significant(target - 0.1 * margin, 3), round_significant(target + 0.1 * margin, 3))
    expression = f'shaping.tolerance(after.{component.path}, {bounds}, margin={margin}, sigmoid="long_tail")'
    return WeightedTerm(f"{component.label}_near", 1.0, normalize_expression(expression))


def build_kept_term(component: SignalComponent, rng: np.random.Generator) -> WeightedTerm:
    """Return a tolerance around the value at the episode's start: upright stays upright."""
    margin = draw_near(0.4, rng)
    width = round_significant(0.25 * margin, 2)
    difference = f"after.{component.path} - start.{component.path}"
    expression = f"shaping.tolerance({difference}, ({-width}, {width}), margin={margin})"
    return WeightedTerm(f"{component.label}_kept", draw_near(0.5, rng), normalize_expression(expression))


def build_pace_term(component: SignalComponent, rng: np.random.Generator) -> WeightedTerm:
    """Return a tolerance that is full from a speed on, in one direction."""
    speed = draw_near(1.5, rng)
    is_up = rng.random() < 0.5
    direction, value = ("up", f"after.{component.path}") if is_up else ("down", f"-after.{component.path}")
    expression = f'shaping.tolerance({value}, ({speed}, np.inf), margin={speed}, sigmoid="linear")'
    return WeightedTerm(f"{component.label}_pace_{direction}", 1.0, normalize_expression(expression))


@lru_cache(maxsize=8)
def list_gap_terms(signals: tuple[Signal, ...]) -> tuple[WeightedTerm, ...]:
    """Return the distances that can close: between vectors of places of one kind, then of each vector from zero."""
    vectors = [signal for signal in signals if len(signal.shape) == 1 and signal.unit == "m"]
    gaps: list[WeightedTerm] = []
    for first, second in combinations(vectors, 2):
        if first.shape == second.shape:
            expression = f"-shaping.distance(after.{first.name}, after.{second.name})"
            gaps.append(WeightedTerm(f"{first.name}_to_{second.name}", 1.0, expression))
    for vector in vectors:
        gaps.append(WeightedTerm(f"{vector.name}_small", 1.0, f"-np.linalg.norm(after.{vector.name}, axis=1)"))
    return tuple(gaps)


def build_closed_gap_term(gap: WeightedTerm) -> WeightedTerm:
    """Return a distance of `list_gap_terms` as a tolerance: 1 where it is closed."""
    distance = gap.expression.removeprefix("-")
    expression = f"shaping.tolerance({distance}, (0.0, 0.02), margin=0.3)"
    return WeightedTerm(f"{gap.name}_closed", 1.0, normalize_expression(expression))


# ---------------------------------------------------------------- choosing


def _list_aims(component: SignalComponent) -> list[WeightedTerm]:
    """Return the terms about one number that need no chance: two opposites first."""
    up, down = build_up_term(component), build_down_term(component)
    if component.is_speed:
        return [up, down]
    near = build_near_term(component)
    return [near, up, down] if component.unit == "rad" else [up, down, near]


def _draw_component_term(component: SignalComponent, rng: np.random.Generator) -> WeightedTerm:
    """Draw a term about one number, of a kind that its unit suggests."""
    builders: list[Callable[[], WeightedTerm]]
    if component.is_speed:
        builders = [
            lambda: build_up_term(component),
            lambda: build_down_term(component),
            lambda: build_pace_term(component, rng),
            lambda: build_still_term(component),
            lambda: build_steady_term(component),
        ]
    elif component.is_place:
        builders = [
            lambda: build_kept_term(component, rng),
            lambda: build_near_term(component, rng),
            lambda: build_up_term(component),
            lambda: build_down_term(component),
            lambda: build_kept_term(component, rng),  # twice, so that it is drawn twice as often
            lambda: build_change_term(component, rng.choice([1.0, -1.0])),
        ]
    else:
        builders = [
            lambda: build_up_term(component),
            lambda: build_down_term(component),
            lambda: build_near_term(component, rng),
        ]
    term = builders[rng.integers(len(builders))]()
    return WeightedTerm(term.name, draw_near(term.weight, rng), term.expression)


def _draw_early_index(count: int, rng: np.random.Generator) -> int:
    """Draw an index, the earlier the likelier: of a long catalogue, two times of three one of the first ten."""
    odds = (2.0 + np.arange(count)) ** -1.5
    return int(rng.choice(count, p=odds / odds.sum()))
