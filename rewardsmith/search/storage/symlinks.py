"""Symbolic links in a run directory: one that leads out of it is refused, as a run may come from anybody."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path


def outward(root: Path) -> Path | None:
    """Return the first symbolic link below a folder that leads out of it, there or not; None where none does.

    Raises:
        OSError: if the folder cannot be read.
    """
    home = root.resolve()
    return next((link for link in _links(root) if not _leads_into(link, home)), None)


def _leads_into(link: Path, home: Path) -> bool:
    try:
        return link.resolve().is_relative_to(home)
    except (OSError, RuntimeError):  # it leads around in a circle
        return False


def _links(folder: Path) -> Iterator[Path]:
    with os.scandir(folder) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        if entry.is_symlink():
            yield Path(entry.path)
        elif entry.is_dir():
            try:
                yield from _links(Path(entry.path))
            except FileNotFoundError:
                continue  # a job's folder, which is gone by now
