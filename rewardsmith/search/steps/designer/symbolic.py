"""The designer without a model: genetic programming over the signal catalogue, driven by fitness alone.

It understands no language: it never reads the task's sentence, the environment's name or the meanings of the signals.
It uses the signals' order, shapes and units, and how well earlier programs did. Its draws depend on (seed, generation,
slot) and on the history alone, so that a resumed search proposes the same programs again. It is the default where no
model is configured, and the least that a language model has to beat.

The first generation spreads over different signals and directions. Later ones change the parents: weights, constants
and terms, by chance, or cross two of them; parents that people or models wrote take part as well.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from rewardsmith.contract import program_edits
from rewardsmith.contract.records import Brief, Candidate, Finding, Proposal
from rewardsmith.search.steps.designer import term_templates
from rewardsmith.search.steps.designer.term_expressions import (
    WeightedTerm,
    find_term_lines,
    move_constant,
    render_program,
    round_significant,
    split_terms,
)

AUTHOR = "symbolic"
MAX_TERMS = 8
DRAWS = 20
"""Draws of a slot until its program is new; after them it takes a new program without a parent."""
IDLE = {term_templates.ALIVE.expression, term_templates.EFFORT.expression}
"""Expressions that do not depend on the state."""
NO_LANGUAGE = "No language was read: terms come from the signal catalogue, and fitness alone selects."

Rng = np.random.Generator
Terms = tuple[WeightedTerm, ...]


@dataclass(frozen=True)
class Draft:
    """A program before it is text, and how it was made."""

    terms: Terms
    origin: str
    """The way it was made, in words, without a full stop."""
    parents: tuple[str, ...] = ()
    source: str | None = None
    """The text itself, where a parent cannot be split into terms and only its weights changed."""

    @property
    def text(self) -> str:
        """The program's text."""
        return render_program(self.terms) if self.source is None else self.source

    @property
    def is_idle(self) -> bool:
        """Whether nothing in it depends on the state, so that a policy learns to keep still at most."""
        return bool(self.terms) and {term.expression for term in self.terms} <= IDLE

    def build_proposal(self) -> Proposal:
        """Return the program as it is handed in."""
        weights = ", ".join(f"{term.name} ({term.weight:g})" for term in self.terms)
        terms = f" Terms with their weights: {weights}." if weights else ""
        return Proposal(self.text, AUTHOR, self.parents, f"{self.origin}.{terms} {NO_LANGUAGE}")


class SymbolicDesigner:
    """Proposes programs by genetic programming; see the module for what it uses and what it does not."""

    def propose(self, brief: Brief, slot: int) -> Proposal:
        """Return the program of one slot, different from every earlier one and from those of the slots before it."""
        used_sources = {candidate.proposal.source for candidate in brief.history}
        draft = _draw_unused(brief, 0, used_sources)
        for next_slot in range(1, slot + 1):
            used_sources.add(draft.text)
            draft = _draw_unused(brief, next_slot, used_sources)
        return draft.build_proposal()

    def repair(self, brief: Brief, proposal: Proposal, findings: Sequence[Finding], round: int) -> Proposal:
        """Return the program without the terms that the findings point at, or a new one where that leaves nothing.

        Args:
            brief: of the generation.
            proposal: the program that the critic refused.
            findings: why.
            round: how often it has gone back, from 1.
        """
        # Keep the terms on whose lines there is no error.
        error_lines = {finding.line for finding in findings if finding.severity == "error"}
        term_lines = find_term_lines(proposal.source)
        faulty = {name for name, lines in term_lines.items() if error_lines & set(lines)}
        sound_terms = tuple(term for term in split_terms(proposal.source) or () if term.name not in faulty)
        if faulty and sound_terms:
            origin = f"Without {', '.join(sorted(faulty))}, which the critic refused"
            return Draft(sound_terms, origin, proposal.parents).build_proposal()

        # Nothing to keep: a new program.
        rng = np.random.default_rng([brief.seed, brief.generation, round, zlib.crc32(proposal.source.encode())])
        return _make_new(brief, int(rng.integers(1_000)), rng).build_proposal()


def _draw_unused(brief: Brief, slot: int, used_sources: set[str]) -> Draft:
    """Draw until the program was not tried before and depends on the state."""
    rng = np.random.default_rng([brief.seed, brief.generation, slot])
    position = brief.generation * brief.population + slot
    operator = _choose_operator(brief, slot)
    for _ in range(DRAWS):
        draft = operator(brief, position, rng)
        if draft.text not in used_sources and not draft.is_idle:
            return draft
    return _make_new(brief, int(rng.integers(1_000)), rng)


def _choose_operator(brief: Brief, slot: int) -> Operator:
    """Return how a slot makes its program: a new one without parents, else each slot by another operator."""
    if not brief.parents:
        return _make_new
    if brief.mode == "cross":
        return _cross_parents
    order = np.random.default_rng([brief.seed, brief.generation]).permutation(len(OPERATORS))
    return OPERATORS[int(order[slot % len(OPERATORS)])]


# ---------------------------------------------------------------- operators

Operator = Callable[[Brief, int, Rng], Draft]
"""Makes a program from a brief, the slot's position in the whole search, and a source of chance."""


def _make_new(brief: Brief, position: int, rng: Rng) -> Draft:
    """Make a new program: a lead term by its position, staying alive, effort; later on perhaps one more term."""
    leads = term_templates.list_lead_terms(brief.signals)
    terms = [leads[position % len(leads)]] if leads else []
    for usual in (term_templates.ALIVE, term_templates.EFFORT):
        terms.append(replace(usual, weight=term_templates.draw_near(usual.weight, rng, 0.4)))
    if brief.generation > 0 and rng.random() < 0.5:
        terms.append(term_templates.draw_term(brief.signals, rng))
    return Draft(_make_distinct(terms), "A new program")


def _change_weights(brief: Brief, position: int, rng: Rng) -> Draft:
    """Change one or two weights of a parent on a log scale."""
    parent, terms = _draw_parent(brief, rng)
    if terms is None:
        return _change_weight_in_text(parent, rng) or _make_new(brief, position, rng)

    count = min(len(terms), int(rng.integers(1, 3)))
    chosen = sorted(rng.choice(len(terms), size=count, replace=False).tolist())
    changed = list(terms)
    moves: list[str] = []
    for index in chosen:
        changed[index] = _change_weight(terms[index], rng)
        moves.append(f"{terms[index].name} {terms[index].weight:g} to {changed[index].weight:g}")
    return Draft(tuple(changed), f"From {parent.id}: weight of {', '.join(moves)}", (parent.id,))


def _add_term(brief: Brief, position: int, rng: Rng) -> Draft:
    """Add a term to a parent, or let one of its terms count only as far as a condition holds."""
    parent, terms = _draw_parent(brief, rng)
    if terms is None or len(terms) >= MAX_TERMS:
        return _change_weights(brief, position, rng)

    condition = term_templates.draw_gate(brief.signals, rng) if rng.random() < 0.25 else None
    if condition is None:
        new = term_templates.draw_term(brief.signals, rng)
        return Draft(_make_distinct([*terms, new]), f"From {parent.id}: {new.name} added", (parent.id,))

    index = int(rng.integers(len(terms)))
    gated = term_templates.gate_term(terms[index], condition)
    changed = [*terms[:index], gated, *terms[index + 1 :]]
    origin = f"From {parent.id}: {terms[index].name} counts while {condition.name}"
    return Draft(_make_distinct(changed), origin, (parent.id,))


def _replace_term(brief: Brief, position: int, rng: Rng) -> Draft:
    """Remove a term of a parent, or put another in its place."""
    parent, terms = _draw_parent(brief, rng)
    if terms is None:
        return _change_weights(brief, position, rng)
    index = int(rng.integers(len(terms)))
    others = [*terms[:index], *terms[index + 1 :]]
    if len(others) > 1 and rng.random() < 0.4:
        return Draft(tuple(others), f"From {parent.id}: without {terms[index].name}", (parent.id,))
    new = term_templates.draw_term(brief.signals, rng)
    origin = f"From {parent.id}: {new.name} in place of {terms[index].name}"
    return Draft(_make_distinct([*others, new]), origin, (parent.id,))


def _change_constant(brief: Brief, position: int, rng: Rng) -> Draft:
    """Move a target, a margin or another constant inside a term of a parent."""
    parent, terms = _draw_parent(brief, rng)
    if terms is not None:
        for index in rng.permutation(len(terms)).tolist():
            expression = move_constant(terms[index].expression, rng)
            if expression is not None:
                changed = [*terms[:index], replace(terms[index], expression=expression), *terms[index + 1 :]]
                origin = f"From {parent.id}: a figure in {terms[index].name} moved"
                return Draft(tuple(changed), origin, (parent.id,))
    return _change_weights(brief, position, rng)


def _cross_parents(brief: Brief, position: int, rng: Rng) -> Draft:
    """Join the terms of two parents, each by chance; a term that both have keeps one of its weights."""
    first, first_terms = _draw_parent(brief, rng)
    partners = [
        (partner, terms)
        for partner in brief.parents
        if partner.id != first.id and (terms := _split_candidate(partner)) is not None
    ]
    if first_terms is None or not partners:
        return _add_term(brief, position, rng)

    second, second_terms = partners[int(rng.integers(len(partners)))]
    shuffled = rng.permutation(np.array([*first_terms, *second_terms], dtype=object)).tolist()
    by_expression = {term.expression: term for term in shuffled}
    chosen = [term for term in by_expression.values() if rng.random() < 0.6] or [first_terms[0]]
    return Draft(_make_distinct(chosen[:MAX_TERMS]), f"Crossed {first.id} with {second.id}", (first.id, second.id))


OPERATORS: tuple[Operator, ...] = (
    _change_weights,
    _add_term,
    _replace_term,
    _change_constant,
    _cross_parents,
    _make_new,
)


# ---------------------------------------------------------------- parts


def _draw_parent(brief: Brief, rng: Rng) -> tuple[Candidate, Terms | None]:
    """Draw a parent, the better the likelier; with its terms, or None where it cannot be split."""
    odds = 0.25 ** np.arange(len(brief.parents))
    parent = brief.parents[int(rng.choice(len(brief.parents), p=odds / odds.sum()))]
    return parent, _split_candidate(parent)


def _split_candidate(candidate: Candidate) -> Terms | None:
    return split_terms(candidate.proposal.source) or None


def _change_weight_in_text(parent: Candidate, rng: Rng) -> Draft | None:
    """Change a weight in a text that cannot be split into terms; None where the names of its terms are not known."""
    program = parent.program
    names = list(parent.trial_terms) or list(program.weights)
    if not names:
        return None
    name = names[int(rng.integers(len(names)))]
    old = WeightedTerm(name, program.weight(name), "")
    new = _change_weight(old, rng)
    source = program_edits.replace_weights(parent.proposal.source, {name: new.weight})
    origin = f"From {parent.id}: weight of {name} {old.weight:g} to {new.weight:g}"
    return Draft((), origin, (parent.id,), source)


def _change_weight(term: WeightedTerm, rng: Rng) -> WeightedTerm:
    """Return the term with its weight up or down by about a factor of 2 to 4, seldom with its sign turned."""
    factor = float(np.exp(rng.choice([-1.0, 1.0]) * rng.uniform(0.5, 1.5)))
    sign = -1.0 if rng.random() < 0.1 else 1.0
    return replace(term, weight=round_significant(sign * factor * (term.weight or 0.1), 2))


def _make_distinct(terms: Sequence[WeightedTerm]) -> Terms:
    """Return the terms without repeated expressions, each with a different name."""
    by_expression: dict[str, WeightedTerm] = {}
    used_names: set[str] = set()
    for term in terms:
        if term.expression not in by_expression:
            name = next(name for name in _iterate_numbered(term.name) if name not in used_names)
            used_names.add(name)
            by_expression[term.expression] = replace(term, name=name)
    return tuple(by_expression.values())


def _iterate_numbered(name: str) -> Iterator[str]:
    """Yield the name, then the name with the numbers from 2 on."""
    yield name
    stem = name.rstrip("0123456789").rstrip("_") if name[-1].isdigit() else name
    number = 2
    while True:
        yield f"{stem}_{number}"
        number += 1
