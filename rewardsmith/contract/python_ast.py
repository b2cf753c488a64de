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
