"""Pins and bans applied to a designer's programs, for an author that reads no words and so cannot follow them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rewardsmith.contract.records import Brief, Finding, Proposal
from rewardsmith.search.steps.designer import Designer
from rewardsmith.search.steps.designer.term_expressions import WeightedTerm, render_program, split_terms


class TermEnforcer:
    """Puts pinned terms into the programs of another designer, and takes banned ones out."""

    def __init__(self, designer: Designer) -> None:
        """Take the designer."""
        self._designer = designer

    def propose(self, brief: Brief, slot: int) -> Proposal:
        """Return a program for one slot of a generation; see `Designer`."""
        return apply_pins_and_bans(brief, self._designer.propose(brief, slot))

    def repair(self, brief: Brief, proposal: Proposal, findings: Sequence[Finding], round: int) -> Proposal:
        """Return the program without the findings; see `Designer`."""
        return apply_pins_and_bans(brief, self._designer.repair(brief, proposal, findings, round))


def apply_pins_and_bans(brief: Brief, proposal: Proposal) -> Proposal:
    """Return a program with every pinned term and without every banned one.

    A program that cannot be split into terms stays as it is, and so does one of which no term would be left. A pinned
    term whose expression is not known is not added. In these cases the critic reports what is missing.
    """
    terms = split_terms(proposal.source) if brief.pins or brief.bans else None
    if terms is None:
        return proposal

    # Drop the banned terms, by name or by expression, unless they are pinned as well.
    pins = {pin.term: pin for pin in brief.pins if pin.expression}
    banned_names = {ban.term for ban in brief.bans}
    banned_expressions = {ban.expression for ban in brief.bans if ban.expression}
    allowed: dict[str, WeightedTerm] = {}
    for term in terms:
        is_banned = bool({term.name, term.expression} & (banned_names | banned_expressions))
        if term.name in pins or not is_banned:
            allowed[term.name] = term

    # Add the pinned terms that are missing or switched off by a weight of 0.
    for name, pin in pins.items():
        present = allowed.get(name)
        if present is None or present.weight == 0.0:
            allowed[name] = WeightedTerm(name, pin.weight or 1.0, pin.expression or "")

    changed = tuple(allowed.values())
    if not changed or changed == terms:
        return proposal
    rationale = f"{proposal.rationale} The user's pins and bans were applied."
    return replace(proposal, source=render_program(changed), rationale=rationale.strip())
