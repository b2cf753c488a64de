"""The tree strategy: refinements form a tree, and UCT decides which program is refined next.

UCT (Kocsis & Szepesvári, 2006) goes down from the root, which stands for no program yet, to the child with the
greatest mean + c * sqrt(ln(visits of the parent) / visits). A node's mean is over all programs of its branch, each
worth its place among all candidates so far in [0, 1]: fitness has another scale in every task. A node takes
another child as long as it has fewer than the root of its visits (progressive widening, Coulom, 2007), so that a
branch is widened where it pays. The slots of a generation are chosen one after the other and expanded at once: each
choice counts as a visit that earned nothing, which sends the next one elsewhere (virtual loss, Chaslot et al., 2008).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from rewardsmith.contract.records import Candidate, GenerationPlan, SlotAssignment
from rewardsmith.search.steps.evolution.diversity import Distance
from rewardsmith.search.steps.evolution.ranking import rank_candidates
from rewardsmith.spec.config import Config


@dataclass
class TreeNode:
    """A candidate in the tree, a slot that is about to be filled, or the root."""

    parent: TreeNode | None = None
    candidate: Candidate | None = None
    """None for the root and for a slot that is about to be filled."""
    is_open: bool = True
    """Whether it has a program that can be refined, or is the root."""
    children: list[TreeNode] = field(default_factory=list)
    visits: int = 0
    worth: float = 0.0
    """Sum over its branch of each program's worth in [0, 1]."""

    def iter_to_root(self) -> Iterator[TreeNode]:
        """Yield this node and those above it, the root last."""
        node: TreeNode | None = self
        while node is not None:
            yield node
            node = node.parent

    def add_child(self, candidate: Candidate | None, worth: float, is_open: bool) -> TreeNode:
        """Add a child, and count it all the way up."""
        child = TreeNode(self, candidate, is_open)
        self.children.append(child)
        for node in child.iter_to_root():
            node.visits += 1
            node.worth += worth
        return child


def plan_generation(
    config: Config, history: Sequence[Candidate], plans: Sequence[GenerationPlan], _: Distance
) -> GenerationPlan:
    """Plan which programs are refined next; see `evolution.plan_generation`.

    What spreads the search is visits, not distance.
    """
    root = build_tree(history, plans, config.evolution.caution)
    slots: list[SlotAssignment] = []
    while len(slots) < config.search.population:
        node = select_node(root, config.evolution.exploration)
        slots.append(assign_slot(node))
        node.add_child(None, 0.0, is_open=False)  # the virtual loss
    return GenerationPlan(tuple(slots))


def build_tree(history: Sequence[Candidate], plans: Sequence[GenerationPlan], caution: float) -> TreeNode:
    """Build the tree of all candidates so far; the plans say below which parent each one is."""
    worth = rank_worths(history, caution)
    root = TreeNode()
    nodes: dict[str, TreeNode] = {}
    for candidate in sorted(history, key=lambda candidate: (candidate.generation, candidate.slot)):
        if candidate.generation < len(plans) and candidate.status != "infrastructure":
            planned_parents = plans[candidate.generation].slots[candidate.slot].parents
            parent = nodes.get(planned_parents[0], root) if planned_parents else root
            is_scored = candidate.id in worth
            nodes[candidate.id] = parent.add_child(candidate, worth.get(candidate.id, 0.0), is_scored)
    return root


def rank_worths(history: Sequence[Candidate], caution: float) -> dict[str, float]:
    """Return the place of each scored candidate: 1 for the best, falling evenly; a failure has none, and earns 0.

    The worst scored one keeps a little, so that it stays above a failure.
    """
    best = rank_candidates(history, caution)
    return {candidate.id: 1.0 - rank / len(best) for rank, candidate in enumerate(best)}


def select_node(root: TreeNode, exploration: float) -> TreeNode:
    """Return the node to expand."""
    node = root
    while True:
        open_children = [child for child in node.children if child.is_open]
        takes_another = len(node.children) < math.ceil(math.sqrt(node.visits))  # progressive widening
        if not open_children or takes_another:
            return node
        node = max(open_children, key=lambda child: upper_confidence_bound(child, exploration))


def upper_confidence_bound(node: TreeNode, exploration: float) -> float:
    """Return the upper confidence bound of a node below another."""
    assert node.parent is not None
    return node.worth / node.visits + exploration * math.sqrt(math.log(node.parent.visits) / node.visits)


def assign_slot(node: TreeNode) -> SlotAssignment:
    """Return the slot that expands a node: its author sees the path to it and what was made from it."""
    path = [above.candidate.id for above in node.iter_to_root() if above.candidate]
    tried = [child.candidate.id for child in node.children if child.candidate]
    if node.candidate is None:
        return SlotAssignment("new", (), tuple(tried))
    return SlotAssignment("refine", (node.candidate.id,), (*reversed(path), *tried))
