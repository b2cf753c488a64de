"""The tree strategy: refinements form a tree, and UCT decides which program is refined next.

UCT (Kocsis & Szepesvári, 2006) goes down from the root, which stands for no program yet, to the child with the
greatest mean + c * sqrt(ln(visits of the parent) / visits). A node's mean is over all programs of its branch, each
worth its place among all candidates so far in [0, 1]: fitness has a scale of its own in every task. A node takes
another child as long as it has fewer than the root of its visits (progressive widening, Coulom, 2007), so that a
branch is widened where it pays. The slots of a generation are chosen one after the other and expanded at once: each
choice counts as a visit that earned nothing, which sends the next one elsewhere (virtual loss, Chaslot et al., 2008).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from rewardsmith.contract.records import Assignment, Candidate, Generation
from rewardsmith.search.steps.evolution.diversity import Distance
from rewardsmith.search.steps.evolution.ranking import ranked
from rewardsmith.spec.config import Config


@dataclass
class Node:
    """A candidate in the tree, a slot that is about to be filled, or the root."""

    parent: Node | None = None
    candidate: Candidate | None = None
    """None for the root and for a slot that is about to be filled."""
    open: bool = True
    """It has a program that can be refined, or is the root."""
    children: list[Node] = field(default_factory=list)
    visits: int = 0
    worth: float = 0.0
    """Sum over its branch of each program's worth in [0, 1]."""

    def path(self) -> Iterator[Node]:
        """Yield this node and those above it, the root last."""
        node: Node | None = self
        while node is not None:
            yield node
            node = node.parent

    def grow(self, candidate: Candidate | None, worth: float, open: bool) -> Node:
        """Add a child, and count it all the way up."""
        child = Node(self, candidate, open)
        self.children.append(child)
        for node in child.path():
            node.visits += 1
            node.worth += worth
        return child


def plan(config: Config, history: Sequence[Candidate], plans: Sequence[Generation], _: Distance) -> Generation:
    """Plan which programs are refined next; see `evolution.plan`. What spreads the search is visits, not distance."""
    root = grown(history, plans, config.evolution.caution)
    slots: list[Assignment] = []
    while len(slots) < config.search.population:
        node = chosen(root, config.evolution.exploration)
        slots.append(_assignment(node))
        node.grow(None, 0.0, open=False)  # the virtual loss
    return Generation(tuple(slots))


def grown(history: Sequence[Candidate], plans: Sequence[Generation], caution: float) -> Node:
    """Return the tree of all candidates so far; where each one hangs stands in the plans."""
    worth = worths(history, caution)
    root = Node()
    nodes: dict[str, Node] = {}
    for candidate in sorted(history, key=lambda one: (one.generation, one.slot)):
        if candidate.generation < len(plans) and candidate.status != "infrastructure":
            above = plans[candidate.generation].slots[candidate.slot].parents
            parent = nodes.get(above[0], root) if above else root
            nodes[candidate.id] = parent.grow(candidate, worth.get(candidate.id, 0.0), candidate.id in worth)
    return root


def worths(history: Sequence[Candidate], caution: float) -> dict[str, float]:
    """Return the place of each scored candidate: 1 for the best, falling evenly; a failure has none, and earns 0.

    The worst scored one keeps a little, so that it stays above a failure.
    """
    best = ranked(history, caution)
    return {candidate.id: 1.0 - rank / len(best) for rank, candidate in enumerate(best)}


def chosen(root: Node, exploration: float) -> Node:
    """Return the node to expand."""
    node = root
    while True:
        below = [child for child in node.children if child.open]
        if not below or len(node.children) < math.ceil(math.sqrt(node.visits)):
            return node
        node = max(below, key=lambda child: uct(child, exploration))


def uct(node: Node, exploration: float) -> float:
    """Return the upper confidence bound of a node below another."""
    assert node.parent is not None
    return node.worth / node.visits + exploration * math.sqrt(math.log(node.parent.visits) / node.visits)


def _assignment(node: Node) -> Assignment:
    """Return the slot that expands a node: its author hears of the path to it and of what was made from it."""
    path = [one.candidate.id for one in node.path() if one.candidate]
    tried = [one.candidate.id for one in node.children if one.candidate]
    if node.candidate is None:
        return Assignment("new", (), tuple(tried))
    return Assignment("refine", (node.candidate.id,), (*reversed(path), *tried))
