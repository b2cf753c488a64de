"""TOML files that people write: read into a model, with errors that name the file, the line and the nearest key."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from rewardsmith.contract import bounded_files
from rewardsmith.contract.bounded_files import DamagedFile
from rewardsmith.contract.errors import UserError
from rewardsmith.spec.validation_errors import Fault, collect_faults, join_lines

M = TypeVar("M", bound=BaseModel)
Nested = Mapping[str, type[BaseModel]]
"""The model of the entries below a key, where it is a table of tables."""


def load_validated_toml(
    path: Path,
    what: str,
    model: type[M],
    error: type[UserError],
    nested: Nested | None = None,
    old_names: Mapping[str, str] | None = None,
) -> M:
    """Read a file.

    Args:
        path: of the file.
        what: it is, for the message: "task card".
        model: what it has to be; forbids keys that it does not know.
        error: what to raise.
        nested: the models of the entries below keys, to name their keys.
        old_names: key at the top as earlier versions spelled it to its name now; both are read.

    Raises:
        UserError: of the kind `error`, if it cannot be read, or a key or a value is wrong.
    """
    try:
        text = bounded_files.read_text(path)
    except OSError as cause:
        raise error(f"cannot read the {what} {str(path)!r}: {cause.strerror}") from cause
    except DamagedFile as cause:
        raise error(f"cannot read the {what} {str(path)!r}: {cause.reason}") from cause
    try:
        document = bounded_files.parse_toml(text, path)
    except DamagedFile as cause:
        raise error(f"{path}: {cause.reason}") from cause

    spelled_now = _rename_keys(path, text, document, old_names or {}, error)
    try:
        return model.model_validate(spelled_now)
    except ValidationError as cause:
        faults = collect_faults(cause, document=spelled_now)
        lines = [
            f"{_locate_fault(path, text, fault)}: {describe_fault(fault, model, nested or {})}" for fault in faults
        ]
        raise error(join_lines(lines)) from cause


def describe_fault(fault: Fault, model: type[BaseModel], nested: Nested) -> str:
    """Return a fault in one line, with the nearest key where a key is unknown.

    Args:
        fault: in a document.
        model: of the document.
        nested: the models of the entries below keys.
    """
    table = nested.get(fault.location[0], model) if len(fault.location) > 1 else model
    return fault.describe(known_keys=table.model_fields)


def locate_key(path: Path, text: str, location: Iterable[str]) -> str:
    """Return "file:line" of a key, the file alone where a search of the text does not find it."""
    line = _find_line(text, location)
    return f"{path}:{line}" if line else str(path)


def _rename_keys(
    path: Path, text: str, document: Mapping[str, Any], old_names: Mapping[str, str], error: type[UserError]
) -> dict[str, Any]:
    """Return a document with its keys as they are spelled now; a key in both spellings is refused."""
    for old, new in old_names.items():
        if old in document and new in document:
            raise error(f"{locate_key(path, text, (old,))}: {old!r} is the old name of {new!r}; keep {new!r} alone")
    return {old_names.get(key, key): value for key, value in document.items()}


def _locate_fault(path: Path, text: str, fault: Fault) -> str:
    """Return "file:line" of a fault; of the table that lacks a key, where one is missing."""
    return locate_key(path, text, fault.location[:-1] if fault.kind == "missing key" else fault.location)


def _find_line(text: str, location: Iterable[str]) -> int | None:
    """Return the line of the innermost part of a location that a search of the text finds; None if none is."""
    number = None
    for part in location:
        key = re.compile(rf"(^|[\[{{.,])\s*\"?{re.escape(part)}\"?\s*([=\].]|$)")
        for at, line in enumerate(text.splitlines(), start=1):
            if at >= (number or 1) and key.search(line):
                number = at
                break
    return number
