"""The processes that a test has started."""

from pathlib import Path


def children(pid: int) -> list[int]:
    """Return all processes below this one."""
    below = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            below += [int(status.parent.name), *children(int(status.parent.name))]
    return below
