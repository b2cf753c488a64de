"""Index of the runs that a studio shows, found by name in its folder, and of the files that it may serve.

No text of a request ever becomes part of a path: a run and a video are looked up in the listing of a folder. A run
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
from rewardsmith.search.storage import Run, RunLayout, layout

PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)
CHECKED_PATHS = (*layout.TOP_LEVEL_FILES, *layout.FOLDERS)
"""Files and folders of a run directory that the studio reads."""


@dataclass(frozen=True)
class RunRef:
    """A run's directory, and its name in an address."""

    slug: str
    path: Path

    @property
    def name(self) -> str:
        """The folder's name for display; bytes that are not UTF-8 are replaced."""
        return os.fsencode(self.path.name).decode("utf-8", "replace")


class RunIndex:
    """One run, or every run directly below a folder."""

    def __init__(self, path: Path) -> None:
        """Open the path that the user named.

        Raises:
            RunError: if it is not a folder.
        """
        if not path.is_dir():
            raise RunError(f"{path} is not a folder; name a run directory, or a folder of runs")
        self.path = path.resolve()
        self.is_single_run = (self.path / layout.CONFIG_FILE).is_file()

    def list_runs(self) -> list[RunRef]:
        """Return the runs, the newest first."""
        if self.is_single_run:
            return [RunRef(make_slug(self.path.name), self.path)]
        start_times = {path: _read_start_time(path) for path in self.path.iterdir()}
        runs = sorted((time, path) for path, time in start_times.items() if time is not None)
        return [RunRef(make_slug(path.name), path) for _, path in reversed(runs)]

    def find_run(self, slug: str) -> RunRef | None:
        """Return the run with this slug; None if there is no such run."""
        return next((ref for ref in self.list_runs() if ref.slug == slug), None)


def _read_start_time(path: Path) -> float | None:
    """Return when a run was started; None if it is not a run, or cannot be read."""
    try:
        return None if path.is_symlink() else (path / layout.CONFIG_FILE).stat().st_mtime
    except OSError:
        return None


def make_slug(name: str) -> str:
    """Return a run's name in an address: the name itself if it is plain, else its hash.

    >>> make_slug("20250101-hopper"), make_slug("<b>")
    ('20250101-hopper', '~507ca5a2742e')
    """
    if PLAIN_NAME.fullmatch(name):
        return name
    return "~" + hashlib.sha256(os.fsencode(name)).hexdigest()[:12]


def open_run(ref: RunRef) -> Run:
    """Open a run for reading.

    Raises:
        RunError: if it is damaged, of another version, or contains a symbolic link where the studio reads.
    """
    root = ref.path
    owner_folders = [folder for name in (layout.CANDIDATES, layout.FINAL) for folder in _list_folder(root / name)]
    paths = [root / name for name in CHECKED_PATHS] + owner_folders
    paths += [RunLayout(root).candidate_record(folder.name) for folder in owner_folders]
    for path in paths:
        if path.is_symlink():
            raise RunError(f"{path.relative_to(root)} is a symbolic link; the studio does not follow links in a run")
    return Run.open(root)


def is_contained(root: Path, file: Path) -> bool:
    """Return whether a file is below `root`, without a symbolic link between them."""
    try:
        return file.resolve(strict=True) == root.resolve(strict=True) / file.absolute().relative_to(root.absolute())
    except (OSError, ValueError):
        return False


def is_running(path: Path) -> bool:
    """Return whether a process runs this directory now, by the journal's lock.

    The lock is taken shared and for an instant only, so that two studios do not see each other.
    """
    try:
        with RunLayout(path).journal.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _list_folder(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() and not folder.is_symlink() else []
