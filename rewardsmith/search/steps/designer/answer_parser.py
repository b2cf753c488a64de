"""Takes the program out of a model's answer: fenced, half fenced, bare, in pieces, or not there.

Nothing is executed; whether the program keeps the contract is the critic's to say.
"""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass

from rewardsmith.contract import python_ast

MAX_RATIONALE_CHARS = 2000

_THOUGHT = re.compile(r"<(?P<end>/?)(?:think|thinking|thought|reasoning)>", re.IGNORECASE)
_BLOCK = re.compile(
    r"^[ \t]*(?P<fence>`{3,}|~{3,})[^\n]*\n(?P<code>.*?)(?:^[ \t]*(?P=fence)[`~]*[ \t]*$|\Z)",
    re.DOTALL | re.MULTILINE,
)
_DECLARATION = re.compile(r"^(?:WEIGHTS|MEMORY)\b[^=\n]*=", re.MULTILINE)
_CODE_LINE = re.compile(r"(?:def|import|from|@|#)\s*\S|[A-Za-z_]\w*\s*(?::[^=]+)?=[^=]|\s|[)\]}]|$")


@dataclass(frozen=True)
class Extract:
    """What an answer holds."""

    source: str | None
    """The program's text; None where there is none."""
    rationale: str
    """The words around it."""
    problem: str | None = None
    """Why there is no program, in a sentence for its author."""


def extract(text: str, *, cut_off: bool = False, entry: tuple[str, ...] = ("reward",)) -> Extract:
    r"""Take the program out of an answer.

    >>> extract("Go fast.\n```python\ndef reward(after):\n    return {'v': after.v}\n```").rationale
    'Go fast.'

    Args:
        text: the model's answer.
        cut_off: whether it ended because it reached the limit of its length.
        entry: names of functions, of which a program defines at least one.
    """
    text = _without_thoughts(text.lstrip("\ufeff").replace("\r\n", "\n"))
    define = re.compile(rf"^[ \t]*def[ \t]+(?:{'|'.join(entry)})[ \t]*\(", re.MULTILINE)
    blocks = [match for match in _BLOCK.finditer(text) if match["code"].strip()]
    found = _fenced(blocks, define) or _bare(text, define)
    if found is None:
        return Extract(None, _rationale(text), _absence(text, cut_off, entry))
    source, rest = found, _BLOCK.sub("", text) if blocks else text.partition(found.split("\n", 1)[0])[0]
    if cut_off and not _parses(source):
        return Extract(None, _rationale(rest), "your answer was cut off by the length limit before the program's end")
    return Extract(_tidy(source), _rationale(rest))


def named(entry: tuple[str, ...]) -> str:
    """Return the names of functions for a prompt.

    >>> named(("sparse", "dense"))
    '`sparse` and `dense`'
    """
    return " and ".join(f"`{name}`" for name in entry)


def _without_thoughts(text: str) -> str:
    """Drop what a reasoning model thought aloud; its drafts are no answer."""
    kept: list[str] = []
    depth = at = 0
    for tag in _THOUGHT.finditer(text):
        if depth == 0:
            kept.append(text[at : tag.start()])
        if not tag["end"]:
            depth += 1
        elif depth:
            depth -= 1
        else:
            kept.clear()  # some templates swallow the opening tag
        at = tag.end()
    return "".join(kept) + (text[at:] if depth == 0 else "")


def _fenced(blocks: list[re.Match[str]], define: re.Pattern[str]) -> str | None:
    """Return the last fenced program that parses, else the longest; declarations in a block of their own join it."""
    codes = [textwrap.dedent(block["code"]) for block in blocks]
    programs = [code for code in codes if define.search(code)]
    if not programs:
        return None
    whole = [code for code in programs if _parses(code)]
    program = whole[-1] if whole else max(programs, key=len)
    declared = [code for code in codes if code not in programs and _DECLARATION.search(code) and _parses(code)]
    if declared and not _DECLARATION.search(program):
        program = f"{declared[-1].rstrip()}\n\n{program}"
    return program


def _bare(text: str, define: re.Pattern[str]) -> str | None:
    """Return the program in an answer without fences: the run of code lines around the function."""
    match = define.search(text)
    if match is None:
        return None
    lines = textwrap.dedent(text).split("\n")
    at = text.count("\n", 0, match.start())
    first, last = at, at + 1
    while first > 0 and _CODE_LINE.match(lines[first - 1]):
        first -= 1
    while last < len(lines) and _CODE_LINE.match(lines[last]):
        last += 1
    code = "\n".join(lines[first:last]).strip("\n")
    return code if code else None


def _parses(code: str) -> bool:
    try:
        python_ast.module(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _tidy(source: str) -> str:
    """Return the program without blanks at its lines' ends, ending in one line break."""
    return "\n".join(line.rstrip() for line in source.strip("\n").split("\n")).strip("\n") + "\n"


def _rationale(text: str) -> str:
    return " ".join(text.split())[:MAX_RATIONALE_CHARS]


def _absence(text: str, cut_off: bool, entry: tuple[str, ...]) -> str:
    """Say why there is no program."""
    if cut_off:
        return "your answer was cut off by the length limit before any program"
    if not text.strip():
        return "your answer holds no text besides its reasoning"
    if _BLOCK.search(text):
        return f"your answer has a fenced block, but none that defines a function named {named(entry)}"
    return "your answer has no program, only prose"
