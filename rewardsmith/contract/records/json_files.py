"""Records as JSON: plain values, and files that are complete or absent."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, TypeVar

R = TypeVar("R")


_ADAPTERS: dict[Any, Any] = {}
"""Record type to pydantic's adapter of it, made when it is first needed."""


def _adapter(kind: Any) -> Any:
    if kind not in _ADAPTERS:
        from pydantic import TypeAdapter

        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]


def dump(record: Any) -> Any:
    """Return the record as plain JSON values."""
    return _adapter(type(record)).dump_python(record, mode="json")


def load(kind: type[R], data: Any) -> R:
    """Return the record of type `kind` that `dump` turned into `data`.

    Raises:
        pydantic.ValidationError: if the data does not fit.
    """
    result: R = _adapter(kind).validate_python(data)
    return result


def write(record: Any, path: Path) -> None:
    """Write the record as JSON; the file is complete or absent, also after a crash."""
    write_text(path, json.dumps(dump(record), indent=1) + "\n")


def read(kind: type[R], path: Path) -> R:
    """Read a record that `write` wrote."""
    return load(kind, json.loads(path.read_text(encoding="utf-8")))


def write_text(path: Path, text: str) -> None:
    """Write a text file that is complete or absent, also after a crash."""
    part = path.with_name(f".{path.name}.part")
    with part.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
