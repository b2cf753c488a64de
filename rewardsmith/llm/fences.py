"""Fenced code blocks in a model's text: CommonMark's rules, and the ways in which models break them.

A line that begins with three or more backticks or tildes opens a block, also behind blanks, list marks and marks of a
block quote. The block ends at the first of these:

- a line that begins with at least as many of the same marks; words or stop tokens behind them are prose again,
- such a line that names a language: it opens the next block, and the one before was never closed,
- three backticks behind code on its line, in a block of Python or JSON,
- a line that begins with a tag or a special token (`</answer>`, `<|im_end|>`), which no line of Python does,
- a shorter line of the same marks, where no other end follows; the end of the text.

Inside a string in triple quotes that is closed further on nothing ends a block of Python. Every text is read in time
that is linear in its length.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

INVISIBLE = "\u200b\u200c\u200d\u2060\ufeff"
"""Characters without width, which models leave before a fence."""

MAX_BLOCKS = 200
"""Largest number of blocks that are looked for in a text; the rest is taken as words."""
MAX_LEAD = 200
"""Characters before a fence on its line, at most: blanks, list marks and marks of a block quote."""

_BLANK = rf"[ \t\u00a0{INVISIBLE}]*"
_LEAD = rf"{_BLANK}(?:(?:>|[-*+]|\d{{1,9}}[.)])[ \t]*)*"
_CLOSING_LEAD = re.compile(rf"{_BLANK}(?:>[ \t]*)*")
_OPENING = re.compile(
    rf"(?P<lead>{_LEAD})(?:(?P<ticks>`{{3,}})(?P<info>[^`\n]*)|(?P<tildes>~{{3,}})(?P<tilde_info>[^\n]*))$"
    r"|[^`\n]+(?P<late>```)(?P<late_info>python|py)[ \t]*$",
    re.MULTILINE,
)
_FENCE = re.compile(r"[`~](?:``|~~)")
_LANGUAGES = (
    "python|python3|py|pycon|json|jsonc|bash|sh|shell|console|text|txt|plaintext|toml|yaml|yml|diff|markdown|md|"
    "html|xml|c|cpp|java|javascript|js|latex|tex|math|output|none"
)
_LANGUAGE = re.compile(rf"[ \t]*\{{?\.?(?:{_LANGUAGES})(?:[ \t]*$|[ \t]+\w+=|[:{{}}])", re.IGNORECASE)
_PYTHON = re.compile(r"[ \t]*(?:$|\{?\.?(?:python|py|json)|[^\w\s])", re.IGNORECASE)
"""The info of a block whose strings are quoted as Python's are, so that marks in them end nothing."""

# What may end a block; each begins with a set of characters, which lets the search skip all others fast.
_TAG = r"(?P<tag>(?<=<)(?:/?[A-Za-z_]+(?::\w+)?>|\||\uff5c)|(?<=\u25c1)/?\w+\u25b7|(?<=\[)/?THINK\])"
_RUN = r"(?P<run>(?<=`)``+|(?<=~)~~+)"
_EVENT = re.compile(rf"[`~<\[\u25c1](?:{_RUN}|{_TAG})")
_PYTHON_EVENT = re.compile(
    rf"[`~<\[\u25c1#'\"](?:{_RUN}|{_TAG}|(?<=\#)[^\n]*|(?P<triple>(?<=')''|(?<=\")\"\")"
    r"|(?<=')(?:[^'\\\n]|\\.)*'|(?<=\")(?:[^\"\\\n]|\\.)*\")"
)
_STRING_EVENT = {
    quote: re.compile(rf"[`~\\{quote[0]}](?:{_RUN}|(?<=\\).|(?P<triple>(?<={quote[0]}){quote[:2]}))", re.DOTALL)
    for quote in ("'''", '"""')
}
_QUOTE_MARKS = re.compile(r"^[ \t]*(?:>[ \t]?)+", re.MULTILINE)


@dataclass(frozen=True)
class FencedBlock:
    """A fenced block of a text."""

    start: int
    """Index of the first character of the opening line."""
    end: int
    """Index behind the block; the rest of a closing line is not part of it."""
    info: str
    """Words behind the opening fence."""
    code: str
    """Its content, without the marks of a block quote around it; not dedented."""
    is_closed: bool
    """Whether a closing fence was found."""
    indent: int
    """Columns before the opening fence."""

    def list_dedentings(self) -> tuple[str, ...]:
        """Return the code dedented by its own margin, and by the fence's as CommonMark has it, the likelier first."""
        own = textwrap.dedent(self.code)
        if not self.indent:
            return (own,)
        fence_margin = re.compile(rf"^[ \t]{{1,{self.indent}}}", re.MULTILINE)
        return (own, fence_margin.sub("", self.code))


def find_opening(text: str, start: int = 0) -> re.Match[str] | None:
    """Find the next line that opens a block, for `read_block`."""
    while (fence := _FENCE.search(text, start)) is not None:
        line_start = max(start, text.rfind("\n", start, fence.start()) + 1)
        opening = _OPENING.match(text, line_start)
        if opening is not None:
            return opening
        line_end = text.find("\n", fence.end())
        if line_end < 0:
            break
        start = line_end + 1
    return None


def fence_start(opening: re.Match[str]) -> int:
    """Return where a block starts: at its opening line, or behind the words that stand before its fence."""
    return opening.start("late") if opening["late"] else opening.start()


def find_blocks(text: str) -> list[FencedBlock]:
    r"""Find the fenced blocks of a text, in their order.

    >>> [(block.info, block.code) for block in find_blocks("Go.\n```py\nx = 1\n```<|im_end|>\n~~~\ny")]
    [('py', 'x = 1\n'), ('', 'y')]
    """
    blocks: list[FencedBlock] = []
    opening = find_opening(text)
    while opening is not None and len(blocks) < MAX_BLOCKS:
        block = read_block(text, opening)
        blocks.append(block)
        opening = find_opening(text, block.end)
    return blocks


def read_block(text: str, opening: re.Match[str]) -> FencedBlock:
    """Read the block that a line opens."""
    fence = opening["ticks"] or opening["tildes"] or opening["late"]
    info = opening["info"] or opening["tilde_info"] or opening["late_info"] or ""
    lead = opening["lead"] or ""
    body = min(opening.end() + 1, len(text))

    end = _find_end(text, body, fence, is_python=_PYTHON.match(info) is not None)
    code = text[body : end.code]
    if ">" in lead:
        code = _QUOTE_MARKS.sub("", code)
    return FencedBlock(
        fence_start(opening), max(end.block, opening.end()), info.strip(), code, end.is_closed, len(lead.expandtabs(4))
    )


class _End(NamedTuple):
    """The end of a block."""

    code: int
    """Index behind its code."""
    block: int
    """Index behind the block."""
    is_closed: bool


def _find_end(text: str, body: int, fence: str, *, is_python: bool) -> _End:
    """Find the end of the block whose code begins at `body`, by the rules of this module."""
    in_open_string: _End | None = None  # the first end since a string began; it counts where the string is never closed
    too_short: _End | None = None  # the first end by a shorter fence
    for event, in_string in _iterate_events(text, body, is_python=is_python):
        if event.lastgroup == "triple":
            in_open_string = None
            continue
        line_start = _find_line_start(text, body, event.start())

        if event.lastgroup == "tag":
            if line_start is not None:
                return too_short or _End(line_start, line_start, False)
        elif event[0][0] != fence[0]:
            pass  # marks of the other kind of fence
        elif line_start is None:
            if is_python and not in_string and event[0][0] == "`":
                return _End(event.start(), event.end(), True)  # behind code on its line
        else:
            end, has_words = _read_fence(text, line_start, event)
            if len(event[0]) < len(fence):
                too_short = too_short or (None if has_words else end)
            elif in_string:
                in_open_string = in_open_string or end
            else:
                return end
    return in_open_string or too_short or _End(len(text), len(text), False)


def _iterate_events(text: str, body: int, *, is_python: bool) -> Iterator[tuple[re.Match[str], bool]]:
    """Yield the fences, the tags and the marks of strings, each with whether a string is open before it."""
    quote: str | None = None
    position = body
    while True:
        pattern = _STRING_EVENT[quote] if quote else _PYTHON_EVENT if is_python else _EVENT
        event = pattern.search(text, position)
        if event is None:
            return
        if event.lastgroup is not None:  # else a comment, a short string or an escaped character
            yield event, quote is not None
        if event.lastgroup == "triple":
            quote = None if quote else event[0]
        position = event.end()


def _read_fence(text: str, line_start: int, run: re.Match[str]) -> tuple[_End, bool]:
    """Return the end that the first fence of a line makes, and whether words follow it on the line."""
    rest = text[run.end() : _find_line_end(text, run.end())]
    if _LANGUAGE.match(rest):  # it opens the next block
        return _End(line_start, line_start, False), True
    return _End(line_start, run.end(), True), bool(rest.strip())


def _find_line_start(text: str, body: int, index: int) -> int | None:
    """Return where the line of an index begins; None where more than blanks and quote marks stand before the index."""
    line_start = text.rfind("\n", max(body, index - MAX_LEAD) - 1, index) + 1
    if line_start == 0 or _CLOSING_LEAD.fullmatch(text, line_start, index) is None:
        return None
    return line_start


def _find_line_end(text: str, index: int) -> int:
    line_end = text.find("\n", index)
    return len(text) if line_end < 0 else line_end
