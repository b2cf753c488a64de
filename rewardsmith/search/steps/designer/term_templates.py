"""Which terms the symbolic designer can write about a signal catalogue; a signal's unit hints at what it is good for.

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
from rewardsmith.search.steps.designer.term_expressions import Term, rounded, spelled

MAX_COMPONENTS = 32
"""Columns of one vector that are looked at one by one."""
MAX_NAME = 60
"""Characters of a term's name; the reward process takes 64."""
PER_STEP = 50.0
"""Weight of a change per step, which makes it a speed at the control steps of 0.01 to 0.05 s that are usual."""

ALIVE = Term("alive", 1.0, spelled("np.ones(len(action))"))
EFFORT = Term("effort", 0.005, spelled("-np.sum(action**2, axis=1)"))


@dataclass(frozen=True)
class Component:
    """A number of the state: a scalar signal, or one column of a vector signal."""

    label: str
    """Part of a term's name."""
    path: str
    """What follows `after.`, e.g. "position[:, 0]"."""
    unit: str

    @property
    def is_speed(self) -> bool:
        """Whether it is a rate of change of a place."""
        return self.unit in ("m/s", "rad/s")

    @property
    def is_place(self) -> bool:
        """Whether it says where or how something stands."""
        return self.unit in ("m", "rad")


@lru_cache(maxsize=8)
def components(signals: tuple[Signal, ...]) -> tuple[Component, ...]:
    """Return the numbers of the state, in the catalogue's order."""
    found: list[Component] = []
    for signal in signals:
        if signal.shape == ():
            found.append(Component(signal.name, signal.name, signal.unit))
        elif len(signal.shape) == 1:
            columns = range(min(signal.shape[0], MAX_COMPONENTS))
            found += [Component(f"{signal.name}_{i}", f"{signal.name}[:, {i}]", signal.unit) for i in columns]
    return tuple(found)


@lru_cache(maxsize=8)
def leads(signals: tuple[Signal, ...]) -> tuple[Term, ...]:
    """Return the terms that can stand for a whole task, the likelier first.

    Places, speeds along a line, turning speeds and distances take turns, each with two opposite wishes, so that any few
    in a row cover different signals and both directions. What the catalogue names first comes first.
    """
    kinds: dict[str, list[tuple[Term, Term]]] = {}
    rest: list[Term] = []
    for part in components(signals):
        first, second, *others = _wishes(part)
        kinds.setdefault(part.unit if part.is_speed else "place", []).append((first, second))
        rest += others
    kinds["gap"] = [(gap, closed(gap)) for gap in gaps(signals)]
    pairs = [pair for row in zip_longest(*kinds.values()) for pair in row if pair is not None]
    return (*(term for pair in pairs for term in pair), *rest)


def draw(signals: tuple[Signal, ...], rng: np.random.Generator) -> Term:
    """Draw any term; signals that stand earlier in the catalogue are likelier.

    Args:
        signals: the catalogue; it may be empty, then the action alone is left.
        rng: where chance comes from.
    """
    numbers = components(signals)
    pairs = gaps(signals)
    if pairs and rng.random() < 0.1:
        pair = pairs[_early(len(pairs), rng)]
        return pair if rng.random() < 0.5 else closed(pair)
    if not numbers or rng.random() < 0.15:
        chosen = ALIVE if rng.random() < 0.5 else EFFORT
        return Term(chosen.name, scattered(chosen.weight, rng), chosen.expression)
    part = numbers[_early(len(numbers), rng)]
    return _about(part, rng)


def gated(term: Term, gate: Term) -> Term:
    """Return the product of two terms: the first counts as far as the second, bounded in [0, 1], holds."""
    name = f"{term.name}_while_{gate.name}"[:MAX_NAME]
    return Term(name, term.weight, spelled(f"({term.expression}) * ({gate.expression})"))


def draw_gate(signals: tuple[Signal, ...], rng: np.random.Generator) -> Term | None:
    """Draw a term in [0, 1]; None where the catalogue has no places to bound."""
    places = [part for part in components(signals) if not part.is_speed]
    if not places:
        return None
    part = places[_early(len(places), rng)]
    return kept(part, rng) if part.is_place and rng.random() < 0.7 else near(part, rng)


def scattered(centre: float, rng: np.random.Generator, spread: float = 0.7) -> float:
    """Return a figure near `centre` on a log scale: within a factor of e**spread as a rule, of its square at most."""
    return rounded(centre * float(np.exp(spread * np.clip(rng.normal(), -2.0, 2.0))), 2)


# ---------------------------------------------------------------- one term


def more(part: Component) -> Term:
    """Return the term that grows with the number."""
    return Term(f"{part.label}_up", 1.0, f"after.{part.path}")


def less(part: Component) -> Term:
    """Return the term that falls with the number."""
    return Term(f"{part.label}_down", 1.0, f"-after.{part.path}")


def rise(part: Component, sign: float) -> Term:
    """Return the change over the step, counted up or down."""
    way, first, second = ("rising", "after", "before") if sign > 0 else ("falling", "before", "after")
    return Term(f"{part.label}_{way}", PER_STEP, f"{first}.{part.path} - {second}.{part.path}")


def still(part: Component) -> Term:
    """Return the cost of a speed, squared."""
    return Term(f"{part.label}_still", 0.1, spelled(f"-np.square(after.{part.path})"))


def steady(part: Component) -> Term:
    """Return the cost of a change of speed, squared: smoothness of the motion, as the contract has no last action."""
    return Term(f"{part.label}_steady", 0.1, spelled(f"-np.square(after.{part.path} - before.{part.path})"))


def near(part: Component, rng: np.random.Generator | None = None) -> Term:
    """Return a tolerance around a target: 0, or one drawn over the sizes that such a number often has."""
    target, margin = 0.0, 1.0
    if rng is not None:
        target = rounded(float(rng.choice([0.0, -1.0, 1.0]) * np.exp(rng.normal(0.0, 0.7))), 2)
        margin = scattered(0.7, rng)
    bounds = (rounded(target - 0.1 * margin, 3), rounded(target + 0.1 * margin, 3))
    shape = f'shaping.tolerance(after.{part.path}, {bounds}, margin={margin}, sigmoid="long_tail")'
    return Term(f"{part.label}_near", 1.0, spelled(shape))


def kept(part: Component, rng: np.random.Generator) -> Term:
    """Return a tolerance around the value at the episode's start: upright stays upright."""
    margin = scattered(0.4, rng)
    width = rounded(0.25 * margin, 2)
    shape = f"shaping.tolerance(after.{part.path} - start.{part.path}, ({-width}, {width}), margin={margin})"
    return Term(f"{part.label}_kept", scattered(0.5, rng), spelled(shape))


def pace(part: Component, rng: np.random.Generator) -> Term:
    """Return a tolerance that is full from a speed on, in one direction."""
    speed = scattered(1.5, rng)
    way, value = ("up", f"after.{part.path}") if rng.random() < 0.5 else ("down", f"-after.{part.path}")
    shape = f'shaping.tolerance({value}, ({speed}, np.inf), margin={speed}, sigmoid="linear")'
    return Term(f"{part.label}_pace_{way}", 1.0, spelled(shape))


@lru_cache(maxsize=8)
def gaps(signals: tuple[Signal, ...]) -> tuple[Term, ...]:
    """Return the distances that can close: between vectors of places of one kind, then of each vector from zero."""
    vectors = [signal for signal in signals if len(signal.shape) == 1 and signal.unit == "m"]
    pairs = [(a, b) for a, b in combinations(vectors, 2) if a.shape == b.shape]
    between = [(f"{a.name}_to_{b.name}", f"-shaping.distance(after.{a.name}, after.{b.name})") for a, b in pairs]
    alone = [(f"{a.name}_small", f"-np.linalg.norm(after.{a.name}, axis=1)") for a in vectors]
    return tuple(Term(name, 1.0, expression) for name, expression in between + alone)


def closed(gap: Term) -> Term:
    """Return a distance of `gaps` as a tolerance: 1 where it is closed."""
    expression = gap.expression.removeprefix("-")
    return Term(f"{gap.name}_closed", 1.0, spelled(f"shaping.tolerance({expression}, (0.0, 0.02), margin=0.3)"))


# ---------------------------------------------------------------- choosing


def _wishes(part: Component) -> list[Term]:
    """Return what a number can be wanted to be, without chance: two opposites first."""
    if part.is_speed:
        return [more(part), less(part)]
    return [near(part), more(part), less(part)] if part.unit == "rad" else [more(part), less(part), near(part)]


def _about(part: Component, rng: np.random.Generator) -> Term:
    """Draw a term about one number, of a kind that its unit suggests."""
    makers: list[Callable[[], Term]]
    if part.is_speed:
        makers = [lambda: more(part), lambda: less(part), lambda: pace(part, rng), lambda: still(part)]
        makers += [lambda: steady(part)]
    elif part.is_place:
        makers = [lambda: kept(part, rng), lambda: near(part, rng), lambda: more(part), lambda: less(part)]
        makers += [lambda: kept(part, rng), lambda: rise(part, rng.choice([1.0, -1.0]))]
    else:
        makers = [lambda: more(part), lambda: less(part), lambda: near(part, rng)]
    term = makers[rng.integers(len(makers))]()
    return Term(term.name, scattered(term.weight, rng), term.expression)


def _early(count: int, rng: np.random.Generator) -> int:
    """Draw an index, the earlier the likelier: of a long catalogue, two times of three one of the first ten."""
    odds = (2.0 + np.arange(count)) ** -1.5
    return int(rng.choice(count, p=odds / odds.sum()))
