"""The build id: the version of rewardsmith, and a digest of the three packages that all its processes share.

A worker and a reward process send it when they start, and the orchestrator compares it with its own. Otherwise an
upgrade under a running search would let two versions meet, and a message that one of them cannot read would look like a
fault of the reward program. The digest covers every module of `contract`, `sandbox` and `worker`: what runs behind the
borders, and the records, messages and error classes that cross them.
"""

from __future__ import annotations

import hashlib
from importlib import metadata
from pathlib import Path

from rewardsmith.contract.errors import Upgraded

PACKAGE = Path(__file__).parents[1]
BEHIND_BORDERS = ("contract", "sandbox", "worker")
"""The packages in the digest: what workers and reward processes run, and what crosses the borders to them."""


def compute_build_id() -> str:
    """Compute the build id of the files that are installed now: the one of a process that would start now.

    >>> compute_build_id() == compute_build_id()
    True
    """
    digest = hashlib.sha256()
    try:
        for path in sorted(file for name in BEHIND_BORDERS for file in _list_files(PACKAGE / name)):
            digest.update(f"{path.relative_to(PACKAGE).as_posix()}\n".encode() + path.read_bytes())
    except OSError:
        return "one that is being installed"
    return f"{_package_version()}+{digest.hexdigest()[:12]}"


def check_installed() -> None:
    """Make sure that the installed files are those that this process started with.

    It compares sizes and times first, so that it is almost free where no file was touched.

    Raises:
        Upgraded: if they are not.
    """
    if _stamp_files() != _STAMPS_AT_START:
        check_same_build(compute_build_id(), "what is installed")


def check_same_build(other: str, whose: str) -> None:
    """Make sure that another process runs the same build as this one.

    Args:
        other: the build id of the other process.
        whose: the name of the other process for the message, e.g. "a worker".

    Raises:
        Upgraded: if it runs another build.
    """
    if other != RUNNING_BUILD:
        raise build_upgrade_error(f"it began as {RUNNING_BUILD}, and {whose} is {other}")


def build_upgrade_error(how: str) -> Upgraded:
    """Build the error that ends a search because rewardsmith was changed while it ran.

    Args:
        how: what shows it, e.g. "its reward processes are of another version".
    """
    return Upgraded(
        f"rewardsmith was changed while this ran: {how}; resume the run to go on with what is installed now"
    )


def _package_version() -> str:
    try:
        return metadata.version("rewardsmith")
    except metadata.PackageNotFoundError:
        return "0"


def _list_files(package: Path) -> list[Path]:
    return list(package.rglob("*.py"))


def _stamp_files() -> tuple[tuple[int, int], ...] | None:
    """Return the time of the last change and the size of each file; None where one is gone."""
    try:
        stats = [path.stat() for path in _FILES]
    except OSError:
        return None
    return tuple((stat.st_mtime_ns, stat.st_size) for stat in stats)


_FILES = tuple(file for name in BEHIND_BORDERS for file in _list_files(PACKAGE / name))
_STAMPS_AT_START = _stamp_files()
RUNNING_BUILD = compute_build_id()
"""The build id of this process, computed when it started."""
