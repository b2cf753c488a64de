"""A designer's programs with the user's wishes granted: for an author that reads no words and mends nothing by them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rewardsmith.contract.records import Brief, Finding, Proposal
from rewardsmith.search.steps.designer import Designer
from rewardsmith.search.steps.designer.term_expressions import Term, render, terms_of


class Heeding:
    """Puts pinned terms into what another designer writes, and takes banned ones out."""

    def __init__(self, designer: Designer) -> None:
        """Take the designer."""
        self._designer = designer

    def propose(self, brief: Brief, slot: int) -> Proposal:
        """Return a program for one slot of a generation; see `Designer`."""
        return heeded(brief, self._designer.propose(brief, slot))

    def repair(self, brief: Brief, proposal: Proposal, findings: Sequence[Finding], round: int) -> Proposal:
        """Return the program without the findings; see `Designer`."""
        return heeded(brief, self._designer.repair(brief, proposal, findings, round))


def heeded(brief: Brief, proposal: Proposal) -> Proposal:
    """Return a program with every pinned term and without every banned one.

    A program that cannot be taken apart stays as it is, and so does one of which nothing would be left; a pinned term
    that cannot be taken out of its program is not added. The critic says so.
    """
    terms = terms_of(proposal.source) if brief.pins or brief.bans else None
    if terms is None:
        return proposal
    banned = {wish.term for wish in brief.bans} | {wish.expression for wish in brief.bans if wish.expression}
    pinned = {wish.term: wish for wish in brief.pins if wish.expression}
    kept = {term.name: term for term in terms if term.name in pinned or not {term.name, term.expression} & banned}
    for name, wish in pinned.items():
        known = kept.get(name)
        if known is None or known.weight == 0.0:
            kept[name] = Term(name, wish.weight or 1.0, wish.expression or "")
    wanted = tuple(kept.values())
    if not wanted or wanted == terms:
        return proposal
    words = f"{proposal.rationale} The user's pins and bans were applied."
    return replace(proposal, source=render(wanted), rationale=words.strip())
