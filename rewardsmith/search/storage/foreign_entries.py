"""Entries of a run directory that are refused, as it may come from anybody: links that lead out, pipes, devices."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from rewardsmith.contract.bounded_files import describe_kind

MAX_FOLDER_DEPTH = 32
"""Deepest folder in a run; the deepest that a run makes has 5."""
OUTWARD_LINK = "is a symbolic link that leads out of the run; put what it leads to in its place, or remove it"


def find_foreign_entry(root: Path) -> str | None:
    """Find the first entry below a folder that a run does not have: a link out of it, a pipe, a socket, a device.

    Returns:
        What it is, and what to do; None if there is no such entry.

    Raises:
        OSError: if the folder cannot be read.
    """
    resolved = root.resolve()
    for entry, depth in _iter_entries(root):
        if entry.is_symlink():
            if not _leads_into(Path(entry.path), resolved):
                return f"{entry.path} {OUTWARD_LINK}"
        elif entry.is_dir():
            if depth >= MAX_FOLDER_DEPTH:
                return f"{entry.path} lies {depth} folders deep, and a run has at most {MAX_FOLDER_DEPTH}; remove it"
        elif not entry.is_file():
            try:
                kind = describe_kind(entry.stat(follow_symlinks=False).st_mode)
            except FileNotFoundError:
                continue
            return f"{entry.path} is {kind}, which a run does not have; remove it"
    return None


def _leads_into(link: Path, folder: Path) -> bool:
    try:
        return link.resolve().is_relative_to(folder)
    except (OSError, RuntimeError):  # it leads around in a circle
        return False


def _iter_entries(root: Path) -> Iterator[tuple[os.DirEntry[str], int]]:
    """Yield everything below a folder, and how many folders deep it lies; no link is followed."""
    folders = [(os.fspath(root), 1)]
    while folders:
        folder, depth = folders.pop()
        try:
            with os.scandir(folder) as entries:
                listing = sorted(entries, key=lambda entry: entry.name)
        except FileNotFoundError:
            if depth == 1:
                raise
            continue  # a job's folder, which is gone by now
        for entry in listing:
            yield entry, depth
        folders += [(entry.path, depth + 1) for entry in listing if entry.is_dir(follow_symlinks=False)]
