"""A reward program as lines of a page: coloured, with the critic's findings at their lines, and against a parent."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from rewardsmith.contract.records import Finding
from rewardsmith.report.text import plain

CONTEXT = 3
"""Unchanged lines around a change."""


@dataclass(frozen=True)
class Row:
    """One line of a program."""

    number: int
    html: Markup
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class Change:
    """One line of a comparison of two programs."""

    kind: Literal["same", "added", "removed", "gap"]
    text: str


def rows(source: str, findings: Sequence[Finding] = ()) -> tuple[Row, ...]:
    """Return a program's lines, with the findings that name one of them."""
    coloured = highlight(_lines(source), PythonLexer(stripnl=False), HtmlFormatter(nowrap=True)).split("\n")[:-1]
    # The formatter escapes the text and closes its marks at every line's end.
    return tuple(
        Row(number, Markup(html), tuple(one for one in findings if one.line == number))
        for number, html in enumerate(coloured, 1)
    )


def elsewhere(source: str, findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Return the findings that belong to no line of the program."""
    lines = _lines(source).count("\n")
    return tuple(one for one in findings if one.line is None or not 1 <= one.line <= lines)


def changes(before: str, after: str) -> tuple[Change, ...]:
    """Return what differs between two programs; empty where nothing does."""
    old, new = _lines(before).splitlines(), _lines(after).splitlines()
    found: list[Change] = []
    for group in difflib.SequenceMatcher(None, old, new, autojunk=False).get_grouped_opcodes(CONTEXT):
        if found:
            found.append(Change("gap", ""))
        for tag, i1, i2, j1, j2 in group:
            if tag == "equal":
                found += [Change("same", line) for line in old[i1:i2]]
            else:
                found += [Change("removed", line) for line in old[i1:i2]]
                found += [Change("added", line) for line in new[j1:j2]]
    return tuple(found)


def _lines(source: str) -> str:
    """Return the text with one kind of line end and without control characters, ending in a newline."""
    text = plain(source.replace("\r\n", "\n").replace("\r", "\n"))
    return text if text.endswith("\n") else text + "\n"
