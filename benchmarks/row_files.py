"""Files of measured rows, one JSON object a line, to which a benchmark that can be interrupted appends."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def read_rows(file: Path) -> list[dict[str, Any]]:
    """Return the rows of a file; a torn last line is left out, and a missing file has no rows."""
    if not file.is_file():
        return []
    whole, _, _ = file.read_text(encoding="utf-8").rpartition("\n")
    return [json.loads(line) for line in whole.splitlines()]


def append_row(file: Path, row: Mapping[str, Any]) -> None:
    """Append a row to a file."""
    with file.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(row) + "\n")


def drop_torn_line(file: Path) -> None:
    """Cut a torn last line off, so that the next row begins a line of its own."""
    if file.is_file():
        content = file.read_bytes()
        file.write_bytes(content[: content.rfind(b"\n") + 1])
