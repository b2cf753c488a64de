"""Thread-safe parsing of Python text into syntax trees, one text at a time.

CPython 3.11 counts the depth of the tree that it builds in a place that all threads share, so that two threads that
parse at once may fail with "AST constructor recursion depth mismatch" (python/cpython issue 106905).
"""

from __future__ import annotations

import ast
import threading
from collections.abc import Iterator

_LOCK = threading.Lock()


def parse_module(source: str) -> ast.Module:
    """Parse the text of a module; raises what `ast.parse` raises."""
    with _LOCK:
        return ast.parse(source)


def parse_or_none(source: str) -> ast.Module | None:
    """Parse the text of a module; None where it is no Python that can be parsed."""
    try:
        return parse_module(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def parse_expression(source: str) -> ast.expr:
    """Parse the text of one expression; raises what `ast.parse` raises."""
    with _LOCK:
        return ast.parse(source, mode="eval").body


def iter_returned_terms(tree: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """Yield the name and the expression of each term in the dicts that a program returns literally."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Return) and isinstance(node.value, ast.Dict):
            for key, value in zip(node.value.keys, node.value.values, strict=True):
                if isinstance(key, ast.Constant) and isinstance(key.value, str):
                    yield key.value, value


def list_stored_names(node: ast.AST) -> set[str]:
    """Return the names that are assigned anywhere in a statement; for a function or a class, its own name alone."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return {node.name}
    return {name.id for name in ast.walk(node) if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store)}


def read_literal(text: str) -> object:
    """Return the value of a Python literal, such as a printed dict; None where the text is none.

    >>> read_literal("{'a': (1, None)}"), read_literal("f()")
    ({'a': (1, None)}, None)
    """
    try:
        return ast.literal_eval(parse_expression(text.strip()))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None
