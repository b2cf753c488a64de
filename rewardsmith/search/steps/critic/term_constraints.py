"""What the user wants of every program: a pinned term stays, a banned one does not come back."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace

from rewardsmith.contract import python_ast, reward_program
from rewardsmith.contract.records import Brief, Finding, Verdict, Wish


def granted(brief: Brief, source: str, verdict: Verdict) -> Verdict:
    """Return the verdict on a program that the checks accepted, with what it owes the user.

    A banned term is known by its name, and by what it computes where that is written alike in the returned dict; the
    same thing put in other words is not found.

    Args:
        brief: with the pins and bans.
        source: the program.
        verdict: with its dry run, which tells the names of its terms.
    """
    if verdict.dry_run is None or not (brief.pins or brief.bans):
        return verdict
    weights = reward_program.parse(source).weights
    live = [term.name for term in verdict.dry_run.terms if weights.get(term.name, 1.0) != 0.0]
    findings = [*_missing(brief.pins, live), *_back(brief, live, source)]
    return replace(verdict, accepted=not findings, findings=(*verdict.findings, *findings)) if findings else verdict


def _missing(pins: tuple[Wish, ...], live: list[str]) -> Iterator[Finding]:
    for wish in pins:
        if wish.term not in live:
            how = f"; in {wish.candidate} it is: {wish.expression}" if wish.expression else f", as in {wish.candidate}"
            message = f"the user wants the term {wish.term!r} to stay{how}; return it, with a weight other than 0"
            yield Finding("pinned-term", message)


def _back(brief: Brief, live: list[str], source: str) -> Iterator[Finding]:
    """Find banned terms; one that is pinned under its name is not taken for another one renamed."""
    written, pinned = _returned(source), {wish.term for wish in brief.pins}
    for wish in brief.bans:
        for name in live:
            node = written.get(name)
            renamed = node is not None and ast.unparse(node) == wish.expression and name not in pinned
            if name == wish.term or renamed:
                line = node.lineno if node is not None else None
                which = (
                    f"the term {name!r}" if name == wish.term else f"the term {name!r}, which is {wish.term!r} renamed,"
                )
                yield Finding("banned-term", f"the user does not want {which} any more; leave it out", line=line)


def _returned(source: str) -> dict[str, ast.expr]:
    """Return the terms of the dicts that a program returns literally; a variable stands for its one assignment."""
    tree = python_ast.module(source)
    assigned: dict[str, list[ast.expr]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            assigned.setdefault(node.targets[0].id, []).append(node.value)
    return {
        key.value: _value(value, assigned)
        for node in ast.walk(tree)
        if isinstance(node, ast.Return) and isinstance(node.value, ast.Dict)
        for key, value in zip(node.value.keys, node.value.values, strict=True)
        if isinstance(key, ast.Constant) and isinstance(key.value, str)
    }


def _value(node: ast.expr, assigned: dict[str, list[ast.expr]]) -> ast.expr:
    known = assigned.get(node.id, []) if isinstance(node, ast.Name) else []
    return known[0] if len(known) == 1 else node
