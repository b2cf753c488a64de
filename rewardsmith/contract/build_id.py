"""Which rewardsmith runs: the package's version, and a digest of the files that its workers and reward processes are.

Processes that work together compare it, since an upgrade under a running search would let two versions meet, and what
one cannot read of the other would look like a program's fault.
"""

from __future__ import annotations

import hashlib
from importlib import metadata
from pathlib import Path

from rewardsmith.contract.errors import Upgraded

PACKAGE = Path(__file__).parents[1]
BEHIND_BORDERS = ("contract", "sandbox", "worker")
"""What workers and reward processes run, and what they and the orchestrator say to each other."""


def installed() -> str:
    """Return the version that a process would have which starts now.

    >>> installed() == installed()
    True
    """
    digest = hashlib.sha256()
    try:
        for path in sorted(file for name in BEHIND_BORDERS for file in _files(PACKAGE / name)):
            digest.update(f"{path.relative_to(PACKAGE).as_posix()}\n".encode() + path.read_bytes())
    except OSError:
        return "one that is being installed"
    return f"{_package()}+{digest.hexdigest()[:12]}"


def check_installed() -> None:
    """Make sure that what this process would load now is what it began with; almost free where no file was touched.

    Raises:
        Upgraded: if it is not.
    """
    if _stamps() != _BEGAN:
        check(installed(), "what is installed")


def check(other: str, whose: str) -> None:
    """Make sure that another process runs what this one runs.

    Args:
        other: its version.
        whose: it is, for the message: "a worker".

    Raises:
        Upgraded: if it does not.
    """
    if other != RUNNING:
        raise changed(f"it began as {RUNNING}, and {whose} is {other}")


def changed(how: str) -> Upgraded:
    """Return the error that ends a search under which rewardsmith was changed."""
    return Upgraded(
        f"rewardsmith was changed while this ran: {how}; resume the run to go on with what is installed now"
    )


def _package() -> str:
    try:
        return metadata.version("rewardsmith")
    except metadata.PackageNotFoundError:
        return "0"


def _files(package: Path) -> list[Path]:
    return list(package.rglob("*.py"))


def _stamps() -> tuple[tuple[int, int], ...] | None:
    """Return when each file was written last, and its size; None where one is gone."""
    try:
        found = [path.stat() for path in _FILES]
    except OSError:
        return None
    return tuple((one.st_mtime_ns, one.st_size) for one in found)


_FILES = tuple(file for name in BEHIND_BORDERS for file in _files(PACKAGE / name))
_BEGAN = _stamps()
RUNNING = installed()
"""Of this process, as it started."""
