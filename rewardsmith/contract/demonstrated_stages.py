"""Stages of demonstrations: where they begin and end, the features that tell them apart, and the progress of a state.

After Unsupervised Perceptual Rewards (Sermanet et al. 2017, arXiv:1612.06699), on signals in place of the activations
of an image network. Each demonstration is cut into the same number of stages, in order, so that the states of a stage
are alike. A few features are kept, those whose distributions differ most between a stage and the others. The progress
is the expected stage of a state, from 0 in the first to 1 in the last.

Three things differ from the paper. The cut minimises the sum of squared deviations, which has an exact solution by
dynamic programming, where the paper searches greedily for the least mean deviation. The likelihood has heavy tails
(Student's t with one degree of freedom), so that the progress rises from afar. And states that are like no stage count
as the first: without that, a state far from all demonstrations would be as near to the last stage as to the first.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from rewardsmith.contract.records.demonstrations import DemonstratedStages

Array = NDArray[np.float64]

ALPHA = 5.0
"""Weight of the distance of two means against the deviations around them, as in the paper."""
FEATURES_PER_STAGE = 4
"""Features that are kept for each stage; the paper keeps 32 of an image network's thousands."""
FLOOR = 0.05
"""Least deviation of a feature in a stage, in deviations over all demonstrations."""
BACKGROUND = 3.0
"""Deviation of states that are like no stage, in the same unit."""
EVIDENCE = 2.0
"""Features that count in full: of more, each counts less, so that the progress stays gradual."""
MAX_STEPS = 400
"""Steps of a demonstration that are cut; of a longer one, so many at equal distances."""
SMALLEST = 1e-9
"""A feature that varies less than this is constant."""


def compute_progress(stages: DemonstratedStages, signals: Mapping[str, Array]) -> Array:
    """Return the progress (m,) of m states, in [0, 1].

    Args:
        stages: of demonstrations.
        signals: name to (m, *shape), for every signal in `stages.shapes`.
    """
    states = np.stack([_flatten(signals[name])[:, place] for name, place in stages.features], axis=1)
    scaled = (states - np.array(stages.center)) / np.array(stages.scale)
    background = np.full(len(stages.features), BACKGROUND)
    mean, deviation = np.vstack([stages.mean, 0.0 * background]), np.vstack([stages.deviation, background])

    # Log-likelihood of each stage, and last of none of them: naive Bayes over the features.
    z = (scaled[:, None, :] - mean) / deviation
    log_likelihood = -(np.log(deviation) + np.log1p(z * z)).mean(axis=2) * min(EVIDENCE, len(stages.features))

    # Expected stage under equal prior probabilities.
    weight = np.exp(log_likelihood - log_likelihood.max(axis=1, keepdims=True))
    place = np.append(np.linspace(0.0, 1.0, len(stages.mean)), 0.0)
    return np.asarray(weight @ place / weight.sum(axis=1))


def fit_stages(demonstrations: Sequence[Mapping[str, Array]], stages: int) -> DemonstratedStages:
    """Find the stages of demonstrations.

    Args:
        demonstrations: signals of at least one episode, name to (T, *shape); all have the same signals.
        stages: G, at least 2.

    Raises:
        ValueError: if a demonstration has fewer states than stages, or nothing varies in them.
    """
    shapes = {name: values.shape[1:] for name, values in demonstrations[0].items()}
    columns = [(name, place) for name, shape in shapes.items() for place in range(math.prod(shape))]
    sequences = [_thin_out(np.hstack([_flatten(values) for values in one.values()])) for one in demonstrations]
    shortest = min(map(len, sequences))
    if shortest < stages:
        raise ValueError(f"a demonstration has {shortest} states, fewer than the {stages} stages")

    # Features of deviation 1; constants tell nothing.
    joined = np.concatenate(sequences)
    center, scale = joined.mean(axis=0), joined.std(axis=0)
    varying = np.flatnonzero(scale > SMALLEST * (1.0 + np.abs(center)))
    if not len(varying):
        raise ValueError("no signal varies in the demonstrations")
    scaled = [(states[:, varying] - center[varying]) / scale[varying] for states in sequences]

    # Cut each demonstration, and join what belongs to the same stage.
    stage_of = np.concatenate([np.repeat(np.arange(stages), np.diff(cut_sequence(one, stages))) for one in scaled])
    together = np.concatenate(scaled)
    mean = np.stack([together[stage_of == stage].mean(axis=0) for stage in range(stages)])
    deviation = np.stack([together[stage_of == stage].std(axis=0) for stage in range(stages)])

    kept = select_features(together, stage_of, stages)
    features = [columns[column] for column in varying[kept].tolist()]
    return DemonstratedStages(
        features=tuple(features),
        shapes={name: shapes[name] for name, _ in features},
        center=tuple(center[varying[kept]].tolist()),
        scale=tuple(scale[varying[kept]].tolist()),
        mean=tuple(map(tuple, mean[:, kept].tolist())),
        deviation=tuple(map(tuple, np.maximum(deviation[:, kept], FLOOR).tolist())),
    )


def cut_sequence(states: Array, stages: int) -> list[int]:
    """Return the borders of stages, [0, ..., T], that minimise the sum of squared deviations inside the stages.

    >>> cut_sequence(np.array([[0.0], [0.1], [5.0], [5.1], [5.0], [9.0]]), 3)
    [0, 2, 5, 6]

    Args:
        states: (T, F), T at least `stages`.
        stages: number of parts, none of them empty.
    """
    # within[i, j]: sum of squared deviations of the states from i to j - 1 around their mean.
    steps = len(states)
    sums = np.vstack([np.zeros(states.shape[1]), np.cumsum(states, axis=0)])
    squares = np.append(0.0, np.cumsum((states * states).sum(axis=1)))
    products = sums @ sums.T
    lengths = np.arange(steps + 1)[None, :] - np.arange(steps + 1)[:, None]
    distance = np.diag(products)[:, None] + np.diag(products)[None, :] - 2.0 * products
    within = squares[None, :] - squares[:, None] - distance / np.maximum(lengths, 1)
    within[lengths < 1] = np.inf

    # best[j]: least sum of the first j states in so many parts; choices: where the last of them begins.
    best, choices = within[0], []
    for _ in range(stages - 1):
        totals = best[:, None] + within
        choices.append(totals.argmin(axis=0))
        best = totals.min(axis=0)

    borders = [steps]
    for choice in reversed(choices):
        borders.append(int(choice[borders[-1]]))
    return [0, *reversed(borders)]


def select_features(states: Array, stage_of: NDArray[np.intp], stages: int) -> NDArray[np.intp]:
    """Return the features that tell the stages apart, ascending.

    The score of a feature for a stage is ALPHA |mean of the stage - mean of the others| - (deviation of the stage +
    deviation of the others), as in section 3.2 of the paper; the features with the highest scores are kept.

    Args:
        states: (m, F), of deviation 1.
        stage_of: (m,).
        stages: how many there are.
    """
    kept: set[int] = set()
    for stage in range(stages):
        inside, others = states[stage_of == stage], states[stage_of != stage]
        distance = np.abs(inside.mean(axis=0) - others.mean(axis=0))
        score = ALPHA * distance - inside.std(axis=0) - others.std(axis=0)
        kept.update(np.argsort(-score, kind="stable")[:FEATURES_PER_STAGE].tolist())
    return np.array(sorted(kept), np.intp)


def _flatten(values: Array) -> Array:
    return values.reshape(len(values), -1)


def _thin_out(states: Array) -> Array:
    if len(states) <= MAX_STEPS:
        return states
    return states[np.linspace(0, len(states) - 1, MAX_STEPS).round().astype(np.intp)]
