"""Reward programs as lines of a page: coloured, with the critic's findings, or compared with a parent."""

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
from rewardsmith.report.text import replace_control_chars

CONTEXT_LINES = 3
"""Unchanged lines shown around a change."""


@dataclass(frozen=True)
class CodeLine:
    """One line of a program."""

    number: int
    html: Markup
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class DiffLine:
    """One line of a comparison of two programs."""

    kind: Literal["same", "added", "removed", "gap"]
    text: str


def list_code_lines(source: str, findings: Sequence[Finding] = ()) -> tuple[CodeLine, ...]:
    """Return a program's lines, each with the findings about it."""
    # The formatter escapes the text and closes its marks at the end of every line.
    html = highlight(_normalize_lines(source), PythonLexer(stripnl=False), HtmlFormatter(nowrap=True))
    lines = []
    for number, line in enumerate(html.split("\n")[:-1], 1):
        own_findings = tuple(finding for finding in findings if finding.line == number)
        lines.append(CodeLine(number, Markup(line), own_findings))
    return tuple(lines)


def unplaced_findings(source: str, findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Return the findings that are about no line of the program."""
    line_count = _normalize_lines(source).count("\n")
    return tuple(finding for finding in findings if finding.line is None or not 1 <= finding.line <= line_count)


def diff_programs(before: str, after: str) -> tuple[DiffLine, ...]:
    """Return the differences of two programs, with some context; empty if they are equal."""
    old, new = _normalize_lines(before).splitlines(), _normalize_lines(after).splitlines()
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    lines: list[DiffLine] = []
    for group in matcher.get_grouped_opcodes(CONTEXT_LINES):
        if lines:
            lines.append(DiffLine("gap", ""))
        for tag, old_start, old_end, new_start, new_end in group:
            if tag == "equal":
                lines += [DiffLine("same", line) for line in old[old_start:old_end]]
            else:
                lines += [DiffLine("removed", line) for line in old[old_start:old_end]]
                lines += [DiffLine("added", line) for line in new[new_start:new_end]]
    return tuple(lines)


def _normalize_lines(source: str) -> str:
    """Return the text with a newline as the only line end, without control characters, ending in a newline."""
    text = replace_control_chars(source.replace("\r\n", "\n").replace("\r", "\n"))
    return text if text.endswith("\n") else text + "\n"
