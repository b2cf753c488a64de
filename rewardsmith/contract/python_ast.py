"""Thread-safe parsing of Python text into syntax trees, one text at a time.

CPython 3.11 counts the depth of the tree that it builds in a place that all threads share, so that two threads that
parse at once may fail with "AST constructor recursion depth mismatch" (python/cpython issue 106905).
"""

from __future__ import annotations

import ast
import threading

_LOCK = threading.Lock()


def parse_module(source: str) -> ast.Module:
    """Parse the text of a module; raises what `ast.parse` raises."""
    with _LOCK:
        return ast.parse(source)


def parse_expression(source: str) -> ast.expr:
    """Parse the text of one expression; raises what `ast.parse` raises."""
    with _LOCK:
        return ast.parse(source, mode="eval").body


def read_literal(text: str) -> object:
    """Return the value of a Python literal, such as a printed dict; None where the text is none.

    >>> read_literal("{'a': (1, None)}"), read_literal("f()")
    ({'a': (1, None)}, None)
    """
    try:
        return ast.literal_eval(parse_expression(text.strip()))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None
