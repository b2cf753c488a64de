"""Models that labels of captions are distilled into: hashing, classification and ranking.

The three of "Online Intrinsic Rewards for Decision Making Agents from Large Language Model Feedback" (Zheng et al.
2024, arXiv:2410.23022). In place of its networks the last two are logistic models of hashed words: they are fitted from
all labels whenever there are new ones, in milliseconds, and equal labels give an equal model.
"""

from __future__ import annotations

import itertools
import math
import re
import zlib
from collections.abc import Iterable, Sequence
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from rewardsmith.contract.captions import CaptionLabel, CaptionPreference, Label

Array = NDArray[np.float64]

FEATURES = 512
"""Numbers that the words of a caption, and its pairs of neighbouring words, are hashed to."""
RIDGE = 0.05
"""Weight of the squared parameters in the loss of one label."""
NEWTON_STEPS = 12
TOLERANCE = 1e-6
_WORD = re.compile(r"[a-z_]+|\d+")


class CaptionModel(Protocol):
    """A model of how much captions tell of progress."""

    def add_labels(self, labels: Iterable[Label]) -> None:
        """Learn from further labels."""
        ...

    def rate_captions(self, captions: Sequence[str]) -> Array:
        """Return the values (m,) of captions, from 0 to 1; 0 while nothing is known."""
        ...


class HashingModel:
    """A table: 1 for captions that were called helpful, 0 for all others."""

    def __init__(self) -> None:
        self._helpful: dict[str, bool] = {}

    def add_labels(self, labels: Iterable[Label]) -> None:
        """See `CaptionModel.add_labels`."""
        self._helpful.update({label.caption: label.helpful for label in labels if isinstance(label, CaptionLabel)})

    def rate_captions(self, captions: Sequence[str]) -> Array:
        """See `CaptionModel.rate_captions`."""
        return np.array([self._helpful.get(caption, False) for caption in captions], np.float64)


class ClassificationModel:
    """A logistic model: 1 where it is more likely than not that the caption would be called helpful."""

    def __init__(self) -> None:
        self._labels: list[CaptionLabel] = []
        self._weights: Array | None = None

    def add_labels(self, labels: Iterable[Label]) -> None:
        """See `CaptionModel.add_labels`."""
        added = [label for label in labels if isinstance(label, CaptionLabel)]
        if added:
            self._labels += added
            inputs = add_constant(hash_captions([label.caption for label in self._labels]))
            self._weights = fit_logistic(inputs, np.array([label.helpful for label in self._labels], np.float64))

    def rate_captions(self, captions: Sequence[str]) -> Array:
        """See `CaptionModel.rate_captions`."""
        if self._weights is None:
            return np.zeros(len(captions))
        return np.asarray(add_constant(hash_captions(captions)) @ self._weights > 0.0, np.float64)


class RankingModel:
    """A Bradley-Terry model of preferences: 0 below the median of the compared captions, towards 1 far above it."""

    def __init__(self) -> None:
        self._preferences: list[CaptionPreference] = []
        self._weights: Array | None = None
        self._median = 0.0

    def add_labels(self, labels: Iterable[Label]) -> None:
        """See `CaptionModel.add_labels`."""
        added = [label for label in labels if isinstance(label, CaptionPreference)]
        if not added:
            return
        self._preferences += added
        first = hash_captions([preference.first for preference in self._preferences])
        second = hash_captions([preference.second for preference in self._preferences])
        outcome = np.array([{1: 1.0, 2: 0.0}.get(preference.better, 0.5) for preference in self._preferences])
        self._weights = fit_logistic(first - second, outcome)
        known = sorted({caption for one in self._preferences for caption in (one.first, one.second)})
        self._median = float(np.median(hash_captions(known) @ self._weights))

    def rate_captions(self, captions: Sequence[str]) -> Array:
        """See `CaptionModel.rate_captions`."""
        if self._weights is None:
            return np.zeros(len(captions))
        lead = hash_captions(captions) @ self._weights - self._median
        return np.asarray(np.maximum(np.tanh(0.5 * lead), 0.0))


def make_caption_model(kind: Literal["hashing", "classification", "ranking"]) -> CaptionModel:
    """Return an empty model."""
    models: dict[str, type[CaptionModel]] = {
        "hashing": HashingModel,
        "classification": ClassificationModel,
        "ranking": RankingModel,
    }
    return models[kind]()


def hash_captions(captions: Sequence[str]) -> Array:
    """Return captions as vectors (m, FEATURES) of length 1: their words and pairs of neighbours, hashed with a sign."""
    vectors = np.zeros((len(captions), FEATURES))
    for row, caption in enumerate(captions):
        words = _WORD.findall(caption.lower())
        for word in (*words, *map(" ".join, itertools.pairwise(words))):
            code = zlib.crc32(word.encode())
            vectors[row, code % FEATURES] += 1.0 if code >> 31 else -1.0
    lengths = np.sqrt((vectors * vectors).sum(axis=1, keepdims=True))
    return np.asarray(vectors / np.maximum(lengths, 1.0))


def add_constant(vectors: Array) -> Array:
    """Return vectors with a 1 behind each, for the constant of a linear model."""
    return np.hstack([vectors, np.ones((len(vectors), 1))])


def fit_logistic(inputs: Array, outcomes: Array) -> Array:
    """Return the weights (d,) of a logistic model, by Newton's method on the penalised log-likelihood.

    Args:
        inputs: (m, d).
        outcomes: (m,), from 0 to 1.
    """
    weights = np.zeros(inputs.shape[1])
    for _ in range(NEWTON_STEPS):
        chance = 1.0 / (1.0 + np.exp(-inputs @ weights))
        gradient = inputs.T @ (chance - outcomes) + RIDGE * weights
        curvature = (inputs * (chance * (1.0 - chance))[:, None]).T @ inputs + RIDGE * np.eye(len(weights))
        step = np.linalg.solve(curvature, gradient)
        weights = weights - step
        if math.sqrt(float(step @ step)) < TOLERANCE:
            break
    return weights
