"""Diversity: the distance between two programs, and choosing parents that are good and unlike each other."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache

from rewardsmith.contract import python_ast
from rewardsmith.contract.records import Candidate

Distance = Callable[[Candidate, Candidate], float]
"""Distance between two candidates, in [0, 1]."""


def behaviour_distance(unlike: Callable[[str, str], float | None]) -> Distance:
    """Return the distance between what programs pay, and between their texts if that is not known.

    Args:
        unlike: of two programs' texts, in [0, 1]; None where one of them cannot be scored.
    """

    def distance(a: Candidate, b: Candidate) -> float:
        by_behaviour = unlike(a.proposal.source, b.proposal.source)
        return text_distance(a, b) if by_behaviour is None else by_behaviour

    return distance


def text_distance(a: Candidate, b: Candidate) -> float:
    """Return how differently two candidates' programs are made, in [0, 1]; 0 where they differ in figures alone.

    It is 1 less the weighted Jaccard similarity (Ruzicka) of what stands in their texts: the signals that they
    read, the functions that they call, the operators between them.
    """
    parts_a, parts_b = _count_parts(a.proposal.source), _count_parts(b.proposal.source)
    union = sum((parts_a | parts_b).values())
    return 1.0 - sum((parts_a & parts_b).values()) / union if union else 0.0


def choose_diverse(
    candidates: Sequence[Candidate], count: int, weight: float, distance: Distance = text_distance, first: int = 1
) -> list[Candidate]:
    """Choose candidates that are good and unlike each other.

    Each further one has the greatest sum of its place, 1 for the first and 0 for the last, and of `weight` times its
    distance to the nearest one already chosen (maximal marginal relevance, Carbonell & Goldstein, 1998).

    Args:
        candidates: best first.
        count: how many at most.
        weight: of the distance; 0 takes them in their order.
        distance: how unlike two of them are.
        first: how many are taken in their order before distances count.
    """
    chosen, remaining = list(candidates[:first]), list(candidates[first:])
    worst_rank = max(1, len(candidates) - 1)
    place = {candidate.id: 1.0 - rank / worst_rank for rank, candidate in enumerate(candidates)}

    def worth(candidate: Candidate) -> float:
        if not weight:  # a distance may cost the scoring of a program
            return place[candidate.id]
        return place[candidate.id] + weight * min(distance(candidate, other) for other in chosen)

    while remaining and len(chosen) < count:
        best = max(remaining, key=worth)
        chosen.append(best)
        remaining.remove(best)
    return chosen[:count]


@lru_cache(maxsize=1024)
def _count_parts(source: str) -> Counter[str]:
    """Return what a program is made of, with how often; nothing for a text that does not parse."""
    tree = python_ast.parse_or_none(source)
    if tree is None:
        return Counter()
    return Counter(part for node in ast.walk(tree) if (part := _name_part(node)) is not None)


def _name_part(node: ast.AST) -> str | None:
    if isinstance(node, ast.Attribute):
        return ast.unparse(node)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return f"{node.func.id}()"
    if isinstance(node, ast.operator | ast.unaryop | ast.cmpop) and not isinstance(node, ast.USub):
        return type(node).__name__
    return None
