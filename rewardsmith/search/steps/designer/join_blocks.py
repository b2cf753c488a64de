"""The program of an answer's blocks of code: one block is chosen, and what it needs from the others joins it.

`answer_parser` states the rules.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Sequence

from rewardsmith.contract import python_ast
from rewardsmith.contract.reward_program import DECLARATIONS
from rewardsmith.search.steps.designer.answer_blocks import (
    CodeBlock,
    UnclearAnswer,
    is_function,
    list_free_names,
)

_PROGRAM_NOUN = (
    r"(?:[\w-]+\s+){0,2}(?:program|reward|code|version|function|solution|answer|one|result|block|script)s?\b"
)
_FINAL_ADJECTIVE = (
    r"(?:final|complete|completed|full|whole|entire|improved|better|corrected|fixed|revised|updated|refined|combined)"
)
_FINAL = re.compile(
    rf"\b{_FINAL_ADJECTIVE}\s+{_PROGRAM_NOUN}|^\W*{_FINAL_ADJECTIVE}\W*$"
    r"|\b(?:all|everything|it|them|this)\s+(?:all\s+)?together\b|<(?:answer|solution|response)>"
    r"|^\W*(?:answer|solution)\W*$",
    re.IGNORECASE | re.MULTILINE,
)
_DISOWNED = re.compile(
    r"\b(?:drafts?|sketch|naive|initial|old|previous|earlier|original|wrong|incorrect|instead of|rather than|avoid"
    r"|alternatives?|alternatively|optional|optionally|for comparison|variant"
    r"|first\s+(?:attempt|version|try|idea))\b|^\W*or\W*$",
    re.IGNORECASE | re.MULTILINE,
)
_NOT_FINAL = re.compile(r"\b(?:not|no|isn't|never)\b[^.\n]{0,20}\b(?:final|complete|full|whole)\b", re.IGNORECASE)
INTRODUCTION_LINES = 2
"""Lines before a block that say what it is."""
INTRODUCTION_LINE_CHARS = 80
_WORDED_DECLARATION = re.compile(
    r"\b(?P<name>WEIGHTS|MEMORY)\b[^=:\n]{0,60}[=:]\s{0,9}(?P<dict>\{[^{}]{0,4000}\})", re.MULTILINE
)
_WEIGHTS_HEADING = re.compile(
    r"^[ \t\[{\"'*#]{0,20}weights?[\"'*\]]{0,4}[ \t]*(?:[:=]|$)", re.IGNORECASE | re.MULTILINE
)
"""The key, in TOML, YAML or JSON, that weights are given under."""
_LINE_MARKS = " \t>*`-"
"""Characters before a declaration on a line of words that begins with it."""
_DECLARED = re.compile(rf"^[ \t]*({'|'.join(DECLARATIONS)})\b[^=\n]{{0,80}}=", re.MULTILINE)


def assemble_source(blocks: Sequence[CodeBlock], functions: tuple[str, ...], words: str) -> tuple[str, CodeBlock]:
    """Assemble the program of an answer's blocks, and return it with the block that was chosen.

    Args:
        blocks: in the answer's order; at least one defines one of the functions.
        functions: names of functions of which a program has at least one.
        words: the answer's words outside of the blocks.

    Raises:
        UnclearAnswer: if the answer does not say which program, or which values of it, it means.
    """
    programs = [block for block in blocks if block.defines(functions)]
    core = choose_program(programs, functions)
    source = _join_needed(core, blocks, functions)
    _check_left_out_weights(source, core, blocks, functions)
    _check_worded_declarations(source, words, functions)
    return source, core


def choose_program(programs: Sequence[CodeBlock], functions: tuple[str, ...]) -> CodeBlock:
    """Choose the block that is the program.

    Raises:
        UnclearAnswer: if several different ones could be it.
    """
    if len(programs) == 1:
        return programs[0]

    # Blocks that define different functions do not compete; the others of them join later.
    last = programs[-1]
    names = _list_defined(last) & set(functions)
    defined = [(program, _list_defined(program)) for program in programs]
    rivals = [program for program, found in defined if not names or not found or found & names]

    # Equal programs count once. Drafts, and broken programs that a later one replaces, do not count.
    rivals = list({_fingerprint(rival): rival for rival in rivals}.values())
    rivals = [rival for rival in rivals if not is_disowned(rival)] or rivals
    if rivals[-1].tree is not None:
        rivals = [rival for rival in rivals if rival.tree is not None]
    if len(rivals) == 1:
        return rivals[0]

    # One is marked as the final one, or has all that the others have.
    marked = [rival for rival in rivals if _is_marked_final(rival)]
    if len(marked) == 1:
        return marked[0]
    if rivals[-1].tree is None:
        raise UnclearAnswer("your answer has several programs, and the last one is no valid Python")
    whole = [rival for rival in rivals if all(_holds_all_of(rival, other) for other in rivals)]
    if len(whole) == 1:
        return whole[0]
    raise UnclearAnswer(f"your answer has {len(rivals)} different programs and does not say which one is the final one")


def is_disowned(block: CodeBlock) -> bool:
    """Return whether the answer calls a block a draft, an alternative, or what should not be done."""
    introduction = _introduce(block)
    if _NOT_FINAL.search(introduction):
        return True
    return _DISOWNED.search(introduction) is not None and _FINAL.search(introduction) is None


def _is_marked_final(block: CodeBlock) -> bool:
    introduction = _introduce(block)
    return _FINAL.search(introduction) is not None and _NOT_FINAL.search(introduction) is None


def _introduce(block: CodeBlock) -> str:
    """Return the last words before a block, and the comment that it begins with."""
    lines = [line for line in block.introduction.split("\n") if line.strip()][-INTRODUCTION_LINES:]
    first_line = block.code.partition("\n")[0]
    return "\n".join([*lines, first_line] if first_line.startswith("#") else lines)


def _list_defined(block: CodeBlock) -> set[str]:
    return set(block.definitions)


def _fingerprint(block: CodeBlock) -> str:
    """Return what two equal blocks share: comments and layout do not count."""
    return ast.dump(block.tree) if block.tree is not None else block.code


def _holds_all_of(block: CodeBlock, other: CodeBlock) -> bool:
    """Return whether every statement of another block's top level stands in a block too."""
    if block.tree is None or other.tree is None:
        return block is other
    statements = {ast.dump(statement) for statement in block.tree.body}
    return all(ast.dump(statement) in statements for statement in other.tree.body)


# ---------------------------------------------------------------- joining


def _join_needed(core: CodeBlock, blocks: Sequence[CodeBlock], functions: tuple[str, ...]) -> str:
    """Return the chosen block's text with the declarations, helpers and constants that it needs from other blocks."""
    if len(blocks) == 1:
        return core.code
    others = [block for block in blocks if _may_give(block, core, functions)]
    core_names = set(core.definitions) if core.tree is not None else _scan_declared_names(core.code)
    pending = [*functions, *DECLARATIONS, *sorted(list_free_names(core.tree) if core.tree else ())]
    pending += sorted(core_names)
    seen: set[str] = set()
    pieces: dict[tuple[int, int], tuple[ast.stmt, CodeBlock]] = {}

    # Each name that is needed brings the statement that defines it, and the names that this one needs.
    while pending:
        name = pending.pop(0)
        if name in seen:
            continue
        seen.add(name)
        offers = list(_list_offers(name, others))
        statements = [*core.definitions.get(name, ()), *(statement for statement, _ in offers)]
        if offers and len({_normalize(statement) for statement in statements}) > 1:
            raise UnclearAnswer(f"your answer defines {name} in several blocks with different values")
        if not offers or name in core_names:
            continue
        statement, block = offers[-1]
        pieces[others.index(block), statement.lineno] = (statement, block)
        pending += sorted(list_free_names(statement))

    if not pieces:
        return core.code
    return _lay_out(core, [pieces[place] for place in sorted(pieces)])


def _may_give(block: CodeBlock, core: CodeBlock, functions: tuple[str, ...]) -> bool:
    """Return whether a program may take something from a block: no rival of it, no draft, and no example of its use."""
    if block is core or is_disowned(block):
        return False
    shared = _list_defined(block) & _list_defined(core) & set(functions)
    return not (block.defines(functions) and (shared or block.tree is None or core.tree is None))


def _list_offers(name: str, others: Sequence[CodeBlock]) -> Iterator[tuple[ast.stmt, CodeBlock]]:
    """Yield the definitions of a name in other blocks; of a block that calls the program only its declarations."""
    for block in others:
        if name in DECLARATIONS and block.tree is None and name in _scan_declared_names(block.code):
            raise UnclearAnswer(f"your answer declares {name} in a block that is no valid Python")
        if name in DECLARATIONS or not _is_usage(block):
            for statement in block.definitions.get(name, ()):
                if is_function(statement) or not isinstance(statement, ast.FunctionDef):
                    yield statement, block


def _is_usage(block: CodeBlock) -> bool:
    """Return whether a block does something at its top level, as examples and tests of a program do."""
    statements = block.tree.body if block.tree is not None else []
    return any(
        isinstance(statement, ast.For | ast.With | ast.Assert | ast.While | ast.Try)
        or (isinstance(statement, ast.Expr) and not isinstance(statement.value, ast.Constant))
        for statement in statements
    )


def _normalize(statement: ast.stmt) -> str:
    """Return what two equal definitions share; annotations, and 1 in place of 1.0, do not count."""
    target: ast.expr
    if isinstance(statement, ast.AnnAssign) and statement.value is not None:
        target, value = statement.target, statement.value
    elif isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target, value = statement.targets[0], statement.value
    else:
        return ast.dump(statement)
    literal = python_ast.read_literal(ast.unparse(value)) if isinstance(value, ast.Dict) else None
    if isinstance(literal, dict) and all(type(number) in (int, float) for number in literal.values()):
        numbers = sorted((str(key), float(number)) for key, number in literal.items())
        return f"{ast.dump(target)} = {numbers}"
    return f"{ast.dump(target)} = {ast.dump(value)}"


def _scan_declared_names(code: str) -> set[str]:
    """Return which of WEIGHTS, MEMORY and OBSERVATION a text assigns that may be no valid Python."""
    return set(_DECLARED.findall(code))


def _lay_out(core: CodeBlock, pieces: Sequence[tuple[ast.stmt, CodeBlock]]) -> str:
    """Return the chosen block with pieces of others before it, or after it where they need its names at once."""
    before: list[tuple[ast.stmt, CodeBlock]] = []
    after: list[tuple[ast.stmt, CodeBlock]] = []
    for statement, block in pieces:
        needs_core = list_free_names(statement, at_once=True) & set(core.definitions)
        (after if needs_core else before).append((statement, block))

    lines = core.code.split("\n")
    head = _count_preamble_lines(core)
    parts = ["\n".join(lines[:head]), *_cut_texts(before), "\n".join(lines[head:]).strip("\n"), *_cut_texts(after)]
    return "\n\n".join(part for part in parts if part)


def _cut_texts(pieces: Sequence[tuple[ast.stmt, CodeBlock]]) -> list[str]:
    """Return the lines of statements, each with the comments above it; neighbours in a block stay together."""
    texts: list[str] = []
    last_block: CodeBlock | None = None
    last_end = 0
    for statement, block in pieces:
        lines = block.code.split("\n")
        first, end = _find_first_line(statement, lines), statement.end_lineno or statement.lineno
        is_same_block = block is last_block
        if is_same_block and first < last_end:
            continue  # on the line of the statement before
        if is_same_block and not any(line.strip() for line in lines[last_end:first]):
            texts[-1] += "\n" + "\n".join(lines[last_end:end])
        else:
            texts.append("\n".join(lines[first:end]))
        last_block, last_end = block, end
    return texts


def _find_first_line(statement: ast.stmt, lines: Sequence[str]) -> int:
    """Return the index of a statement's first line, with its decorators and the comments right above it."""
    first = statement.lineno - 1
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and statement.decorator_list:
        first = statement.decorator_list[0].lineno - 1
    while first > 0 and lines[first - 1].startswith("#"):
        first -= 1
    return first


def _count_preamble_lines(core: CodeBlock) -> int:
    """Return how many lines have to stay first: a docstring and imports from `__future__`."""
    count = 0
    for number, statement in enumerate(core.tree.body if core.tree is not None else []):
        is_docstring = number == 0 and isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
        if not is_docstring and not (isinstance(statement, ast.ImportFrom) and statement.module == "__future__"):
            break
        count = statement.end_lineno or statement.lineno
    return count


# ---------------------------------------------------------------- what was left out


def _check_left_out_weights(
    source: str, core: CodeBlock, blocks: Sequence[CodeBlock], functions: tuple[str, ...]
) -> None:
    """Refuse a program without weights where another block has some, in a draft or as plain JSON."""
    if "WEIGHTS" in _scan_declared_names(source) or "reward" not in functions:
        return
    needed = list_free_names(core.tree) if core.tree is not None else set()
    for block in blocks:
        if block is core:
            continue
        if "WEIGHTS" in _scan_declared_names(block.code):
            raise UnclearAnswer("your answer has WEIGHTS in another block than the final program, which has none")
        if _is_dict_of_numbers(block.code):
            raise UnclearAnswer("your answer has a dict of numbers in a block of its own, and its program no WEIGHTS")
        if not block.defines(functions) and not needed & set(block.definitions) and _WEIGHTS_HEADING.search(block.code):
            raise UnclearAnswer("your answer has weights in a block of its own, and its program no WEIGHTS")


def _is_dict_of_numbers(code: str) -> bool:
    if not code.startswith("{") or len(code) > 10_000:
        return False
    try:
        values = json.loads(code)
    except (ValueError, RecursionError):
        return False
    return bool(values) and all(type(value) in (int, float) for value in values.values())


def _check_worded_declarations(source: str, words: str, functions: tuple[str, ...]) -> None:
    """Refuse a program where the words around it declare other weights or another memory than it has."""
    for match in _WORDED_DECLARATION.finditer(words):
        name = match["name"]
        declared = python_ast.read_literal(match["dict"])
        in_program = [python_ast.read_literal(found) for found in _find_dicts(source, name)]
        is_needed = name != "WEIGHTS" or "reward" in functions
        if not declared or declared in in_program or not is_needed:
            continue
        # A program of one's own may be compared with another in passing, but not on a line that declares.
        if not in_program or not _line_before(words, match.start()).strip(_LINE_MARKS):
            raise UnclearAnswer(f"your answer declares {name} outside of the fenced block, other than in the program")


def _line_before(text: str, index: int) -> str:
    """Return what stands before an index on its line, the last characters of it at most."""
    return text[max(0, index - INTRODUCTION_LINE_CHARS) : index].rpartition("\n")[2]


def _find_dicts(source: str, name: str) -> list[str]:
    return re.findall(rf"^{name}\b[^=\n]{{0,80}}=\s{{0,9}}(\{{[^{{}}]*\}})", source, re.MULTILINE)
