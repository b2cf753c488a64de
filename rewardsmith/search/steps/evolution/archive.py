"""The archive of behaviours: a grid over the descriptors, with the best policy so far in each cell.

It is computed from the candidates and kept nowhere, so the journal stays the only source. A policy is one training of a
program; its behaviour is the mean of each descriptor over its evaluated episodes. Coverage and QD score are those of
the literature (Pugh, Soros & Stanley, 2016).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rewardsmith.contract.records import BehaviourDescriptor, Candidate
from rewardsmith.contract.text import pluralize

Cell = tuple[int, ...]
"""Index of a cell: the part of each descriptor's range, from 0."""


@dataclass(frozen=True)
class Elite:
    """The best policy of a cell."""

    candidate: str
    """Id of its program's candidate."""
    seed: int
    """Seed of its training."""
    fitness: float
    behaviour: tuple[float, ...]
    """Value of each descriptor."""


@dataclass(frozen=True)
class BehaviourArchive:
    """The cells that are filled, of a grid over the descriptors' ranges."""

    descriptors: tuple[BehaviourDescriptor, ...]
    elites: Mapping[Cell, Elite]

    @classmethod
    def build(cls, descriptors: Sequence[BehaviourDescriptor], candidates: Iterable[Candidate]) -> BehaviourArchive:
        """Build the archive of a search: of two policies in a cell the fitter one stays, of equal ones the earlier.

        Args:
            descriptors: of the task.
            candidates: oldest first; those that are not ok, or lack a descriptor's value, take no part.
        """
        elites: dict[Cell, Elite] = {}
        archive = cls(tuple(descriptors), elites)
        for candidate in candidates:
            for elite in _list_policies(descriptors, candidate):
                cell = archive.find_cell(elite.behaviour)
                if cell not in elites or elite.fitness > elites[cell].fitness:
                    elites[cell] = elite
        return archive

    @property
    def size(self) -> int:
        """Number of cells, filled or not."""
        return math.prod(descriptor.bins for descriptor in self.descriptors)

    @property
    def coverage(self) -> float:
        """Share of the cells that are filled, in [0, 1]."""
        return len(self.elites) / self.size

    def describe_coverage(self) -> str:
        """Return how much of it is filled, in words."""
        return f"policies in {len(self.elites)} of {pluralize(self.size, 'cell')} ({self.coverage:.0%})"

    def compute_qd_score(self, floor: float) -> float:
        """Return the sum over the filled cells of the fitness above `floor`; a cell below it counts 0.

        Args:
            floor: a fitness that is worth nothing, such as that of random actions.
        """
        return sum(max(0.0, elite.fitness - floor) for elite in self.elites.values())

    def find_cell(self, behaviour: Sequence[float]) -> Cell:
        """Return the cell of a behaviour; what is beyond a range counts in the part at its end."""
        return tuple(
            min(max(math.floor((value - one.low) / (one.high - one.low) * one.bins), 0), one.bins - 1)
            for one, value in zip(self.descriptors, behaviour, strict=True)
        )

    def find_bounds(self, cell: Cell) -> dict[str, tuple[float, float]]:
        """Return the lower and upper end of a cell for each descriptor."""
        bounds = {}
        for descriptor, part in zip(self.descriptors, cell, strict=True):
            width = (descriptor.high - descriptor.low) / descriptor.bins
            bounds[descriptor.name] = (descriptor.low + part * width, descriptor.low + (part + 1) * width)
        return bounds

    def list_empty_neighbours(self, cell: Cell) -> list[Cell]:
        """Return the empty cells that touch a cell, at a corner too, in the order of their indices."""
        ranges = [
            range(max(0, part - 1), min(descriptor.bins, part + 2))
            for descriptor, part in zip(self.descriptors, cell, strict=True)
        ]
        return [near for near in itertools.product(*ranges) if near not in self.elites]


def _list_policies(descriptors: Sequence[BehaviourDescriptor], candidate: Candidate) -> list[Elite]:
    """Return the policies of a candidate that have a fitness and a behaviour."""
    if candidate.status != "ok":
        return []
    policies = []
    for training, evaluation in zip(candidate.trainings, candidate.evaluations, strict=False):
        values = [evaluation.metrics.get(descriptor.name) for descriptor in descriptors]
        behaviour = tuple(value for value in values if value is not None and math.isfinite(value))
        is_measured = len(behaviour) == len(descriptors)
        if is_measured and evaluation.fitness is not None and math.isfinite(evaluation.fitness):
            policies.append(Elite(candidate.id, training.seed, evaluation.fitness, behaviour))
    return policies
