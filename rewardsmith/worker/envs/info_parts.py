"""Parts of `info`: nested dicts and tuples as entries with dotted keys, "ship.fuel" for `info["ship"]["fuel"]`.

A member of an Enum stands for its value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any

from rewardsmith.worker.envs.env_faults import find_fault

MAX_DEPTH = 4
"""Deepest nesting that is taken apart."""
MAX_PARTS = 64
"""Most parts of an entry: one with more is a collection, whose members change."""
MISSING = object()
"""Returned by `find_part` where `info` does not report a part."""


def flatten_info(info: Mapping[Any, Any]) -> dict[Any, Any]:
    """Return the entries of `info`, each nested dict or tuple in its place as its parts.

    A dict or tuple without a number in it, or with too many parts, stays as it is.

    >>> flatten_info({"x": 1.0, "ship": {"fuel": 2.0, "place": (1.0, 2.0)}, "best": ("a", 3.0), "names": {"a": "b"}})
    {'x': 1.0, 'ship.fuel': 2.0, 'ship.place': (1.0, 2.0), 'best.0': 'a', 'best.1': 3.0, 'names': {'a': 'b'}}
    """
    flat: dict[Any, Any] = {}
    for key, value in info.items():
        parts = dict(_iterate_parts(key, value, 0)) if isinstance(key, str) and _is_nested(value) else {}
        has_numbers = any(find_fault(part) is None for part in parts.values())
        flat |= parts if has_numbers and len(parts) <= MAX_PARTS else {key: value}
    flat |= {key: value for key, value in info.items() if key in flat}
    return {key: read_value(value) for key, value in flat.items()}


def read_value(value: Any) -> Any:
    """Return a reported value as it counts: that of an Enum's member, any other as it is."""
    return value.value if isinstance(value, Enum) else value


def find_part(value: Any, key: str) -> Any:
    """Return the part of `info`, or of a value in it, that a key of `flatten_info` names; MISSING if there is none."""
    if isinstance(value, Mapping) and key in value:
        return value[key]
    if not isinstance(value, Mapping | list | tuple):
        return MISSING
    for name, entry in value.items() if isinstance(value, Mapping) else enumerate(value):
        if str(name) == key:
            return entry
        found = find_part(entry, key.removeprefix(f"{name}.")) if key.startswith(f"{name}.") else MISSING
        if found is not MISSING:
            return found
    return MISSING


def _is_nested(value: Any) -> bool:
    """Return whether a value has parts: a dict, or a list or tuple that is no array of numbers."""
    return isinstance(value, Mapping) or (isinstance(value, list | tuple) and find_fault(value) is not None)


def _iterate_parts(key: str, value: Any, depth: int) -> Iterator[tuple[str, Any]]:
    if depth == MAX_DEPTH or not _is_nested(value) or not value:
        yield key, value
        return
    entries = value.items() if isinstance(value, Mapping) else enumerate(value)
    for name, entry in entries:
        yield from _iterate_parts(f"{key}.{name}", entry, depth + 1)
