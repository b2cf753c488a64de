"""Similarity of two sentences by their words."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence

COMMON_WORDS = frozenset(
    "a an and as at be by can for from in into is it its of on or so that the then to up with".split()
)
"""Words that do not tell one task from another."""


def tfidf_similarity(query: str, documents: Sequence[str]) -> list[float]:
    """Return how similar each document is to a query, in [0, 1].

    It is the cosine between TF-IDF vectors (Salton and Buckley 1988, with idf = ln((1 + n) / (1 + df)) + 1).
    """
    word_counts = [Counter(split_words(document)) for document in documents]
    document_frequency = Counter(word for counts in word_counts for word in counts)

    query_vector = _weigh(Counter(split_words(query)), document_frequency, len(documents))
    document_vectors = [_weigh(counts, document_frequency, len(documents)) for counts in word_counts]
    return [_cosine(query_vector, vector) for vector in document_vectors]


def split_words(text: str) -> list[str]:
    """Return the words of a text that tell tasks apart, without their endings.

    >>> split_words("Hopping forward on the HalfCheetah-v5")
    ['hopp', 'forward', 'half', 'cheetah']
    """
    without_version = re.sub(r"-v\d+\b", " ", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text))
    words = [word for word in re.findall(r"[a-z]+", without_version.lower()) if word not in COMMON_WORDS]
    return [re.sub(r"(?<=\w{3})(?:ing|ed|ly|s)$", "", word) for word in words]


def _weigh(counts: Counter[str], document_frequency: Counter[str], n: int) -> dict[str, float]:
    """Return the TF-IDF weight of each word."""
    return {word: count * (math.log((1 + n) / (1 + document_frequency[word])) + 1.0) for word, count in counts.items()}


def _cosine(left: Mapping[str, float], right: Mapping[str, float]) -> float:
    norm = math.hypot(*left.values()) * math.hypot(*right.values())
    return sum(weight * right.get(word, 0.0) for word, weight in left.items()) / norm if norm else 0.0
