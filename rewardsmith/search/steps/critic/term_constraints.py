"""Terms that the user asks for or forbids: pins, bans, and the terms of `training.constraints`.

A pinned term must stay in every program, a banned one must not come back, and a limited one must be there to be held.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import replace

from rewardsmith.contract import python_ast
from rewardsmith.contract.records import Brief, Finding, Proposal, Verdict
from rewardsmith.contract.term_limits import parse_limits
from rewardsmith.contract.text import suggest_names


def check_pins_and_bans(brief: Brief, proposal: Proposal, verdict: Verdict) -> Verdict:
    """Return the verdict on a program with what it lacks of the pins and has of the bans.

    A banned term is recognized by its name, or by its expression where the returned dict has it in the same spelling.
    The same computation in another spelling is not recognized.

    Args:
        brief: with the pins and bans.
        proposal: the program.
        verdict: of the checks; its trial scoring names the program's terms.
    """
    if verdict.trial_scoring is None or not (brief.pins or brief.bans):
        return verdict
    program = proposal.program
    active_terms = [term.name for term in verdict.trial_scoring.terms if program.weight(term.name) != 0.0]
    findings = [*_find_missing_pins(brief, active_terms), *_find_banned_terms(brief, active_terms, program.source)]
    if not findings:
        return verdict
    return replace(verdict, accepted=False, findings=(*verdict.findings, *findings))


def find_missing_limited_terms(constraints: Sequence[str], terms: Sequence[str]) -> Iterator[Finding]:
    """Find the terms of `training.constraints` that a program does not return, or that no goal is left beside them.

    Args:
        constraints: the limits, as the setting has them.
        terms: names of the program's terms.
    """
    limits = parse_limits(constraints)
    for limit in limits:
        if limit.term not in terms:
            message = (
                f"training.constraints holds {limit.text!r}, and reward() returns no term {limit.term!r}; return it;"
                f" {suggest_names(limit.term, terms)}"
            )
            yield Finding("missing-limited-term", message)
    if limits and terms and set(terms) <= {limit.term for limit in limits}:
        message = "training.constraints limits every term of the program; return the goal as a term of another name"
        yield Finding("no-goal-term", message)


def _find_missing_pins(brief: Brief, active_terms: list[str]) -> Iterator[Finding]:
    for pin in brief.pins:
        if pin.term not in active_terms:
            how = f"; in {pin.candidate} it is: {pin.expression}" if pin.expression else f", as in {pin.candidate}"
            message = f"the user wants the term {pin.term!r} to stay{how}; return it, with a weight other than 0"
            yield Finding("pinned-term", message)


def _find_banned_terms(brief: Brief, active_terms: list[str], source: str) -> Iterator[Finding]:
    """Find banned terms; a term that is pinned by its name is not taken for a banned one under another name."""
    returned = _find_returned_terms(source)
    pinned = {pin.term for pin in brief.pins}
    for ban in brief.bans:
        for name in active_terms:
            node = returned.get(name)
            has_banned_expression = node is not None and ast.unparse(node) == ban.expression
            if name == ban.term:
                which = f"the term {name!r}"
            elif has_banned_expression and name not in pinned:
                which = f"the term {name!r}, which is {ban.term!r} renamed,"
            else:
                continue
            line = node.lineno if node is not None else None
            yield Finding("banned-term", f"the user does not want {which} any more; leave it out", line=line)


def _find_returned_terms(source: str) -> dict[str, ast.expr]:
    """Return the terms of the dicts that a program returns literally; a variable stands for its one assignment."""
    tree = python_ast.parse_module(source)

    assignments: dict[str, list[ast.expr]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            assignments.setdefault(node.targets[0].id, []).append(node.value)

    returned = python_ast.iter_returned_terms(tree)
    return {name: _resolve_variable(value, assignments) for name, value in returned}


def _resolve_variable(node: ast.expr, assignments: dict[str, list[ast.expr]]) -> ast.expr:
    """Return what a variable is assigned, where it is assigned once; any other expression as it is."""
    values = assignments.get(node.id, []) if isinstance(node, ast.Name) else []
    return values[0] if len(values) == 1 else node
