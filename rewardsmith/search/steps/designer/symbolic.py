"""The designer without a model: genetic programming over the signal catalogue, driven by fitness alone.

It understands no language. The task's sentence, the environment's name and what the signals mean are never read;
it knows the signals' order, shapes and units, and how well earlier programs did. What it draws depends on
(seed, generation, slot) and on the history, and on nothing else, so that a resumed search proposes the same again.
It is the default where no model is configured, and what a language model has to beat.

The first generation spreads over different signals and directions. Later ones change the parents: weights, figures
and terms, by chance, or cross two of them; parents that people or models wrote take part as well.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from rewardsmith.contract import reward_program
from rewardsmith.contract.records import Brief, Candidate, Finding, Proposal
from rewardsmith.search.steps.designer import term_templates
from rewardsmith.search.steps.designer.term_expressions import Term, lines_of, render, retargeted, rounded, terms_of

AUTHOR = "symbolic"
MAX_TERMS = 8
DRAWS = 20
"""How often a slot draws again when its program was tried before; then it tries it once more."""
IDLE = {term_templates.ALIVE.expression, term_templates.EFFORT.expression}
NO_LANGUAGE = "No language was read: terms come from the signal catalogue, and fitness alone selects."

Rng = np.random.Generator
Terms = tuple[Term, ...]


@dataclass(frozen=True)
class Draft:
    """A program before it is text, and how it came to be."""

    terms: Terms
    words: str
    parents: tuple[str, ...] = ()
    source: str | None = None
    """The text itself, where a parent cannot be taken apart and only its weights changed."""

    @property
    def text(self) -> str:
        """The program's text."""
        return render(self.terms) if self.source is None else self.source

    @property
    def is_idle(self) -> bool:
        """Whether nothing in it depends on the state, so that there is nothing to learn but to keep still."""
        return bool(self.terms) and {term.expression for term in self.terms} <= IDLE

    def proposal(self) -> Proposal:
        """Return what is handed in."""
        weights = ", ".join(f"{term.name} ({term.weight:g})" for term in self.terms)
        terms = f" Terms with their weights: {weights}." if weights else ""
        return Proposal(self.text, AUTHOR, self.parents, f"{self.words}.{terms} {NO_LANGUAGE}")


class SymbolicDesigner:
    """Proposes programs by genetic programming; see the module for what it knows and what it does not."""

    def propose(self, brief: Brief, slot: int) -> Proposal:
        """Return the program of one slot, different from every earlier one and from those of the slots before it."""
        taken = {candidate.proposal.source for candidate in brief.history}
        draft = self._draft(brief, 0, taken)
        for earlier in range(1, slot + 1):
            taken.add(draft.text)
            draft = self._draft(brief, earlier, taken)
        return draft.proposal()

    def repair(self, brief: Brief, proposal: Proposal, findings: Sequence[Finding], round: int) -> Proposal:
        """Return the program without the terms that the findings point at, or a new one where that leaves nothing.

        Args:
            brief: of the generation.
            proposal: what the critic refused.
            findings: why.
            round: how often it has gone back, from 1.
        """
        lines = {finding.line for finding in findings if finding.severity == "error"}
        places = lines_of(proposal.source)
        faulty = {name for name, place in places.items() if lines & set(place)}
        kept = tuple(term for term in terms_of(proposal.source) or () if term.name not in faulty)
        if faulty and kept:
            words = f"Without {', '.join(sorted(faulty))}, which the critic refused"
            return Draft(kept, words, proposal.parents).proposal()
        rng = np.random.default_rng([brief.seed, brief.generation, round, zlib.crc32(proposal.source.encode())])
        return _fresh(brief, int(rng.integers(1_000)), rng).proposal()

    def _draft(self, brief: Brief, slot: int, taken: set[str]) -> Draft:
        """Draw until the program is a new one, and about more than being alive and idle."""
        rng = np.random.default_rng([brief.seed, brief.generation, slot])
        make = _maker(brief, slot)
        for _ in range(DRAWS):
            draft = make(rng)
            if draft.text not in taken and not draft.is_idle:
                return draft
        return _fresh(brief, int(rng.integers(1_000)), rng)


def _maker(brief: Brief, slot: int) -> Callable[[Rng], Draft]:
    """Return how a slot makes its program: new without parents, else each slot by another operator."""
    place = brief.generation * brief.population + slot
    if not brief.parents:
        return lambda rng: _fresh(brief, place, rng)
    if brief.mode == "cross":
        return lambda rng: _crossed(brief, place, rng)
    order = np.random.default_rng([brief.seed, brief.generation]).permutation(len(OPERATORS))
    operator = OPERATORS[int(order[slot % len(OPERATORS)])]
    return lambda rng: operator(brief, place, rng)


# ---------------------------------------------------------------- operators


def _fresh(brief: Brief, place: int, rng: Rng) -> Draft:
    """A new program: a lead by its place in the search, staying alive, effort; later on perhaps one term more."""
    leads = term_templates.leads(brief.signals)
    terms = [leads[place % len(leads)]] if leads else []
    for usual in (term_templates.ALIVE, term_templates.EFFORT):
        terms.append(replace(usual, weight=term_templates.scattered(usual.weight, rng, 0.4)))
    if brief.generation > 0 and rng.random() < 0.5:
        terms.append(term_templates.draw(brief.signals, rng))
    return Draft(_distinct(terms), "A new program")


def _reweighed(brief: Brief, place: int, rng: Rng) -> Draft:
    """A parent with one or two weights changed on a log scale."""
    parent, terms = _parent(brief, rng)
    if terms is None:
        return _reweighed_text(parent, rng) or _fresh(brief, place, rng)
    chosen = set(rng.choice(len(terms), size=min(len(terms), int(rng.integers(1, 3))), replace=False).tolist())
    changed = [_shifted(term, rng) if index in chosen else term for index, term in enumerate(terms)]
    moves = [f"{terms[index].name} {terms[index].weight:g} to {changed[index].weight:g}" for index in sorted(chosen)]
    return Draft(tuple(changed), f"From {parent.id}: weight of {', '.join(moves)}", (parent.id,))


def _grown(brief: Brief, place: int, rng: Rng) -> Draft:
    """A parent with one term more, or with one of its terms gated by another."""
    parent, terms = _parent(brief, rng)
    if terms is None or len(terms) >= MAX_TERMS:
        return _reweighed(brief, place, rng)
    gate = term_templates.draw_gate(brief.signals, rng) if rng.random() < 0.25 else None
    if gate is None:
        new = term_templates.draw(brief.signals, rng)
        return Draft(_distinct([*terms, new]), f"From {parent.id}: {new.name} added", (parent.id,))
    index = int(rng.integers(len(terms)))
    changed = [*terms[:index], term_templates.gated(terms[index], gate), *terms[index + 1 :]]
    return Draft(_distinct(changed), f"From {parent.id}: {terms[index].name} counts while {gate.name}", (parent.id,))


def _swapped(brief: Brief, place: int, rng: Rng) -> Draft:
    """A parent with one term less, or with another in its place."""
    parent, terms = _parent(brief, rng)
    if terms is None:
        return _reweighed(brief, place, rng)
    index = int(rng.integers(len(terms)))
    rest = [*terms[:index], *terms[index + 1 :]]
    if len(rest) > 1 and rng.random() < 0.4:
        return Draft(tuple(rest), f"From {parent.id}: without {terms[index].name}", (parent.id,))
    new = term_templates.draw(brief.signals, rng)
    words = f"From {parent.id}: {new.name} in place of {terms[index].name}"
    return Draft(_distinct([*rest, new]), words, (parent.id,))


def _moved(brief: Brief, place: int, rng: Rng) -> Draft:
    """A parent with a target, a margin or another figure inside a term moved."""
    parent, terms = _parent(brief, rng)
    for index in rng.permutation(len(terms or ())).tolist():
        assert terms is not None
        expression = retargeted(terms[index].expression, rng)
        if expression is not None:
            changed = [*terms[:index], replace(terms[index], expression=expression), *terms[index + 1 :]]
            return Draft(tuple(changed), f"From {parent.id}: a figure in {terms[index].name} moved", (parent.id,))
    return _reweighed(brief, place, rng)


def _crossed(brief: Brief, place: int, rng: Rng) -> Draft:
    """The terms of two parents, each with even chance; a term that both have keeps one of its weights."""
    first, terms = _parent(brief, rng)
    others = [(other, parts) for other in brief.parents if other.id != first.id and (parts := _terms(other))]
    if terms is None or not others:
        return _grown(brief, place, rng)
    second, parts = others[int(rng.integers(len(others)))]
    pool = {term.expression: term for term in rng.permutation(np.array([*terms, *parts], dtype=object)).tolist()}
    chosen = [term for term in pool.values() if rng.random() < 0.6] or [terms[0]]
    return Draft(_distinct(chosen[:MAX_TERMS]), f"Crossed {first.id} with {second.id}", (first.id, second.id))


OPERATORS = (_reweighed, _grown, _swapped, _moved, _crossed, _fresh)


# ---------------------------------------------------------------- parts


def _parent(brief: Brief, rng: Rng) -> tuple[Candidate, Terms | None]:
    """Draw a parent, the better the likelier; with its terms, or None where it cannot be taken apart."""
    odds = 0.25 ** np.arange(len(brief.parents))
    parent = brief.parents[int(rng.choice(len(brief.parents), p=odds / odds.sum()))]
    return parent, _terms(parent)


def _terms(parent: Candidate) -> Terms | None:
    return terms_of(parent.proposal.source) or None


def _reweighed_text(parent: Candidate, rng: Rng) -> Draft | None:
    """Change a weight in a text that cannot be taken apart; None where its terms are not known."""
    parsed = reward_program.parse(parent.proposal.source)
    names = [*parsed.weights]
    if parent.verdict and parent.verdict.dry_run:
        names = [term.name for term in parent.verdict.dry_run.terms]
    if not names:
        return None
    name = names[int(rng.integers(len(names)))]
    old = Term(name, parsed.weight(name), "")
    new = _shifted(old, rng)
    source = reward_program.reweigh(parent.proposal.source, {name: new.weight})
    words = f"From {parent.id}: weight of {name} {old.weight:g} to {new.weight:g}"
    return Draft((), words, (parent.id,), source)


def _shifted(term: Term, rng: Rng) -> Term:
    """Return the term with its weight up or down by about a factor of 2 to 4, seldom with its sign turned."""
    factor = float(np.exp(rng.choice([-1.0, 1.0]) * rng.uniform(0.5, 1.5)))
    sign = -1.0 if rng.random() < 0.1 else 1.0
    return replace(term, weight=rounded(sign * factor * (term.weight or 0.1), 2))


def _distinct(terms: Sequence[Term]) -> Terms:
    """Return the terms without repeated expressions, each with a name of its own."""
    kept: dict[str, Term] = {}
    names: set[str] = set()
    for term in terms:
        if term.expression not in kept:
            name = next(name for name in _spellings(term.name) if name not in names)
            names.add(name)
            kept[term.expression] = replace(term, name=name)
    return tuple(kept.values())


def _spellings(name: str) -> Iterator[str]:
    yield name
    stem = name.rstrip("0123456789").rstrip("_") if name[-1].isdigit() else name
    number = 2
    while True:
        yield f"{stem}_{number}"
        number += 1
