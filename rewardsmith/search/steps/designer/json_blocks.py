"""Code that an answer wraps in JSON: in one object, in the arguments of a call of a tool, in the cells of a notebook.

The texts of all its values are read, at any depth; a text may be JSON again. Nothing is executed.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator

from rewardsmith.contract import python_ast
from rewardsmith.contract.reward_program import DECLARATIONS, MAX_SOURCE_CHARS
from rewardsmith.search.steps.designer.answer_blocks import CodeBlock, CodeReading, build_block, read_fenced_blocks

MAX_DEPTH = 16
"""Levels of objects, lists and texts that are JSON again."""
MAX_STARTS = 20
"""Brackets in a text at which JSON is looked for, at most."""

_START = re.compile(r"(?:^|[>\]\uff5c])[ \t]*(?=[{\[])", re.MULTILINE)
_DECODER = json.JSONDecoder(strict=False)

Found = tuple[list[CodeBlock], list[str]]
"""Pieces of code, and the other texts."""


def read_json_block(text: str, functions: tuple[str, ...]) -> CodeReading | None:
    """Read a text that is one JSON value: its texts with a program, and its other texts as words.

    Returns:
        None where the text is no JSON, or none of its texts has a program.
    """
    text = text.strip()
    if not text.startswith(("{", "[")) or not text.endswith(("}", "]")):
        return None
    blocks, words = _read_value(_decode(text), functions, 0)
    return CodeReading(blocks, "\n".join(words)) if any(block.defines(functions) for block in blocks) else None


def find_json_blocks(text: str, functions: tuple[str, ...]) -> CodeReading | None:
    """Find the first JSON value with a program in a text, as in a call of a tool; the text before it is words too.

    Returns:
        None where there is none.
    """
    for count, start in enumerate(_START.finditer(text)):
        if count == MAX_STARTS:
            break
        try:
            value, _ = _DECODER.raw_decode(text, start.end())
        except (ValueError, RecursionError):
            continue
        blocks, words = _read_value(value, functions, 0)
        if any(block.defines(functions) for block in blocks):
            return CodeReading(blocks, "\n".join([text[: start.start()], *words]))
    return None


def _decode(text: str) -> object:
    """Decode JSON, or the literal that Python prints for it; None where it is neither."""
    try:
        return _DECODER.decode(text)
    except (ValueError, RecursionError):
        return python_ast.read_literal(text) if len(text) <= MAX_SOURCE_CHARS else None


def _read_value(value: object, functions: tuple[str, ...], depth: int) -> Found:
    """Read a decoded value."""
    if depth > MAX_DEPTH:
        return [], []
    if isinstance(value, str):
        return _read_text(value.replace("\r\n", "\n"), functions, depth)
    if isinstance(value, list | tuple) and value and all(isinstance(part, str) for part in value):
        has_breaks = any(part.endswith("\n") for part in value)
        return _read_text(("" if has_breaks else "\n").join(value), functions, depth)  # lines, as notebooks keep them

    blocks: list[CodeBlock] = []
    words: list[str] = []
    for part_blocks, part_words in _read_parts(value, functions, depth):
        blocks += part_blocks
        words += part_words
    return blocks, words


def _read_parts(value: object, functions: tuple[str, ...], depth: int) -> Iterator[Found]:
    """Read each part of an object or a list; an object without a program stays a block, since it may hold weights."""
    if isinstance(value, dict):
        for key, part in value.items():
            if key in DECLARATIONS:
                yield [], [f"{key} = {part}"]
                continue
            blocks, words = _read_value(part, functions, depth + 1)
            if isinstance(part, dict) and not any(block.defines(functions) for block in blocks):
                blocks = [CodeBlock(json.dumps(part, default=str), None)]
            yield blocks, words
    elif isinstance(value, list | tuple):
        for part in value:
            yield _read_value(part, functions, depth + 1)


def _read_text(text: str, functions: tuple[str, ...], depth: int) -> Found:
    """Read a text: JSON again, its fenced blocks, the program that it is as a whole, or words."""
    stripped = text.strip()
    if stripped.startswith(("{", "[", '"')) and stripped.endswith(("}", "]", '"')):
        blocks, words = _read_value(_decode(stripped), functions, depth + 1)
        if any(block.defines(functions) for block in blocks):
            return blocks, words
    fenced, around = read_fenced_blocks(text)
    if fenced:
        return fenced, [around]
    whole = build_block((textwrap.dedent(text),))
    return ([whole], []) if whole.tree is not None or whole.defines(functions) else ([], [text])
