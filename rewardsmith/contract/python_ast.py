"""Python text as a syntax tree, one at a time.

CPython 3.11 counts the depth of the tree that it builds in a place that all threads share, so that two threads that
parse at once may fail with "AST constructor recursion depth mismatch" (python/cpython issue 106905).
"""

from __future__ import annotations

import ast
import threading

_LOCK = threading.Lock()


def module(source: str) -> ast.Module:
    """Return the tree of a module's text; raises what `ast.parse` raises."""
    with _LOCK:
        return ast.parse(source)


def expression(source: str) -> ast.expr:
    """Return the tree of one expression; raises what `ast.parse` raises."""
    with _LOCK:
        return ast.parse(source, mode="eval").body
