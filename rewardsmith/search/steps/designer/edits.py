"""Edits of a program in a model's answer: search/replace blocks or a unified diff, applied exactly or refused.

A line number of a diff is a hint only, since models miscount: its context has to be found, and to be found once.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

SHOWN_CHARS = 80

_SEARCH, _MIDDLE, _REPLACE = (re.compile(rule) for rule in (r"<{5,9} ?SEARCH\s*", r"={5,9}\s*", r">{5,9} ?REPLACE\s*"))
_HUNK = re.compile(r"@@ -(?P<line>\d+)|@@")
_DIFF_HEAD = re.compile(r"(?:---|\+\+\+) \S")
_FENCE = re.compile(r"\s*`{3,}")


class EditRefused(Exception):
    """Raised when an edit does not apply; the message is a sentence for its author."""


@dataclass(frozen=True)
class Edit:
    """Lines to find, and what stands in their place."""

    old: tuple[str, ...]
    new: tuple[str, ...]
    line: int | None = None
    """Where a diff says that the lines begin, from 1."""


@dataclass(frozen=True)
class Edits:
    """What an answer holds."""

    edits: tuple[Edit, ...]
    words: str
    """The text around them."""


def found(text: str) -> Edits:
    r"""Return the edits in an answer, if it holds any.

    >>> found("Faster.\n<<<<<<< SEARCH\n    x = 1\n=======\n    x = 2\n>>>>>>> REPLACE\n")
    Edits(edits=(Edit(old=('    x = 1',), new=('    x = 2',), line=None),), words='Faster.\n')
    """
    lines = [line.rstrip() for line in text.replace("\r\n", "\n").split("\n")]
    edits: list[Edit] = []
    words: list[str] = []
    at = 0
    while at < len(lines):
        edit, after = _block(lines, at) if _SEARCH.fullmatch(lines[at]) else _hunk(lines, at)
        if edit is not None:
            edits.append(edit)
        elif not (_FENCE.match(lines[at]) or _DIFF_HEAD.match(lines[at])):
            words.append(lines[at])
        at = after
    return Edits(tuple(edits), "\n".join(words))


def applied(source: str, edits: Sequence[Edit]) -> str:
    r"""Return the program with the edits made, one after the other.

    >>> applied("a\nb\nc\n", (Edit(("b",), ("x", "y")),))
    'a\nx\ny\nc\n'

    Raises:
        EditRefused: if the lines of an edit are not in the program, or are in it more than once.
    """
    lines = [line.rstrip() for line in source.split("\n")]
    for number, edit in enumerate(edits, start=1):
        at = _place(lines, edit, number)
        lines[at : at + len(edit.old)] = edit.new
    return "\n".join(lines).strip("\n") + "\n"


def _place(lines: list[str], edit: Edit, number: int) -> int:
    """Return the index of the first line that an edit replaces."""
    length = len(edit.old)
    if not any(edit.old):
        raise EditRefused(f"edit {number} names no line to find; begin it with a line of the program that stays")
    places = [at for at in range(len(lines) - length + 1) if tuple(lines[at : at + length]) == edit.old]
    if len(places) > 1 and edit.line is not None:
        places = [at for at in places if at == edit.line - 1] or places
    if len(places) == 1:
        return places[0]
    begins = next(line.strip() for line in edit.old if line)[:SHOWN_CHARS]
    if places:
        why = f"its lines are in the program {len(places)} times; add the lines around them"
    else:
        why = "its lines are not in the program as they are written; copy them exactly, indentation included"
    raise EditRefused(f"edit {number}, which begins {begins!r}, does not apply: {why}")


def _block(lines: list[str], at: int) -> tuple[Edit | None, int]:
    """Read a search/replace block; return it with the index of the line after it, or None where it is not whole."""
    old: list[str] = []
    new: list[str] = []
    part = old
    for index in range(at + 1, len(lines)):
        line = lines[index]
        if _REPLACE.fullmatch(line) and part is new:
            return Edit(tuple(old), tuple(new)), index + 1
        if _SEARCH.fullmatch(line):
            return None, index
        if _MIDDLE.fullmatch(line) and part is old:
            part = new
        else:
            part.append(line)
    return None, len(lines)


def _hunk(lines: list[str], at: int) -> tuple[Edit | None, int]:
    """Read a hunk of a unified diff; return it with the index of the line after it, or None where none begins."""
    header = _HUNK.match(lines[at])
    if header is None:
        return None, at + 1
    end = at + 1
    while end < len(lines) and lines[end][:1] in ("", " ", "+", "-", "\\"):
        end += 1
    body = lines[at + 1 : end]
    while body and not body[-1]:  # blank lines behind a hunk are the answer's
        body.pop()
    old = tuple(line[1:] for line in body if line[:1] in ("", " ", "-"))
    new = tuple(line[1:] for line in body if line[:1] in ("", " ", "+"))
    return Edit(old, new, int(header["line"]) if header["line"] else None), end
