"""Findings as they are handed on: each of one line, and of one kind only a few."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from rewardsmith.contract.records import Finding
from rewardsmith.contract.text import flatten_text

MAX_PER_CODE = 12
"""Findings of one code that are handed on; the others are counted. An author mends no more of them at once."""
MAX_MESSAGE_CHARS = 1_200


def limit_findings(findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings in their order: the first of each code and severity, and how many more there are.

    A program's text decides parts of a message (names, for instance), so that each message is made one line.

    Args:
        findings: in any number. A finding that counts others, see `count_others`, is kept.
    """
    kept: list[Finding] = []
    last_index: dict[tuple[str, str], int] = {}
    numbers: dict[tuple[str, str], int] = {}
    for finding in dict.fromkeys(findings):
        kind: tuple[str, str] = (finding.code, finding.severity)
        numbers[kind] = numbers.get(kind, 0) + 1
        if numbers[kind] <= MAX_PER_CODE or _counts_others(finding):
            last_index[kind] = len(kept)
            kept.append(replace(finding, message=flatten_text(finding.message, MAX_MESSAGE_CHARS)))

    # Behind the last finding of its kind, from the end so that the indices before stay right.
    for kind, index in sorted(last_index.items(), key=lambda item: item[1], reverse=True):
        left_out = numbers[kind] - MAX_PER_CODE
        if left_out > 0 and not _counts_others(kept[index]):
            others = count_others(kept[index].code, left_out, kept[index].line)
            kept.insert(index + 1, replace(others, severity=kept[index].severity))
    return kept


def count_others(code: str, number: int, line: int | None = None) -> Finding:
    """Return the finding that stands for so many others of its kind.

    >>> count_others("unknown-signal", 3990).message
    'and 3,990 more of this kind'

    Args:
        code: of the others.
        number: how many.
        line: of the finding that it follows, so that it stays behind it when findings are sorted by line.
    """
    return Finding(code, f"and {number:,} more of this kind", line=line)


def join_messages(findings: Sequence[Finding]) -> str:
    """Join the messages of findings, each with its line where it has one."""
    return "; ".join(f"line {f.line}: {f.message}" if f.line else f.message for f in findings)


def _counts_others(finding: Finding) -> bool:
    return finding.message.startswith("and ") and finding.message.endswith(" more of this kind")
