"""How alike two sentences are by their words: for the reward library, and for a task that another card would suit."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence

COMMON = frozenset("a an and as at be by can for from in into is it its of on or so that the then to up with".split())


def likenesses(asked: str, documents: Sequence[str]) -> list[float]:
    """Return how alike each document is to what is asked, in [0, 1].

    It is the cosine between TF-IDF vectors (Salton and Buckley 1988, with idf = ln((1 + n) / (1 + df)) + 1).
    """
    counted = [Counter(words(document)) for document in documents]
    there = Counter(word for document in counted for word in document)
    wanted = _weighted(Counter(words(asked)), there, len(counted))
    return [_cosine(wanted, _weighted(document, there, len(counted))) for document in counted]


def words(text: str) -> list[str]:
    """Return the words of a text that tell tasks apart, without their endings.

    >>> words("Hopping forward on the HalfCheetah-v5")
    ['hopp', 'forward', 'half', 'cheetah']
    """
    parted = re.sub(r"-v\d+\b", " ", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text))
    found = [word for word in re.findall(r"[a-z]+", parted.lower()) if word not in COMMON]
    return [re.sub(r"(?<=\w{3})(?:ing|ed|ly|s)$", "", word) for word in found]


def _weighted(document: Counter[str], there: Counter[str], n: int) -> dict[str, float]:
    return {word: count * (math.log((1 + n) / (1 + there[word])) + 1.0) for word, count in document.items()}


def _cosine(left: Mapping[str, float], right: Mapping[str, float]) -> float:
    size = math.hypot(*left.values()) * math.hypot(*right.values())
    return sum(weight * right.get(word, 0.0) for word, weight in left.items()) / size if size else 0.0
