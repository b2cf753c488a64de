"""Programs with other weights: what evolution writes itself, without a call of a model.

A program is its terms and their WEIGHTS; programs that differ in these numbers alone are variants of one skeleton.
The search over the weights of a skeleton works on their logarithms, and a weight keeps its sign. Its state is
nothing but the variants in the history: it is worked out anew for every slot, so a resumed search goes on as it was.

cma          CMA-ES (Hansen, 2016, arXiv:1604.00772) by the library `cmaes`; a generation's variants are one batch,
             filled up with the best earlier ones (injection: Hansen, 2011, arXiv:1110.4181)
log-normal   one step of fixed size from the best program
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rewardsmith.contract import reward_program
from rewardsmith.contract.errors import ProgramError
from rewardsmith.contract.records import Brief, Candidate, Finding, Proposal
from rewardsmith.search.steps.evolution.ranking import DEFAULTS, score
from rewardsmith.spec.settings import EvolutionSettings

if TYPE_CHECKING:
    from rewardsmith.search.steps.designer import Designer

Array = NDArray[np.float64]
AUTHOR = "weights"
DIGITS = 3
"""Significant digits of a weight: finer ones change no training and make a text hard to read."""
LEAST_BATCH = 4
"""CMA-ES ranks at least so many; below, its covariance does not move."""
SMALLER = 0.5
"""Part of a step that a refused program is drawn with again."""
SAME = "duplicate"
"""The critic's finding that a program pays what an earlier one pays."""


@dataclass(frozen=True)
class Variant:
    """A scored program of the skeleton."""

    generation: int
    slot: int
    point: Array
    """(d,): logarithms of the sizes of its weights."""
    score: float


class Reweighing:
    """An author that changes weights in the slots meant for it, and leaves the others to a designer."""

    def __init__(self, designer: Designer, settings: EvolutionSettings = DEFAULTS) -> None:
        """Take the designer of the other slots."""
        self._designer, self._settings = designer, settings

    def propose(self, brief: Brief, slot: int) -> Proposal:
        """Return a program for one slot of a generation; see the designer for what it raises."""
        if not _is_ours(brief):
            return self._designer.propose(brief, slot)
        return reweighed(brief, slot, self._settings)

    def repair(self, brief: Brief, proposal: Proposal, findings: Sequence[Finding], round: int) -> Proposal:
        """Return a program without the findings: other weights or, in a slot of its own, what the designer makes.

        A program that pays the same as its parent was too near to it; any other that is refused was too far.
        """
        if not _is_ours(brief):
            return self._designer.repair(brief, proposal, findings, round)
        is_same = any(finding.code == SAME for finding in findings)
        part = (1.0 / SMALLER if is_same else SMALLER) ** round
        return reweighed(brief, brief.population * round + _slot(brief, proposal), self._settings, part)


def adjustable(candidate: Candidate) -> tuple[str, ...]:
    """Return the terms whose weights can be changed; () with fewer than two, as a common factor changes nothing."""
    try:
        parsed = reward_program.parse(candidate.proposal.source)
    except ProgramError:
        return ()
    names = list(parsed.weights)
    if candidate.verdict and candidate.verdict.dry_run:
        names = [term.name for term in candidate.verdict.dry_run.terms]
    names = [name for name in names if parsed.weight(name) != 0.0]
    return tuple(names) if len(names) > 1 else ()


def reweighed(brief: Brief, slot: int, settings: EvolutionSettings, part: float = 1.0) -> Proposal:
    """Return the first parent with other weights; the same for the same brief and slot.

    Args:
        brief: with the parent, and with the history that holds the variants tried before.
        slot: of the generation, or a number beyond them for another draw.
        settings: the method and the size of its first step.
        part: of the step away from the parent that is taken; above 1 it goes beyond.
    """
    parent = brief.parents[0]
    names = adjustable(parent)
    base = _point(parent, names)
    seed = [brief.seed, brief.generation, slot, zlib.crc32(_skeleton(parent.proposal.source, names).encode())]
    draw = _by_cma if settings.weight_method == "cma" else _by_steps
    point = base + part * (draw(brief, names, settings, np.random.default_rng(seed)) - base)
    parsed = reward_program.parse(parent.proposal.source)
    weights = {
        name: float(f"{np.copysign(np.exp(value), parsed.weight(name)):.{DIGITS}g}")
        for name, value in zip(names, point, strict=True)
    }
    moves = ", ".join(f"{name} {parsed.weight(name):g} to {weight:g}" for name, weight in weights.items())
    source = reward_program.reweigh(parent.proposal.source, weights)
    return Proposal(source, f"{AUTHOR}:{parent.id}", (parent.id,), f"From {parent.id}, weights alone: {moves}.")


def _is_ours(brief: Brief) -> bool:
    return brief.mode == "weights" and bool(brief.parents) and bool(adjustable(brief.parents[0]))


def _slot(brief: Brief, proposal: Proposal) -> int:
    """Return a number that tells the programs of one generation apart."""
    return zlib.crc32(proposal.source.encode()) % brief.population


# ---------------------------------------------------------------- drawing a point


def _by_steps(brief: Brief, names: Sequence[str], settings: EvolutionSettings, rng: np.random.Generator) -> Array:
    base = _point(brief.parents[0], names)
    return np.asarray(base + settings.weight_step * rng.standard_normal(len(base)))


def _by_cma(brief: Brief, names: Sequence[str], settings: EvolutionSettings, rng: np.random.Generator) -> Array:
    """Bring CMA-ES to where the variants tried so far lead it, and ask it for a point.

    It begins at the skeleton's first program. Each generation's variants are told as a batch, together with the best
    of the variants before them, which keeps what is good and needs no training.
    """
    from cmaes import CMA

    variants = _variants(brief, names, settings)
    generations = sorted({variant.generation for variant in variants})
    batches = {number: [one for one in variants if one.generation == number] for number in generations[1:]}
    size = max([LEAST_BATCH, *(1 + len(batch) for batch in batches.values())])
    state = CMA(variants[0].point, settings.weight_step, seed=int(rng.integers(2**31)), population_size=size)
    for number, batch in batches.items():
        earlier = sorted((one for one in variants if one.generation < number), key=lambda one: -one.score)
        filled = [*batch, *earlier, *[earlier[0]] * size][:size]
        state.tell([(one.point, -one.score) for one in filled])
    return np.asarray(state.ask())


def _variants(brief: Brief, names: Sequence[str], settings: EvolutionSettings) -> list[Variant]:
    """Return the scored programs of the parent's skeleton, the parent among them, oldest first."""
    skeleton = _skeleton(brief.parents[0].proposal.source, names)
    known = {candidate.id: candidate for candidate in (*brief.history, *brief.parents)}
    found = [
        Variant(candidate.generation, candidate.slot, _point(candidate, names), figure)
        for candidate in known.values()
        if (figure := score(candidate, settings.caution)) is not None
        and adjustable(candidate) == tuple(names)
        and _skeleton(candidate.proposal.source, names) == skeleton
    ]
    return sorted(found, key=lambda variant: (variant.generation, variant.slot))


def _skeleton(source: str, names: Sequence[str]) -> str:
    """Return the program with all these weights 1."""
    return reward_program.reweigh(source, dict.fromkeys(names, 1.0))


def _point(candidate: Candidate, names: Sequence[str]) -> Array:
    weights: Mapping[str, float] = reward_program.parse(candidate.proposal.source).weights
    return np.log(np.abs([weights.get(name, 1.0) for name in names]))
