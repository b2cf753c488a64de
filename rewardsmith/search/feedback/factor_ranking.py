"""A reward from a ranking of factors: hierarchical preferences (HERON: Bukharin et al., 2023, arXiv:2309.02632).

The user ranks measures by importance. Two recorded episodes are compared by the first measure in which they differ by
more than its margin, so nobody weighs one against another. On the pairs labelled like that a reward is trained, linear
in named features of a step, with Bradley–Terry's loss on returns. It is written as a reward program with its weights as
constants, so everything that works for programs works for it: checks, seal, trainings, export.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rewardsmith.contract.errors import UserError
from rewardsmith.contract.fitness.expression import Fitness, Rollout
from rewardsmith.contract.records import Candidate
from rewardsmith.contract.text import counted
from rewardsmith.search.feedback import ranking as ranks
from rewardsmith.search.feedback import record
from rewardsmith.search.feedback.bradley_terry import Array
from rewardsmith.search.feedback.events import Said
from rewardsmith.search.steps import evolution
from rewardsmith.search.storage import Run

Indices = NDArray[np.intp]
MARGIN = 0.5
"""Margin of a factor in standard deviations over the recorded episodes, where the user gives none."""
MAX_PAIRS, LEAST_PAIRS = 4_000, 20
MAX_SIGNALS, MAX_TERMS = 24, 8
CLIP = 3.0
"""A feature stays within so many standard deviations: what was never recorded must not pay without bound."""
RIDGE, ASIDE = 1e-2, 30.0
"""What large weights cost, and how much more those of signals that no factor names: a run has few policies, and
whatever else sets them apart would explain the ranking as well."""
FOLDS = 5
_MARGIN = re.compile(r"(.*?)\s+by\s+([0-9.eE+-]+)\s*", re.DOTALL)


@dataclass(frozen=True)
class Factor:
    """A measure of an episode; more is better."""

    fitness: Fitness
    margin: float | None
    """Smaller differences are none; None takes half a standard deviation."""


@dataclass(frozen=True)
class Feature:
    """A quantity of one step, as the reward program computes it."""

    name: str
    expression: str
    """Over the contract's arguments."""
    signal: str | None = None
    """What it is made of; None for actions and for being there at all."""


@dataclass(frozen=True)
class Episodes:
    """Recorded episodes as numbers."""

    factors: Array
    """(n, factors): each episode's measures."""
    features: Array
    """(n, features): sums over its steps, divided by the length of the longest episode."""
    named: tuple[Feature, ...]
    owners: tuple[str, ...]
    """Of each episode: the id of its candidate."""
    ridge: Array
    """(features,): what a large weight of each costs."""


@dataclass(frozen=True)
class Learnt:
    """A reward that was learnt from a ranking."""

    source: str
    about: str
    """What it is and how well it repeats the ranking, in a sentence or two."""
    accuracy: float
    """Part of the pairs with a program held back from training that are ordered as the ranking does."""
    pairs: int
    """Labelled pairs that it was trained on."""


def learn(run: Run, ranking: Sequence[str], seed: int = 0) -> Learnt:
    """Learn a reward from the recorded episodes of a run.

    Args:
        run: with at least two trained candidates.
        ranking: fitness expressions, the most important first; more is better. "EXPRESSION by NUMBER" gives a margin.
        seed: of the draw of pairs, where there are many.

    Raises:
        FitnessError: if an expression does not parse, or names what was not recorded.
        UserError: if there is too little to learn from.
    """
    factors = [factor(text) for text in ranking]
    if not factors:
        raise UserError("name the factors, the most important first: survived > mean(x_velocity)")
    episodes = read(run, ranks.rankable(run.candidates()), factors)
    pairs = labelled(episodes.factors, _margins(episodes.factors, factors), np.random.default_rng(seed))
    programs = len(set(episodes.owners))
    if len(pairs) < LEAST_PAIRS or programs < 3:
        raise UserError(
            f"{counted(len(episodes.factors), 'recorded episode')} of {counted(programs, 'program')} give "
            f"{counted(len(pairs), 'pair that differs', 'pairs that differ')} by the margins; {LEAST_PAIRS} of 3 "
            "programs are needed: rank factors that tell episodes apart, or run another generation"
        )
    accuracy = checked(episodes, pairs)
    weights = trained(episodes.features, pairs, episodes.ridge)
    kept = np.argsort(-np.abs(weights) * episodes.features.std(axis=0))[:MAX_TERMS]
    weights = trained(episodes.features[:, kept], pairs, episodes.ridge[kept])
    words = " > ".join(one.fitness.text for one in factors)
    about = (
        f"Learnt from the ranking {words}: it orders {accuracy:.0%} of the pairs with a program that it was not "
        "trained on as the ranking does."
    )
    return Learnt(written(words, [episodes.named[at] for at in kept], weights), about, accuracy, len(pairs))


def offer(run: Run, learnt: Learnt, *, by: str = "") -> Said:
    """Hand a learnt reward in as a program of the next generation; see `writing.edit` for what it raises."""
    best = evolution.ranked(run.candidates(), run.config.evolution.caution)[0]
    return record.edit(run, best.id, learnt.source, by=by, about=learnt.about)


def factor(text: str) -> Factor:
    """Read a factor.

    >>> factor("mean(x_velocity) by 0.5").margin
    0.5

    Raises:
        FitnessError: if it is no expression of the fitness language.
        UserError: if the margin is no positive number.
    """
    found = _MARGIN.fullmatch(text)
    if found is None:
        return Factor(Fitness.parse(text), None)
    try:
        margin = float(found[2])
    except ValueError:
        margin = -1.0
    if not 0.0 <= margin < float("inf"):
        raise UserError(f"{text!r}: a margin is a number of 0 or more")
    return Factor(Fitness.parse(found[1]), margin)


def read(run: Run, candidates: Sequence[Candidate], factors: Sequence[Factor]) -> Episodes:
    """Read the recorded episodes of these candidates.

    Raises:
        FitnessError: if a factor names what was not recorded.
        UserError: if nothing was recorded.
        RunError: if the run has not looked at its environment.
    """
    found = [(one.id, rollout) for one in candidates for rollout in _rollouts(run.path, one)]
    rollouts = [rollout for _, rollout in found]
    if not rollouts:
        raise UserError(f"{run.path} has no recorded episodes of a trained program; run a generation first")
    offered = record.probe(run).signals
    recorded = [signal.name for signal in offered if all(signal.name in one.signals for one in rollouts)]
    measured = np.array([[one.fitness.evaluate(rollout) for one in factors] for rollout in rollouts])
    columns = {name: np.concatenate([_columns(one.signals[name]) for one in rollouts]) for name in recorded}
    named: list[Feature] = []
    values: list[Array] = []
    for name, column in columns.items():
        for part in range(column.shape[1]) if len(named) < 2 * MAX_SIGNALS else ():
            plain = rollouts[0].signals[name].ndim == 1
            for feature, value in _features(name, None if plain else part, column[:, part]):
                named.append(feature)
                values.append(value)
    actions = np.concatenate([_columns(one.actions) for one in rollouts])
    named += [Feature("effort", "-np.mean(action**2, axis=1)"), Feature("alive", "np.ones(len(action))")]
    values += [-np.mean(actions**2, axis=1), np.ones(len(actions))]
    lengths = [len(one.actions) for one in rollouts]
    steps = np.split(np.stack(values, axis=1), np.cumsum(lengths)[:-1])
    sums = np.stack([step.sum(axis=0) for step in steps]) / max(lengths)
    asked = {name for one in factors for name in one.fitness.names}
    ridge = np.array([RIDGE if one.signal is None or one.signal in asked else RIDGE * ASIDE for one in named])
    return Episodes(measured, sums, tuple(_apart(named)), tuple(owner for owner, _ in found), ridge)


def labelled(factors: Array, margins: Array, rng: np.random.Generator) -> Indices:
    """Return the labelled pairs of episodes, (m, 2): the better one first; undecided pairs are left out.

    Args:
        factors: (n, k), the most important first.
        margins: (k,): the first factor that differs by more decides.
        rng: draws the pairs where there are too many.
    """
    pairs = np.stack(np.triu_indices(len(factors), k=1), axis=1)
    if len(pairs) > MAX_PAIRS:
        pairs = pairs[rng.choice(len(pairs), MAX_PAIRS, replace=False)]
    apart = factors[pairs[:, 0]] - factors[pairs[:, 1]]
    tells = np.abs(apart) > margins
    sign = apart[np.arange(len(pairs)), tells.argmax(axis=1)]
    return np.asarray(np.where((sign > 0)[:, None], pairs, pairs[:, ::-1])[tells.any(axis=1)])


def checked(episodes: Episodes, pairs: Indices) -> float:
    """Return how well rewards that never saw a program order the pairs with its episodes, in [0, 1].

    The episodes of one policy are much alike, so programs are held back and not episodes: every one once, in folds.
    """
    owners = np.array([sorted(set(episodes.owners)).index(owner) % FOLDS for owner in episodes.owners])
    right, count = 0.0, 0
    for fold in range(FOLDS):
        held = (owners[pairs] == fold).any(axis=1)
        if held.any() and not held.all():
            weights = trained(episodes.features, pairs[~held], episodes.ridge)
            right += agreement(episodes.features, pairs[held], weights) * int(held.sum())
            count += int(held.sum())
    return right / count if count else 0.0


def trained(features: Array, pairs: Indices, ridge: Array) -> Array:
    """Return the weights under which the better of each pair has the greater return, (features,), by Newton's method.

    Args:
        features: (n, features) of episodes.
        pairs: (m, 2), the better one first.
        ridge: (features,): how much large weights cost.
    """
    scale = features.std(axis=0) + 1e-9
    apart = (features[pairs[:, 0]] - features[pairs[:, 1]]) / scale
    weights = np.zeros(features.shape[1])
    for _ in range(50):
        chance = 0.5 * (1.0 + np.tanh(0.5 * (apart @ weights)))
        gradient = apart.T @ (1.0 - chance) / len(apart) - ridge * weights
        bend = apart.T @ (apart * (chance * (1.0 - chance))[:, None]) / len(apart) + np.diag(ridge)
        step = np.linalg.solve(bend, gradient)
        weights = weights + step * min(1.0, 5.0 / max(1e-12, float(np.linalg.norm(step))))
        if np.max(np.abs(step)) < 1e-9:
            break
    return np.asarray(weights / scale)


def agreement(features: Array, pairs: Indices, weights: Array) -> float:
    """Return the part of the pairs whose better episode has the greater return, in [0, 1]; a tie counts half."""
    apart = (features[pairs[:, 0]] - features[pairs[:, 1]]) @ weights
    return float(np.mean((apart > 0) + 0.5 * (apart == 0)))


def written(words: str, features: Sequence[Feature], weights: Array) -> str:
    """Return the reward as a program: one term a feature, the learnt weights made at most 1."""
    scaled = weights / (np.max(np.abs(weights)) or 1.0)
    figures = [float(f"{weight:.3g}") for weight in scaled]
    kept = [(one, figure) for one, figure in zip(features, figures, strict=True) if abs(figure) >= 0.01]
    text = words.replace("\\", "/").replace('"', "'")
    lines = [f'"""A reward learnt from a ranking of factors: {text}."""', "", "WEIGHTS = {"]
    lines += [f'    "{one.name}": {figure!r},' for one, figure in kept]
    lines += ["}", "", "", "def reward(action, after):", "    return {"]
    lines += [f'        "{one.name}": {one.expression},' for one, _ in kept]
    return "\n".join([*lines, "    }"]) + "\n"


def _margins(measured: Array, factors: Sequence[Factor]) -> Array:
    spread = measured.std(axis=0)
    given = [MARGIN * wide if one.margin is None else one.margin for one, wide in zip(factors, spread, strict=True)]
    return np.array(given, dtype=np.float64)


def _rollouts(path: Path, one: Candidate) -> list[Rollout]:
    found = []
    for training, evaluation in zip(one.trainings, one.evaluations, strict=True):
        file = path / "candidates" / one.id / f"eval-s{training.seed}" / "episodes.npz"
        if not file.is_file():
            continue
        with np.load(file, allow_pickle=False) as arrays:
            data = {name: np.asarray(arrays[name], dtype=np.float64) for name in arrays.files}
        for index, episode in enumerate(evaluation.episodes):
            start = {name.split("/", 2)[2]: data[name] for name in data if name.startswith(f"{index}/start/")}
            signals = {name: data[f"{index}/{name}"] for name in start}
            found.append(Rollout(signals, start, data[f"{index}/action"], episode.terminated))
    return found


def _apart(features: Sequence[Feature]) -> list[Feature]:
    """Return the features with a name of its own for each."""
    taken: set[str] = set()
    found = []
    for one in features:
        name = one.name
        while name in taken:
            name += "_too"
        taken.add(name)
        found.append(Feature(name, one.expression, one.signal))
    return found


def _columns(values: Array) -> Array:
    return np.asarray(values, dtype=np.float64).reshape(len(values), -1)


def _features(name: str, part: int | None, values: Array) -> list[tuple[Feature, Array]]:
    """Return a signal's features: its standardised value, and the square of that, as there can be too much of it."""
    mean, spread = float(f"{values.mean():.4g}"), float(f"{values.std():.4g}")
    if spread <= 0.0 or not np.isfinite(spread):
        return []
    place = f"after.{name}" if part is None else f"after.{name}[:, {part}]"
    label = name if part is None else f"{name}_{part}"
    expression = f"np.clip(({place} - {mean!r}) / {spread!r}, -{CLIP}, {CLIP})"
    standard = np.clip((values - mean) / spread, -CLIP, CLIP)
    return [
        (Feature(label, expression, name), standard),
        (Feature(f"{label}_away", f"-({expression}) ** 2 / {CLIP}", name), -(standard**2) / CLIP),
    ]
