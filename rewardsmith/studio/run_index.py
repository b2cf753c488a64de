"""The runs that a studio shows, found by name in its folder, and the files of theirs that it may read or serve.

No text of a request ever becomes part of a path: a run and a video are looked up in the listing of what is there. A run
directory may come from anybody, so a symbolic link in it is refused instead of followed.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from rewardsmith.contract.errors import RunError
from rewardsmith.search.storage import Run

PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)
MARK = "config.toml"
"""A folder with this file is a run directory."""
READ = (
    *(MARK, "task.json", "provenance.json", "journal.jsonl", "result.json", "llm.jsonl"),
    *("probe", "candidates", "final", "baseline"),
)
"""What the studio reads of a run directory, beside what lies below these folders."""


@dataclass(frozen=True)
class Place:
    """Where a run lies, and what it is called in an address."""

    slug: str
    path: Path

    @property
    def name(self) -> str:
        """The folder's name, for people; what is not UTF-8 is marked."""
        return os.fsencode(self.path.name).decode("utf-8", "replace")


class Shelf:
    """One run, or every run directly below a folder."""

    def __init__(self, path: Path) -> None:
        """Look at what the user named.

        Raises:
            RunError: if it is no folder.
        """
        if not path.is_dir():
            raise RunError(f"{path} is no folder; name a run directory, or a folder of runs")
        self.path = path.resolve()
        self.single = (self.path / MARK).is_file()

    def places(self) -> list[Place]:
        """Return the runs, the newest first."""
        if self.single:
            return [Place(slug(self.path.name), self.path)]
        begun = {path: _begun(path) for path in self.path.iterdir()}
        found = sorted((time, path) for path, time in begun.items() if time is not None)
        return [Place(slug(path.name), path) for _, path in reversed(found)]

    def find(self, wanted: str) -> Place | None:
        """Return the run of that slug; None where there is none."""
        return next((place for place in self.places() if place.slug == wanted), None)


def _begun(path: Path) -> float | None:
    """Return when a run was begun; None for what is no run, or cannot be read."""
    try:
        return None if path.is_symlink() else (path / MARK).stat().st_mtime
    except OSError:
        return None


def slug(name: str) -> str:
    """Return a run's name in an address: as it is if harmless, else its hash.

    >>> slug("20250101-hopper"), slug("<b>")
    ('20250101-hopper', '~507ca5a2742e')
    """
    if PLAIN_NAME.fullmatch(name):
        return name
    return "~" + hashlib.sha256(os.fsencode(name)).hexdigest()[:12]


def opened(place: Place) -> Run:
    """Open a run for reading.

    Raises:
        RunError: if it is damaged, of another version, or holds a symbolic link where the studio reads.
    """
    root = place.path
    owners = [folder for name in ("candidates", "final") for folder in _inside(root / name)]
    read = [root / name for name in READ] + owners + [owner / "candidate.json" for owner in owners]
    for path in read:
        if path.is_symlink():
            raise RunError(f"{path.relative_to(root)} is a symbolic link; the studio follows none out of a run")
    return Run.open(root)


def contained(root: Path, file: Path) -> bool:
    """Return whether a file really lies below `root`, and no symbolic link stands between them."""
    try:
        return file.resolve(strict=True) == root.resolve(strict=True) / file.absolute().relative_to(root.absolute())
    except (OSError, ValueError):
        return False


def going(path: Path) -> bool:
    """Return whether a process runs this directory now.

    The journal's lock tells. It is held for an instant only, shared, so that two studios do not see each other.
    """
    try:
        with (path / "journal.jsonl").open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _inside(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() and not folder.is_symlink() else []
