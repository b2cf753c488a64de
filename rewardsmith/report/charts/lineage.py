"""Layout of a search's lineage graph: a column for each generation, an edge from parent to child.

Lengths are in the units of the SVG's viewBox; `templates/_drawn.html` draws it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from rewardsmith.contract.records import Candidate
from rewardsmith.contract.text import format_number

NODE_WIDTH, NODE_HEIGHT = 116, 34
COLUMN_WIDTH, ROW_HEIGHT = 162, 44
MARGIN, HEAD_HEIGHT = 6, 22
"""Room around the picture, and above it for the names of the generations."""
MIN_WIDTH = 340
"""Least width of the picture, so that a single column is not enlarged to the width of the page."""
MIN_BAR = 0.05
"""Length of the bar of the lowest fitness, so that it can be seen."""


@dataclass(frozen=True)
class LineageNode:
    """A candidate, drawn."""

    id: str
    x: float
    y: float
    fitness: str
    bar: float
    """Its fitness between the lowest and the highest of the search, in [0, 1]."""
    status: str
    best: bool
    mine: bool
    """Whether the user wrote it."""


@dataclass(frozen=True)
class LineageEdge:
    """A line from a parent to a child, drawn."""

    parent: str
    child: str
    d: str
    """The SVG path."""
    best: bool
    """Whether it leads to the best candidate."""


@dataclass(frozen=True)
class LineageGraph:
    """The complete picture."""

    nodes: tuple[LineageNode, ...]
    edges: tuple[LineageEdge, ...]
    columns: tuple[tuple[float, int], ...]
    """x of each generation's column, and its number."""
    width: int
    height: int


def layout_lineage(candidates: Sequence[Candidate], best: str | None) -> LineageGraph | None:
    """Lay out the candidates of a search; None if there are none.

    Args:
        candidates: in any order; a generation's rows follow it.
        best: id of the candidate to emphasise, together with its ancestors.
    """
    if not candidates:
        return None

    # Columns: one for each generation.
    generations = sorted({candidate.generation for candidate in candidates})
    column_x = {generation: MARGIN + index * COLUMN_WIDTH for index, generation in enumerate(generations)}

    # Nodes: from top to bottom in each column.
    bars = _fitness_bars(candidates)
    rows_used: Counter[int] = Counter()
    nodes: dict[str, LineageNode] = {}
    for candidate in sorted(candidates, key=lambda candidate: candidate.generation):
        nodes[candidate.id] = LineageNode(
            id=candidate.id,
            x=column_x[candidate.generation],
            y=HEAD_HEIGHT + rows_used[candidate.generation] * ROW_HEIGHT,
            fitness=candidate.status if candidate.fitness is None else format_number(candidate.fitness, 3),
            bar=bars[candidate.id],
            status=candidate.status,
            best=candidate.id == best,
            mine=candidate.proposal.author == "user",
        )
        rows_used[candidate.generation] += 1

    # Edges: those that lead to the best candidate are drawn last, over the others.
    emphasised = find_ancestors(candidates, best)
    edges = []
    for candidate in candidates:
        for parent in candidate.proposal.parents:
            if parent in nodes:
                is_best = candidate.id in emphasised and parent in emphasised
                path = _edge_path(nodes[parent], nodes[candidate.id])
                edges.append(LineageEdge(parent, candidate.id, path, is_best))
    edges.sort(key=lambda edge: edge.best)

    width = 2 * MARGIN + (len(generations) - 1) * COLUMN_WIDTH + NODE_WIDTH
    return LineageGraph(
        nodes=tuple(nodes.values()),
        edges=tuple(edges),
        columns=tuple((column_x[generation], generation) for generation in generations),
        width=max(MIN_WIDTH, width),
        height=HEAD_HEIGHT + max(rows_used.values()) * ROW_HEIGHT,
    )


def _fitness_bars(candidates: Sequence[Candidate]) -> dict[str, float]:
    """Return the length of each candidate's bar, in [0, 1]; 0 without a fitness."""
    values = [candidate.fitness for candidate in candidates if candidate.fitness is not None]
    low, high = min(values, default=0.0), max(values, default=0.0)
    span = (high - low) or 1.0
    bars = {}
    for candidate in candidates:
        bar = 0.0 if candidate.fitness is None else MIN_BAR + (1.0 - MIN_BAR) * (candidate.fitness - low) / span
        bars[candidate.id] = round(bar, 3)
    return bars


def find_ancestors(candidates: Sequence[Candidate], id: str | None) -> set[str]:
    """Return the ids of a candidate and of all its ancestors; empty without an id."""
    parents = {candidate.id: candidate.proposal.parents for candidate in candidates}
    ancestors: set[str] = set()
    to_visit = [id] if id else []
    while to_visit:
        current = to_visit.pop()
        if current not in ancestors:
            ancestors.add(current)
            to_visit += parents.get(current, ())
    return ancestors


def _edge_path(parent: LineageNode, child: LineageNode) -> str:
    """Return an S-shaped SVG path from the right side of the parent to the left side of the child."""
    x0, y0 = parent.x + NODE_WIDTH, parent.y + NODE_HEIGHT / 2
    x1, y1 = child.x, child.y + NODE_HEIGHT / 2
    middle = (x0 + x1) / 2
    return f"M{x0:g} {y0:g}C{middle:g} {y0:g} {middle:g} {y1:g} {x1:g} {y1:g}"
