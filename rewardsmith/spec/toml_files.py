"""TOML files that people write: read into a model, with complaints that name the file, the line and the nearest key."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from rewardsmith.contract.errors import UserError

M = TypeVar("M", bound=BaseModel)
Nested = Mapping[str, type[BaseModel]]
"""The model of the entries below a key, where it is a table of tables."""


def load(path: Path, what: str, model: type[M], error: type[UserError], nested: Nested | None = None) -> M:
    """Read a file.

    Args:
        path: of the file.
        what: it is, for the complaint: "task card".
        model: what it has to be; forbids keys that it does not know.
        error: what to raise.
        nested: the models of the entries below keys, to name their keys.

    Raises:
        UserError: of the kind `error`, if it cannot be read, or a key or a value is wrong.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as cause:
        raise error(f"cannot read the {what} {str(path)!r}: {cause}") from cause
    try:
        return model.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as cause:
        raise error(f"{path}: {cause}") from cause
    except ValidationError as cause:
        lines = (_complaint(path, text, detail, model, nested or {}) for detail in cause.errors())
        raise error("\n".join(lines)) from cause


def place(path: Path, text: str, location: Iterable[str]) -> str:
    """Return "file:line" of a key, the file alone where a search of the text does not find it."""
    line = _line(text, location)
    return f"{path}:{line}" if line else str(path)


def _complaint(path: Path, text: str, detail: Mapping[str, Any], model: type[BaseModel], nested: Nested) -> str:
    """Return one line for one of pydantic's complaints."""
    location = [str(part) for part in detail["loc"]]
    where = place(path, text, location[:-1] if detail["type"] == "missing" else location)
    name = ".".join(location)
    if detail["type"] == "extra_forbidden":
        known = sorted(nested.get(location[0] if len(location) > 1 else "", model).model_fields)
        near = difflib.get_close_matches(location[-1], known, n=1)
        return f"{where}: there is no key {name!r}; " + (
            f"did you mean {near[0]!r}?" if near else f"allowed are {', '.join(known)}"
        )
    if detail["type"] == "missing":
        return f"{where}: the key {name!r} is missing"
    return f"{where}: {name} = {detail['input']!r}: {detail['msg'][0].lower()}{detail['msg'][1:]}"


def _line(text: str, location: Iterable[str]) -> int | None:
    """Return the line of the innermost part of a location that a search of the text finds; None where none is."""
    number = None
    for part in location:
        key = re.compile(rf"(^|[\[{{.,])\s*\"?{re.escape(part)}\"?\s*([=\].]|$)")
        for at, line in enumerate(text.splitlines(), start=1):
            if at >= (number or 1) and key.search(line):
                number = at
                break
    return number
