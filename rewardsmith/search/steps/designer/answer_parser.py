"""Parser of a model's answer: extracts the program exactly as written, or says why there is none.

`llm.thoughts` drops what a model thinks, `answer_blocks` and `json_blocks` read the pieces of code, `join_blocks` makes
a program of them. Nothing is executed; whether the program keeps the contract is checked by the critic. The rules:

- Thoughts never count. Only where an answer holds nothing else, and a thought was opened and never closed although the
  model stopped by itself, its last whole program counts.
- Fenced blocks come before code without fences. Code without fences is the run of code lines around a function or a
  declaration. An answer or a block that is JSON, and the arguments of a call of a tool, are read in their texts.
- A program is a block that defines the function. Of several, equal ones count once, and one that the answer calls a
  draft or an alternative gives way. The one that is introduced as the final or complete one counts, or the one that has
  all statements of the others. Where several remain, or the last one is no Python, the answer is unclear.
- WEIGHTS, MEMORY, and the functions, constants and imports that the program uses join it from other blocks. A name
  with two different values is unclear, and so are weights that stand in the answer but not in the program. Examples of
  use do not join; a part under `if __name__ == "__main__":` is left out.
- Nothing is repaired: typographic quotes, invisible characters and HTML entities are named to the author.

An unclear answer has no program: its author is told why and asked again. Every line of a program is a line of the
answer, up to its indentation.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass

from rewardsmith.contract import python_ast
from rewardsmith.contract.reward_program import MAX_SOURCE_CHARS
from rewardsmith.llm.thoughts import SplitText, split_thoughts
from rewardsmith.search.steps.designer.answer_blocks import (
    CodeBlock,
    CodeReading,
    UnclearAnswer,
    read_bare_blocks,
    read_fenced_blocks,
)
from rewardsmith.search.steps.designer.join_blocks import assemble_source
from rewardsmith.search.steps.designer.json_blocks import find_json_blocks, read_json_block
from rewardsmith.search.steps.designer.program_absence import describe_absence

MAX_RATIONALE_CHARS = 2000
MAX_ANSWER_CHARS = 16 * 2**20
"""Longer answers are refused unread."""

_IDEA = re.compile(r"^[ \t>*_`#]{0,20}IDEA[*_`]{0,3}[ \t]{0,3}:[*_`]{0,3}[ \t]*(\S.*)$", re.MULTILINE)
_HTML_ENTITY = re.compile(r"&(?:lt|gt|amp|quot|#39|#x27|apos|nbsp);")


@dataclass(frozen=True)
class ParsedAnswer:
    """A model's answer, taken apart."""

    source: str | None
    """The program's text; None where the answer holds no program."""
    rationale: str
    """The words around it."""
    problem: str | None = None
    """Why there is no program, in a sentence for its author."""
    idea: str = ""
    """What the answer names as its idea, on a line of its own; empty where it names none."""


def parse_answer(text: str, *, cut_off: bool = False, functions: tuple[str, ...] = ("reward",)) -> ParsedAnswer:
    r"""Take the program out of an answer.

    >>> parse_answer("Go fast.\n```python\ndef reward(after):\n    return {'v': after.v}\n```").rationale
    'Go fast.'

    Args:
        text: the model's answer.
        cut_off: whether it ended because it reached the limit of its length.
        functions: names of functions; a program defines at least one of them.
    """
    if len(text) > MAX_ANSWER_CHARS:
        problem = f"your answer has {len(text):,} characters, at most {MAX_ANSWER_CHARS:,} are read"
        return ParsedAnswer(None, "", problem)
    split = split_thoughts(text.lstrip("\ufeff").replace("\r\n", "\n").replace("\r", "\n"))
    try:
        return _parse_split_text(split, cut_off, functions)
    except UnclearAnswer as error:
        problem = "your answer was cut off by the length limit" if cut_off else str(error)
        return ParsedAnswer(None, _shorten_rationale(split.answer), problem)


def _parse_split_text(split: SplitText, cut_off: bool, functions: tuple[str, ...]) -> ParsedAnswer:
    """Return the program of a model's answer; of its thoughts only if there is nothing else.

    Raises:
        UnclearAnswer: if it is not certain which program is meant.
    """
    blocks, words = _read_code(split.answer, functions)
    if any(block.defines(functions) for block in blocks):
        is_maybe_thought = cut_off and not split.is_balanced and not split.open_thought
        if not is_maybe_thought:
            return _build_answer(blocks, words, functions, cut_off)

    elif split.open_thought and not cut_off:
        # A thought that was never closed: its last whole program counts.
        thought = _read_code(split.open_thought, functions)
        whole = [block for block in thought.blocks if block.tree is not None]
        programs = [block for block in whole if block.defines(functions)]
        if programs:
            kept = [block for block in whole if block is programs[-1] or not block.defines(functions)]
            return _build_answer(kept, thought.words, functions, cut_off)

    problem = describe_absence(split.answer, cut_off, functions)
    return ParsedAnswer(None, _shorten_rationale(words), problem)


def _read_code(text: str, functions: tuple[str, ...]) -> CodeReading:
    """Read the pieces of code of a text in the first way that gives a program."""
    if _may_define(text, functions):
        for read in (read_json_block, _read_fences, find_json_blocks, _read_bare_code):
            reading = read(text, functions)
            if reading is not None:
                return reading
    return CodeReading([], text)


def _read_fences(text: str, functions: tuple[str, ...]) -> CodeReading | None:
    """Read the fenced blocks of a text, or else the JSON in them; None where neither has a program."""
    fenced = read_fenced_blocks(text)
    if any(block.defines(functions) and not block.code.startswith(("{", "[")) for block in fenced.blocks):
        return fenced
    inner = [reading for block in fenced.blocks if (reading := read_json_block(block.code, functions)) is not None]
    if not inner:
        return None
    blocks = [block for reading in inner for block in reading.blocks]
    return CodeReading(blocks, "\n".join([fenced.words, *(reading.words for reading in inner)]))


def _read_bare_code(text: str, functions: tuple[str, ...]) -> CodeReading | None:
    """Read code that has no fences; None where it has no program."""
    reading = read_bare_blocks(text)
    return reading if any(block.defines(functions) for block in reading.blocks) else None


def _may_define(text: str, functions: tuple[str, ...]) -> bool:
    return re.search(rf"def[ \t]+(?:{'|'.join(functions)})[ \t]*\(", text) is not None


def _build_answer(blocks: list[CodeBlock], words: str, functions: tuple[str, ...], cut_off: bool) -> ParsedAnswer:
    """Return the program of blocks of which at least one defines it; see `assemble_source` for what it raises."""
    rationale = _shorten_rationale(words)
    source, core = assemble_source(blocks, functions, words)
    if cut_off and not core.is_closed:
        return ParsedAnswer(None, rationale, "your answer was cut off by the length limit before the program's end")
    foreign_text = _describe_foreign_text(core)
    if foreign_text is not None:
        return ParsedAnswer(None, rationale, foreign_text)
    return ParsedAnswer(_tidy_source(_drop_main_part(source)), rationale, idea=_find_idea(words))


def _describe_foreign_text(core: CodeBlock) -> str | None:
    """Say which characters of a text Python does not allow; None if it allows all."""
    entity = _HTML_ENTITY.search(core.code)
    if entity is not None and (core.tree is None or _uses_entity(core.tree)):
        return f"the program is escaped as HTML, with {entity[0]} in place of its character; write plain text"
    if core.tree is not None or len(core.code) > MAX_SOURCE_CHARS:
        return None
    try:
        python_ast.parse_module(core.code + "\n")
    except SyntaxError as error:
        if "invalid character" in error.msg or "invalid non-printable character" in error.msg:
            return f"line {error.lineno} of the program has an {error.msg}; write plain quotes, signs and blanks"
    except (ValueError, RecursionError, MemoryError):
        return None
    return None


def _uses_entity(tree: ast.Module) -> bool:
    """Return whether a name of an entity is used as a variable: `a &lt; b` is Python, of an unknown `lt`."""
    return any(isinstance(node, ast.Name) and node.id in ("lt", "gt", "amp", "quot") for node in ast.walk(tree))


def _drop_main_part(source: str) -> str:
    """Return the program without what it does only as a script of its own, which never runs here."""
    tree = python_ast.parse_or_none(source + "\n") if "__main__" in source else None
    if tree is None:
        return source
    lines = source.split("\n")
    for statement in reversed(tree.body):
        if isinstance(statement, ast.If) and not statement.orelse and _asks_for_main(statement.test):
            del lines[statement.lineno - 1 : statement.end_lineno]
    return "\n".join(lines)


def _asks_for_main(test: ast.expr) -> bool:
    return ast.unparse(test).replace('"', "'") in ("__name__ == '__main__'", "'__main__' == __name__")


def _tidy_source(source: str) -> str:
    """Return the program without blanks at its lines' ends, ending in one line break."""
    return "\n".join(line.rstrip() for line in source.strip("\n").split("\n")).strip("\n") + "\n"


def _shorten_rationale(text: str) -> str:
    """Return the words on one line, at most `MAX_RATIONALE_CHARS` long; the mark of the idea is left out."""
    text = _IDEA.sub(lambda match: _end_sentence(match[1]), text[: 20 * MAX_RATIONALE_CHARS], count=1)
    return " ".join(text[: 20 * MAX_RATIONALE_CHARS].split())[:MAX_RATIONALE_CHARS]


def _find_idea(words: str) -> str:
    """Return the idea on a line of its own, `IDEA: ...`; "" without such a line."""
    match = _IDEA.search(words[: 20 * MAX_RATIONALE_CHARS])
    return " ".join(match[1].strip("*_` ").split()) if match else ""


def _end_sentence(line: str) -> str:
    line = line.rstrip("*_` \t")
    return line if line.endswith((".", "!", "?", ":")) else f"{line}."
