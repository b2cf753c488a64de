"""Pieces of code in a model's answer: fenced blocks, and code without fences.

Each is parsed once; nothing is executed.
"""

from __future__ import annotations

import ast
import builtins
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from rewardsmith.contract import python_ast
from rewardsmith.contract.reward_program import ARGUMENTS, MAX_SOURCE_CHARS, PROVIDED_MODULES
from rewardsmith.llm import fences

_KNOWN_NAMES = {*dir(builtins), *ARGUMENTS, *PROVIDED_MODULES}
"""Names that a program has without defining them."""

_CODE_LINE = re.compile(
    r"\s|$|[@#]\s*\S|[)\]}]"
    r"|def\s+\w|from\s+[\w.]+\s+import\b|import\s+[\w.]+(?:\s+as\s+\w+)?\s*(?:[,;#]|$)"
    r"|(?:async|class|elif|else|except|finally|for|if|try|while|with)\b[^\n]*:\s*(?:#[^\n]*)?$"
    r"|[A-Za-z_][\w.]*\([^\n]*\)\s*$"
    r"|[A-Za-z_]\w*(?:\[[^\]\n]*\])?\s*(?::[^=\n]+)?[-+*/|&]?=[^=]"
)
_BARE_START = re.compile(r"^(?:>>> )?[ \t]*(?:def[ \t]+\w+[ \t]*\(|(?:WEIGHTS|MEMORY)\b[^=\n]{0,80}=)", re.MULTILINE)
_PROMPT = re.compile(r"^(?:>>>|\.\.\.)(?: |$)", re.MULTILINE)
_TAG_LINE = re.compile(
    r"^[ \t]*(?:(?:</?(?:code|pre|program|python|answer|response|solution|reward|reward_program|tool_call|function"
    r"|parameter|invoke)\b[^<>\n]{0,80}>|<!\[CDATA\[|\]\]>)[ \t]*)+",
    re.IGNORECASE | re.MULTILINE,
)
_WORTH_PARSING = re.compile(r"=|\b(?:def|import|WEIGHTS|MEMORY)\b")
_BREAK = "\n\x00\n"
"""Ends a run of code lines."""
MAX_INTRODUCTION_CHARS = 400


class UnclearAnswer(Exception):
    """Raised when an answer does not say which program it means; the message is a sentence for its author."""


@dataclass(frozen=True)
class CodeBlock:
    """A piece of code, with the words that introduce it."""

    code: str
    """Dedented, without prompts."""
    tree: ast.Module | None
    """None where it is no Python, or too long to be read."""
    introduction: str = ""
    """The words before it, the last `MAX_INTRODUCTION_CHARS` at most, from the block before it on."""
    is_closed: bool = True
    """Whether its end is certain: a closing fence, or words behind it."""
    definitions: dict[str, list[ast.stmt]] = field(default_factory=dict)
    """Names of its top level to the statements that bind them."""

    def defines(self, functions: tuple[str, ...]) -> bool:
        """Return whether it defines one of the functions with a body, also where it is no valid Python."""
        if self.tree is None:
            names = "|".join(map(re.escape, functions))
            return re.search(rf"^[ \t]*def[ \t]+(?:{names})[ \t]*\(", self.code, re.MULTILINE) is not None
        return any(is_function(node) for name in functions for node in self.definitions.get(name, ()))


class CodeReading(NamedTuple):
    """Pieces of code of a text, and the words around them."""

    blocks: list[CodeBlock]
    words: str


def build_block(codes: tuple[str, ...], introduction: str = "", *, is_closed: bool = True) -> CodeBlock:
    """Build a block of the first of several readings of its code that is Python; else of the first."""
    for reading in codes:
        code = _strip_prompts(reading).strip("\n")
        tree = _parse_or_none(code)
        if tree is not None:
            return CodeBlock(code, tree, introduction, is_closed, _list_definitions(tree))
    return CodeBlock(_strip_prompts(codes[0]).strip("\n"), None, introduction, is_closed)


def read_fenced_blocks(text: str) -> CodeReading:
    """Read the fenced blocks of an answer, empty ones left out.

    The words keep what stands behind an opening fence, but for the name of a language.

    Raises:
        UnclearAnswer: if there are too many.
    """
    found = fences.find_blocks(text)
    if len(found) >= fences.MAX_BLOCKS:
        raise UnclearAnswer(f"your answer has {fences.MAX_BLOCKS} fenced blocks or more, of which one would be enough")
    blocks: list[CodeBlock] = []
    words: list[str] = []
    position = 0
    for block in found:
        before = text[position : block.start]
        _, _, attributes = block.info.partition(" ")
        words += [before, attributes]
        position = block.end
        if not block.code.strip():
            continue
        introduction = f"{before[-MAX_INTRODUCTION_CHARS:]} {attributes}"
        code = build_block(block.list_dedentings(), introduction, is_closed=block.is_closed)
        if code.tree is None and block.info.lower().startswith(("markdown", "md")):
            inner = read_fenced_blocks(code.code)  # an answer that is fenced as a whole
            blocks += inner.blocks
            words.append(inner.words)
        else:
            blocks.append(code)
    words.append(text[position:])
    return CodeReading(blocks, _TAG_LINE.sub("", "\n".join(words)))


def read_bare_blocks(text: str) -> CodeReading:
    """Read code that has no fences: the runs of code lines around functions and declarations.

    The words are the text before the first run.
    """
    lines = _TAG_LINE.sub(_BREAK, _blank_fenced_blocks(text)).split("\n")
    blocks: list[CodeBlock] = []
    words = len(lines)
    end = 0
    for start, line in enumerate(lines):
        if start < end or not ("=" in line or "def" in line) or not _BARE_START.match(line):
            continue

        # The run of code lines around the line.
        first, previous_end = start, end
        while first > previous_end and _CODE_LINE.match(lines[first - 1]):
            first -= 1
        end = start + 1
        while end < len(lines) and (_CODE_LINE.match(lines[end]) or _PROMPT.match(lines[end])):
            end += 1

        introduction = "\n".join(lines[max(previous_end, first - 6) : first])
        code = textwrap.dedent("\n".join(lines[first:end]))
        is_closed = end < len(lines)
        blocks.append(build_block((code,), introduction[-MAX_INTRODUCTION_CHARS:], is_closed=is_closed))
        words = min(words, first)
    return CodeReading(blocks, "\n".join(lines[:words]).replace(_BREAK.strip(), ""))


def _blank_fenced_blocks(text: str) -> str:
    """Return a text with a break in place of each fenced block: what a fence holds is no code without fences."""
    parts: list[str] = []
    position = 0
    for block in fences.find_blocks(text):
        parts.append(text[position : block.start])
        position = block.end
    return _BREAK.join([*parts, text[position:]])


def list_free_names(tree: ast.AST, *, at_once: bool = False) -> set[str]:
    """List the names that code uses and does not bind, annotations left out.

    Args:
        tree: the code.
        at_once: only the names that are used when the code is executed, not those in bodies of functions.
    """
    used: set[str] = set()
    bound: set[str] = set()
    pending: list[ast.AST] = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Name):
            (used if isinstance(node.ctx, ast.Load) else bound).add(node.id)
        elif isinstance(node, ast.arg):
            bound.add(node.arg)
            continue
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            bound.add(node.name)
            body: list[ast.stmt] = [] if at_once else node.body
            pending += [node.args, *node.decorator_list, *body]
            continue
        elif isinstance(node, ast.Lambda) and at_once:
            continue
        elif isinstance(node, ast.AnnAssign):
            pending += [node.target, *([node.value] if node.value else [])]
            continue
        elif isinstance(node, ast.Import | ast.ImportFrom):
            bound |= _list_imported_names(node)
        pending += ast.iter_child_nodes(node)
    return used - bound - _KNOWN_NAMES


def _strip_prompts(code: str) -> str:
    """Return code without the prompts of an interpreter, where all of its lines have them."""
    lines = [line for line in code.split("\n") if line.strip()]
    if lines and lines[0].startswith(">>>") and all(_PROMPT.match(line) for line in lines):
        return _PROMPT.sub("", code)
    return code


def _parse_or_none(code: str) -> ast.Module | None:
    """Parse code; None where it is no Python, too long for a program, or holds nothing to define."""
    if len(code) > MAX_SOURCE_CHARS or not _WORTH_PARSING.search(code):
        return None
    return python_ast.parse_or_none(code + "\n")


def _list_definitions(tree: ast.Module) -> dict[str, list[ast.stmt]]:
    """List the names that the statements of a module's top level bind."""
    definitions: dict[str, list[ast.stmt]] = {}
    for statement in tree.body:
        for name in _list_bound_names(statement):
            definitions.setdefault(name, []).append(statement)
    return definitions


def _list_bound_names(statement: ast.stmt) -> Iterator[str]:
    """List the names that a statement binds, or whose object it changes."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield statement.name
    elif isinstance(statement, ast.Import | ast.ImportFrom):
        yield from _list_imported_names(statement)
    elif isinstance(statement, ast.Assign):
        for target in statement.targets:
            yield from _list_target_names(target)
    elif isinstance(statement, ast.AnnAssign | ast.AugAssign):
        yield from _list_target_names(statement.target)
    elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        changed = statement.value.func  # as in WEIGHTS.update(...)
        if isinstance(changed, ast.Attribute) and isinstance(changed.value, ast.Name):
            yield changed.value.id


def _list_target_names(target: ast.expr) -> Iterator[str]:
    """List the names in the target of an assignment: `a` in `a, b`, and in `a[0]` too."""
    for node in ast.walk(target):
        if isinstance(node, ast.Name) and (isinstance(node.ctx, ast.Store) or not isinstance(target, ast.Name)):
            yield node.id


def _list_imported_names(node: ast.Import | ast.ImportFrom) -> set[str]:
    return {(alias.asname or alias.name).partition(".")[0] for alias in node.names}


def is_function(statement: ast.stmt) -> bool:
    """Return whether a statement defines a function with a body: more than a docstring, `...` or `pass`."""
    if not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
        return False
    return any(
        not isinstance(part, ast.Pass) and not (isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant))
        for part in statement.body
    )
