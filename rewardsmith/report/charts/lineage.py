"""Where the nodes of a picture of a search's lineage lie: a column for each generation, a line from parent to child.

Lengths are in the units of the SVG's viewBox; `templates/_drawn.html` draws it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rewardsmith.contract.records import Candidate
from rewardsmith.report.text import figure

NODE_WIDTH, NODE_HEIGHT = 104, 34
COLUMN, ROW = 150, 44
MARGIN, HEAD = 6, 22
"""Room around the picture, and above it for the generations' names."""
LEAST_WIDTH = 340
"""A single column is not blown up to the width of its place."""


@dataclass(frozen=True)
class Node:
    """A candidate, drawn."""

    id: str
    x: float
    y: float
    fitness: str
    bar: float
    """Its fitness between the worst and the best that is known, in [0, 1]."""
    status: str
    best: bool
    mine: bool
    """The user wrote it."""


@dataclass(frozen=True)
class Edge:
    """From a parent to a child, drawn."""

    parent: str
    child: str
    d: str
    """The SVG path."""
    best: bool
    """On the way to the best candidate."""


@dataclass(frozen=True)
class Lineage:
    """The whole picture."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    columns: tuple[tuple[float, int], ...]
    """Where each generation stands, and its number."""
    width: int
    height: int


def lineage(candidates: Sequence[Candidate], best: str | None) -> Lineage | None:
    """Lay out the candidates; None where there is none."""
    if not candidates:
        return None
    generations = sorted({one.generation for one in candidates})
    known = [one.fitness for one in candidates if one.fitness is not None]
    low, span = min(known, default=0.0), (max(known, default=0.0) - min(known, default=0.0)) or 1.0
    nodes: dict[str, Node] = {}
    for column, generation in enumerate(generations):
        members = [one for one in candidates if one.generation == generation]
        for row, one in enumerate(members):
            bar = 0.0 if one.fitness is None else 0.05 + 0.95 * (one.fitness - low) / span
            nodes[one.id] = Node(
                one.id,
                MARGIN + column * COLUMN,
                HEAD + row * ROW,
                figure(one.fitness, 3) if one.fitness is not None else one.status,
                round(bar, 3),
                one.status,
                one.id == best,
                one.proposal.author == "user",
            )
    line = ancestors(candidates, best)
    edges = [
        Edge(parent, one.id, _curve(nodes[parent], nodes[one.id]), one.id in line and parent in line)
        for one in candidates
        for parent in one.proposal.parents
        if parent in nodes
    ]
    most = max(sum(one.generation == generation for one in candidates) for generation in generations)
    return Lineage(
        tuple(nodes.values()),
        tuple(sorted(edges, key=lambda edge: edge.best)),
        tuple((MARGIN + column * COLUMN, generation) for column, generation in enumerate(generations)),
        max(LEAST_WIDTH, 2 * MARGIN + (len(generations) - 1) * COLUMN + NODE_WIDTH),
        HEAD + most * ROW,
    )


def ancestors(candidates: Sequence[Candidate], id: str | None) -> set[str]:
    """Return a candidate with all it was made from."""
    parents = {one.id: one.proposal.parents for one in candidates}
    found: set[str] = set()
    open_ = [id] if id else []
    while open_:
        one = open_.pop()
        if one not in found:
            found.add(one)
            open_ += parents.get(one, ())
    return found


def _curve(parent: Node, child: Node) -> str:
    x0, y0 = parent.x + NODE_WIDTH, parent.y + NODE_HEIGHT / 2
    x1, y1 = child.x, child.y + NODE_HEIGHT / 2
    middle = (x0 + x1) / 2
    return f"M{x0:g} {y0:g}C{middle:g} {y0:g} {middle:g} {y1:g} {x1:g} {y1:g}"
