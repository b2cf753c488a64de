"""Reward from a ranking of factors: hierarchical preferences (HERON: Bukharin et al., 2023, arXiv:2309.02632).

The user ranks measures of an episode by importance. Two recorded episodes are compared by the first measure in which
they differ by more than its margin, so that nobody has to weigh one measure against another. A reward that is linear in
named features of a step is trained on these pairs, with the Bradley–Terry loss on returns. It is written as a reward
program with its weights as constants, so that everything that works for programs works for it: checks, sandbox,
training, export.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rewardsmith.contract.errors import UserError
from rewardsmith.contract.fitness import Fitness, Rollout
from rewardsmith.contract.records import Candidate
from rewardsmith.contract.text import pluralize
from rewardsmith.sandbox.recorded import EpisodeFile
from rewardsmith.search.feedback import ranking as preference_ranking
from rewardsmith.search.feedback import record, references
from rewardsmith.search.feedback.bradley_terry import Array, fit_logistic
from rewardsmith.search.feedback.events import FeedbackEvent
from rewardsmith.search.steps import evolution
from rewardsmith.search.steps.designer.term_expressions import WeightedTerm, render_program
from rewardsmith.search.storage import Run

Indices = NDArray[np.intp]
DEFAULT_MARGIN = 0.5
"""Margin of a factor in standard deviations over the recorded episodes, where the user gives none."""
MAX_PAIRS, MIN_PAIRS, MIN_PROGRAMS = 4_000, 20, 3
MAX_SIGNAL_FEATURES, MAX_TERMS = 48, 8
"""Features of signals after which no further signal is added; terms of the program."""
CLIP = 3.0
"""Bound of a feature in standard deviations: values that were never recorded must not pay without limit."""
RIDGE, UNNAMED_SCALE = 1e-2, 30.0
"""Ridge penalty of a weight, and its factor for signals that no ranked measure names: a run has few policies, and any
other difference between them would explain the ranking as well."""
FOLDS = 5
MIN_WEIGHT = 0.01
"""Terms with a smaller weight are left out of the program, whose largest weight is 1."""
_MARGIN = re.compile(r"(.*?)\s+by\s+([0-9.eE+-]+)\s*", re.DOTALL)


@dataclass(frozen=True)
class RankedFactor:
    """A measure of an episode; more is better."""

    fitness: Fitness
    margin: float | None
    """Smaller differences do not count; None takes half a standard deviation."""


@dataclass(frozen=True)
class StepFeature:
    """A quantity of one step, as the reward program computes it."""

    name: str
    expression: str
    """Python expression over the contract's arguments."""
    signal: str | None = None
    """Name of its signal; None for actions and for being alive."""


@dataclass(frozen=True)
class EpisodeFeatures:
    """Recorded episodes as numbers: n episodes, k factors, d features."""

    factors: Array
    """(n, k): measures of each episode."""
    features: Array
    """(n, d): sums over an episode's steps, divided by the length of the longest episode."""
    columns: tuple[StepFeature, ...]
    """The d features."""
    owners: tuple[str, ...]
    """Id of each episode's candidate."""
    ridge: Array
    """(d,): ridge penalty of each feature's weight."""


@dataclass(frozen=True)
class LearnedReward:
    """A reward that was learned from a ranking."""

    source: str
    about: str
    """Description with its accuracy, in a sentence."""
    accuracy: float
    """Share of correctly ordered pairs, over pairs with a program that was held out from training."""
    pairs: int
    """Number of labelled pairs that it was trained on."""


# ---------------------------------------------------------------- from a ranking to a program


def learn_reward(run: Run, ranking: Sequence[str]) -> LearnedReward:
    """Learn a reward from the recorded episodes of a run.

    Args:
        run: with at least three trained candidates.
        ranking: fitness expressions, the most important first; more is better. "EXPRESSION by NUMBER" gives a margin.

    Raises:
        FitnessError: if an expression does not parse, or names what was not recorded.
        UserError: if there is too little to learn from.
    """
    factors = [parse_factor(text) for text in ranking]
    if not factors:
        raise UserError("name the factors, the most important first: survived > mean(x_velocity)")

    # Recorded episodes, and the pairs of them that the ranking decides.
    candidates = preference_ranking.select_rankable(run.read_candidates())
    episodes = load_features(run, candidates, factors)
    margins = _resolve_margins(episodes.factors, factors)
    pairs = label_pairs(episodes.factors, margins, np.random.default_rng(0))
    programs = len(set(episodes.owners))
    if len(pairs) < MIN_PAIRS or programs < MIN_PROGRAMS:
        raise UserError(
            f"{pluralize(len(episodes.factors), 'recorded episode')} of {pluralize(programs, 'program')} give "
            f"{pluralize(len(pairs), 'pair that differs', 'pairs that differ')} by the margins; at least {MIN_PAIRS} "
            f"pairs of {MIN_PROGRAMS} programs are needed: rank factors in which episodes differ, or run another "
            "generation"
        )

    # All features first, then the largest contributions alone: a program of few terms can be read.
    accuracy = cross_validate(episodes, pairs)
    all_weights = fit_weights(episodes.features, pairs, episodes.ridge)
    contributions = np.abs(all_weights) * episodes.features.std(axis=0)
    kept = np.argsort(-contributions)[:MAX_TERMS]
    weights = fit_weights(episodes.features[:, kept], pairs, episodes.ridge[kept])

    order = " > ".join(factor.fitness.text for factor in factors)
    about = (
        f"Learned from the ranking {order}: of the pairs with a program that was held out from training it orders "
        f"{accuracy:.0%} as the ranking does."
    )
    source = write_program(order, [episodes.columns[index] for index in kept], weights)
    return LearnedReward(source, about, accuracy, len(pairs))


def submit_learned_reward(run: Run, learned: LearnedReward, *, by: str = "") -> FeedbackEvent:
    """Submit a learned reward as a program of the next generation; raises as `record.submit_program`."""
    best = evolution.rank_candidates(run.read_candidates(), run.config.evolution.caution)[0]
    return record.submit_program(run, best.id, learned.source, by=by, about=learned.about)


def parse_factor(text: str) -> RankedFactor:
    """Parse a factor.

    >>> parse_factor("mean(x_velocity) by 0.5").margin
    0.5

    Raises:
        FitnessError: if it is not an expression of the fitness language.
        UserError: if the margin is not a number of 0 or more.
    """
    match = _MARGIN.fullmatch(text)
    if match is None:
        return RankedFactor(Fitness.parse(text), None)
    try:
        margin = float(match[2])
    except ValueError:
        margin = -1.0
    if not 0.0 <= margin < float("inf"):
        raise UserError(f"{text!r}: a margin is a number of 0 or more")
    return RankedFactor(Fitness.parse(match[1]), margin)


def write_program(order: str, features: Sequence[StepFeature], weights: Array) -> str:
    """Write the reward as a program: one term for each feature, with the largest weight scaled to 1.

    Args:
        order: the ranking, for the program's docstring.
        features: of the terms.
        weights: (len(features),).
    """
    scaled = weights / (np.max(np.abs(weights)) or 1.0)
    rounded = [float(f"{weight:.3g}") for weight in scaled]
    terms = [
        WeightedTerm(feature.name, weight, feature.expression)
        for feature, weight in zip(features, rounded, strict=True)
        if abs(weight) >= MIN_WEIGHT
    ]
    title = order.replace("\\", "/").replace('"', "'")
    return render_program(terms, f"A reward learned from a ranking of factors: {title}.")


# ---------------------------------------------------------------- recorded episodes as features


def load_features(run: Run, candidates: Sequence[Candidate], factors: Sequence[RankedFactor]) -> EpisodeFeatures:
    """Load the recorded episodes of these candidates as measures and features.

    Raises:
        FitnessError: if a factor names what was not recorded.
        UserError: if nothing was recorded.
        RunError: if the run has not probed its environment.
    """
    # The episodes, and the signals that all of them recorded.
    owned = [(candidate.id, rollout) for candidate in candidates for rollout in _load_rollouts(run, candidate)]
    owners, rollouts = [owner for owner, _ in owned], [rollout for _, rollout in owned]
    if not rollouts:
        raise UserError(f"{run.path} has no recorded episodes of a trained program; run a generation first")
    probe_signals = [signal.name for signal in references.load_probe(run).signals]
    recorded = [name for name in probe_signals if all(name in rollout.signals for rollout in rollouts)]

    # Measures of each episode, by the user's expressions.
    measures = np.array([[factor.fitness.evaluate(rollout) for factor in factors] for rollout in rollouts])

    # Features of each step, over all episodes one after the other.
    features: list[StepFeature] = []
    step_values: list[Array] = []
    for name in recorded:
        if len(features) >= MAX_SIGNAL_FEATURES:
            break
        for feature, values in _build_signal_features(name, [rollout.signals[name] for rollout in rollouts]):
            features.append(feature)
            step_values.append(values)
    actions = np.concatenate([_as_columns(rollout.actions) for rollout in rollouts])
    features.append(StepFeature("effort", "-np.mean(action**2, axis=1)"))
    step_values.append(-np.mean(actions**2, axis=1))
    features.append(StepFeature("alive", "np.ones(len(action))"))
    step_values.append(np.ones(len(actions)))

    # A linear reward's return is linear in the sums over an episode's steps.
    lengths = [len(rollout.actions) for rollout in rollouts]
    episode_steps = np.split(np.stack(step_values, axis=1), np.cumsum(lengths)[:-1])
    sums = np.stack([steps.sum(axis=0) for steps in episode_steps]) / max(lengths)

    ranked_names = {name for factor in factors for name in factor.fitness.names}
    ridge = [
        RIDGE if feature.signal is None or feature.signal in ranked_names else RIDGE * UNNAMED_SCALE
        for feature in features
    ]
    return EpisodeFeatures(measures, sums, tuple(_make_names_unique(features)), tuple(owners), np.array(ridge))


def _load_rollouts(run: Run, candidate: Candidate) -> list[Rollout]:
    rollouts = []
    for training, evaluation in zip(candidate.trainings, candidate.evaluations, strict=True):
        file = EpisodeFile.in_folder(run.layout.evaluation_dir(candidate.id, training.seed))
        if not file.exists():
            continue
        for index, episode in enumerate(evaluation.episodes):
            rollouts.append(file.read_rollout(index, episode.terminated))
    return rollouts


def _build_signal_features(name: str, episodes: Sequence[Array]) -> list[tuple[StepFeature, Array]]:
    """Return the features of a signal with their values at each step of all episodes."""
    is_scalar = episodes[0].ndim == 1
    columns = np.concatenate([_as_columns(values) for values in episodes])
    features = []
    for part in range(columns.shape[1]):
        features += _standardize_column(name, None if is_scalar else part, columns[:, part])
    return features


def _standardize_column(name: str, part: int | None, values: Array) -> list[tuple[StepFeature, Array]]:
    """Return two features of a number: its standardized value, and minus its square, as the best value may lie inside.

    Args:
        name: of the signal.
        part: index in the signal; None for a signal that is one number.
        values: at each step of all episodes.
    """
    # Rounded as they stand in the program, so that training and program compute the same.
    mean, std = float(f"{values.mean():.4g}"), float(f"{values.std():.4g}")
    if std <= 0.0 or not np.isfinite(std):
        return []

    source = f"after.{name}" if part is None else f"after.{name}[:, {part}]"
    label = name if part is None else f"{name}_{part}"
    expression = f"np.clip(({source} - {mean!r}) / {std!r}, -{CLIP}, {CLIP})"
    standardized = np.clip((values - mean) / std, -CLIP, CLIP)
    return [
        (StepFeature(label, expression, name), standardized),
        (StepFeature(f"{label}_away", f"-({expression}) ** 2 / {CLIP}", name), -(standardized**2) / CLIP),
    ]


def _make_names_unique(features: Sequence[StepFeature]) -> list[StepFeature]:
    used: set[str] = set()
    unique = []
    for feature in features:
        name = feature.name
        while name in used:
            name += "_too"
        used.add(name)
        unique.append(StepFeature(name, feature.expression, feature.signal))
    return unique


def _as_columns(values: Array) -> Array:
    return np.asarray(values, dtype=np.float64).reshape(len(values), -1)


# ---------------------------------------------------------------- from pairs to weights


def label_pairs(factors: Array, margins: Array, rng: np.random.Generator) -> Indices:
    """Label pairs of episodes by the first factor that decides; leave out the undecided ones.

    Args:
        factors: (n, k), the most important first.
        margins: (k,): a factor decides if it differs by more.
        rng: draws the pairs where there are too many.

    Returns:
        (m, 2) indices of episodes, the better one first.
    """
    pairs = np.stack(np.triu_indices(len(factors), k=1), axis=1)
    if len(pairs) > MAX_PAIRS:
        pairs = pairs[rng.choice(len(pairs), MAX_PAIRS, replace=False)]

    difference = factors[pairs[:, 0]] - factors[pairs[:, 1]]
    decides = np.abs(difference) > margins
    is_decided, first_decisive = decides.any(axis=1), decides.argmax(axis=1)
    sign = difference[np.arange(len(pairs)), first_decisive]
    better_first = np.where((sign > 0)[:, None], pairs, pairs[:, ::-1])
    return np.asarray(better_first[is_decided])


def cross_validate(episodes: EpisodeFeatures, pairs: Indices) -> float:
    """Return the share of correctly ordered pairs of programs that were held out from training, in [0, 1].

    The episodes of one policy are much alike, so programs are held out instead of episodes: each one once, in folds.
    """
    programs = sorted(set(episodes.owners))
    fold_of_episode = np.array([programs.index(owner) % FOLDS for owner in episodes.owners])
    correct, count = 0.0, 0
    for fold in range(FOLDS):
        held_out = (fold_of_episode[pairs] == fold).any(axis=1)
        if held_out.any() and not held_out.all():
            weights = fit_weights(episodes.features, pairs[~held_out], episodes.ridge)
            held_out_count = int(held_out.sum())
            correct += measure_accuracy(episodes.features, pairs[held_out], weights) * held_out_count
            count += held_out_count
    return correct / count if count else 0.0


def fit_weights(features: Array, pairs: Indices, ridge: Array) -> Array:
    """Fit weights under which the better of each pair has the higher return, (d,).

    Args:
        features: (n, d) of episodes.
        pairs: (m, 2), the better one first.
        ridge: (d,): penalty of each weight, relative to the mean loss of a pair.
    """
    scale = features.std(axis=0) + 1e-9
    difference = (features[pairs[:, 0]] - features[pairs[:, 1]]) / scale
    weights, _ = fit_logistic(difference, np.ones(len(difference)), ridge * len(difference))
    return np.asarray(weights / scale)


def measure_accuracy(features: Array, pairs: Indices, weights: Array) -> float:
    """Return the share of pairs whose better episode has the higher return, in [0, 1]; a tie counts half."""
    difference = (features[pairs[:, 0]] - features[pairs[:, 1]]) @ weights
    return float(np.mean((difference > 0) + 0.5 * (difference == 0)))


def _resolve_margins(measures: Array, factors: Sequence[RankedFactor]) -> Array:
    """Return the margin of each factor, (k,)."""
    stds = measures.std(axis=0)
    margins = [
        DEFAULT_MARGIN * std if factor.margin is None else factor.margin
        for factor, std in zip(factors, stds, strict=True)
    ]
    return np.array(margins, dtype=np.float64)
