"""Edits of a program's text: weights and other parts are replaced, and the rest stays as it is, comments included."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from typing import Literal

from rewardsmith.contract import python_ast
from rewardsmith.contract.reward_program import find_assignment, parse_program

Edit = tuple[ast.AST, Literal["before", "inside", "instead"], str]
"""A node, where the text goes (before it, after its opening bracket, or in its place), and the text."""


def replace_weights(source: str, weights: Mapping[str, float]) -> str:
    r"""Replace weights in a program's text; the rest of it stays as it is, comments included.

    >>> text = "WEIGHTS = {'up': 2}  # tuned\ndef reward(after):\n    return {'up': after.height}"
    >>> replace_weights(text, {"up": 0.5}).splitlines()[0]
    "WEIGHTS = {'up': 0.5}  # tuned"

    Args:
        source: a program.
        weights: term name to weight; a term that it does not name keeps its own.

    Raises:
        ProgramError: if the text is no program.
    """
    parse_program(source)
    tree = python_ast.parse_module(source)
    written = {name: repr(float(weight)) for name, weight in weights.items()}
    node = find_assignment(tree, "WEIGHTS")
    if node is None:
        first = next(statement for statement in tree.body if not _is_preamble(statement))
        return apply_edits(source, [(first, "before", f"WEIGHTS = {{{_format_items(written)}}}\n\n\n")])

    # Numbers of terms that WEIGHTS names are replaced, further terms are put before them
    literal = node.value
    assert isinstance(literal, ast.Dict)  # `parse_program` has read it as a dict of numbers
    edits: list[Edit] = []
    named = {str(ast.literal_eval(key)): value for key, value in zip(literal.keys, literal.values, strict=True) if key}
    for name, value in named.items():
        if name in written:
            edits.append((value, "instead", written.pop(name)))
    if written:
        edits.append((literal, "inside", _format_items(written) + (", " if named else "")))
    return apply_edits(source, edits)


def _is_preamble(statement: ast.stmt) -> bool:
    """Return whether nothing may stand before it: a docstring or an import."""
    docstring = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    return docstring or isinstance(statement, ast.Import | ast.ImportFrom)


def _format_items(written: Mapping[str, str]) -> str:
    return ", ".join(f'"{name}": {number}' for name, number in written.items())


def apply_edits(source: str, edits: list[Edit]) -> str:
    """Apply the edits to the text; a node's columns count UTF-8 bytes."""
    data = source.encode()
    lines = [0, *(match.end() for match in re.finditer(rb"\r\n|\r|\n", data))]
    spans: list[tuple[int, int, bytes]] = []
    for node, place, text in edits:
        decorators = getattr(node, "decorator_list", [])
        start = lines[node.lineno - 1] + node.col_offset  # type: ignore[attr-defined]
        end = lines[node.end_lineno - 1] + node.end_col_offset  # type: ignore[attr-defined]
        if place == "before":
            start = lines[decorators[0].lineno - 1] if decorators else start
        if place == "inside":
            start += 1
        spans.append((start, end if place == "instead" else start, text.encode()))
    for start, end, new in sorted(spans, reverse=True):
        data = data[:start] + new + data[end:]
    return data.decode()
