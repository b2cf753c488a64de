"""Capacity of this machine: how many jobs it runs at once, and a warning where more are asked for."""

from __future__ import annotations

import contextlib
import math
import os
from pathlib import Path

from rewardsmith.contract.text import pluralize

JOB_MIB = 350
"""Memory of one training at its peak, most of it shared with the others (280 to 330 MiB measured)."""
MIB = 1 << 20
ROOT = Path("/")


def count_cores(root: Path = ROOT) -> int:
    """Return how many cores this process may use: those it may run on, and no more than its container's share.

    Args:
        root: folder that holds /sys; another one in tests.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota, _, period = _read_text(root / "sys/fs/cgroup/cpu.max").partition(" ")
    return min(allowed, math.ceil(int(quota) / int(period))) if quota.isdigit() else allowed


def measure_free_memory_mib(root: Path = ROOT) -> int | None:
    """Return how much memory is free for new processes, of the machine's and of the container's share of it.

    Args:
        root: folder that holds /proc and /sys; another one in tests.

    Returns:
        MiB; None where the system does not say.
    """
    fields = dict(line.split(":", 1) for line in _read_text(root / "proc/meminfo").splitlines())
    free = [int(fields["MemAvailable"].split()[0]) // 1024] if "MemAvailable" in fields else []
    limit, used = (_read_text(root / "sys/fs/cgroup" / name) for name in ("memory.max", "memory.current"))
    if limit.isdigit() and used.isdigit():
        free.append(max(0, int(limit) - int(used)) // MIB)
    return min(free, default=None)


def choose_slots(cores: int, memory_mib: int | None) -> int:
    """Return how many jobs to run at once: one per core, and no more than fit into memory, but at least one.

    >>> choose_slots(8, 16_000), choose_slots(8, 1_000), choose_slots(1, None), choose_slots(2, 100)
    (8, 2, 1, 1)
    """
    return max(1, cores if memory_mib is None else min(cores, memory_mib // JOB_MIB))


def describe_overload(jobs: int, cores: int, memory_mib: int | None) -> str | None:
    """Return a warning about running so many jobs at once; None where they fit.

    >>> describe_overload(8, 2, 16_000)
    '8 jobs at once on 2 cores: each computes on one thread, so more than 2 gain nothing'
    >>> describe_overload(2, 2, 400)
    '2 jobs at once need about 700 MiB of memory, 400 MiB are free: fewer jobs are safer'
    >>> describe_overload(1, 1, 200)
    'a job needs about 350 MiB of memory, 200 MiB are free: the system may kill it'
    """
    if memory_mib is not None and jobs * JOB_MIB > memory_mib:
        need = "a job needs" if jobs == 1 else f"{jobs} jobs at once need"
        advice = "the system may kill it" if jobs == 1 else "fewer jobs are safer"
        return f"{need} about {jobs * JOB_MIB:,} MiB of memory, {memory_mib:,} MiB are free: {advice}"
    if jobs > cores:
        available = pluralize(cores, "core")
        return f"{jobs} jobs at once on {available}: each computes on one thread, so more than {cores} gain nothing"
    return None


def _read_text(path: Path) -> str:
    """Return a file's text without the space around it; "" if there is no such file."""
    with contextlib.suppress(OSError):
        return path.read_text(encoding="ascii").strip()
    return ""
