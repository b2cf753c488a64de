"""JSON that a server wrote, read within bounds, so that no text of its can end the search."""

from __future__ import annotations

import json

MAX_DEPTH = 64
"""Largest depth of nested lists and objects; real replies have about 6."""


def parse_json(text: str) -> object:
    """Parse a text as JSON.

    >>> parse_json('{"a": [1]}')
    {'a': [1]}

    Raises:
        ValueError: if the text is not JSON, or is nested more than `MAX_DEPTH` deep.
    """
    try:
        data: object = json.loads(text.lstrip("\ufeff"))
    except RecursionError:
        raise ValueError("nested too deep") from None
    if _measure_depth(data) > MAX_DEPTH:
        raise ValueError("nested too deep")
    return data


def get_field(data: object, name: str) -> object:
    """Return a field of an object; None if it has no such field, or `data` is not an object."""
    return data.get(name) if isinstance(data, dict) else None


def _measure_depth(data: object) -> int:
    """Return how deep lists and objects are nested, at most one more than `MAX_DEPTH`."""
    level, depth = [data], 0
    while level and depth <= MAX_DEPTH:
        inner = [value for value in level if isinstance(value, dict | list)]
        if not inner:
            break
        depth += 1
        level = [part for value in inner for part in (value.values() if isinstance(value, dict) else value)]
    return depth
