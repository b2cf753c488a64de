"""Records as JSON: plain values, and files that are complete or absent."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from rewardsmith.contract.bounded_files import DamagedFile, read_json

if TYPE_CHECKING:
    from pydantic import ValidationError

R = TypeVar("R")


_ADAPTERS: dict[Any, Any] = {}
"""Record type to pydantic's adapter of it, made when it is first needed."""


def _find_adapter(kind: Any) -> Any:
    if kind not in _ADAPTERS:
        from pydantic import TypeAdapter

        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]


def dump(record: Any) -> Any:
    """Return the record as plain JSON values."""
    return _find_adapter(type(record)).dump_python(record, mode="json")


def load(kind: type[R], data: Any) -> R:
    """Return the record of type `kind` that `dump` turned into `data`.

    Raises:
        pydantic.ValidationError: if the data does not fit.
    """
    result: R = _find_adapter(kind).validate_python(data)
    return result


def write(record: Any, path: Path) -> None:
    """Write the record as JSON; the file is complete or absent, also after a crash."""
    write_text(path, format_json(dump(record)) + "\n")


def format_json(data: Any) -> str:
    """Return plain values as indented JSON; several times faster than the standard library, which indents in Python."""
    from pydantic_core import PydanticSerializationError, to_json

    try:
        return to_json(data, indent=1, inf_nan_mode="constants").decode()
    except PydanticSerializationError:  # half of a pair of surrogates, which is not UTF-8
        return json.dumps(data, indent=1)


def read(kind: type[R], path: Path) -> R:
    """Read a record that `write` wrote.

    Raises:
        OSError: if there is no file, or it cannot be read.
        DamagedFile: if it is not such a record.
    """
    return load_from_file(kind, read_json(path), path)


def load_from_file(kind: type[R], data: Any, path: Path, line: int | None = None) -> R:
    """Return the record of type `kind`, for data that was read from a file.

    Args:
        kind: of the record.
        data: plain JSON values.
        path: of the file, for the message.
        line: of the file, where the data is one of its lines.

    Raises:
        DamagedFile: if the data does not fit.
    """
    from pydantic import ValidationError

    try:
        return load(kind, data)
    except ValidationError as error:
        raise DamagedFile(path, _describe_misfit(kind, error), line) from error


def _describe_misfit(kind: Any, error: ValidationError) -> str:
    """Return in a line what does not fit a record: the first fault, and how many more there are."""
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    where = ".".join(str(part) for part in faults[0]["loc"])[:120] or "the whole"
    more = f", and {len(faults) - 1} more" if len(faults) > 1 else ""
    name = getattr(kind, "__name__", "record")
    article = "an" if name[0] in "AEIOU" else "a"
    return f"it is not {article} {name}: {where!r}: {faults[0]['msg']}{more}"


def write_text(path: Path, text: str) -> None:
    """Write a text file that is complete or absent, also after a crash.

    Raises:
        OSError: if it cannot be written; it names the file.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        # A write, unlike an opening, does not say of which file it was.
        error.filename = str(path)
        with contextlib.suppress(OSError):
            part.unlink()
        raise
