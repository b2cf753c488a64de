"""What this machine can carry: how many jobs at once, and what to say when more are asked for."""

from __future__ import annotations

import os
from pathlib import Path

JOB_MIB = 350
"""Memory of one training at its peak, most of it shared with the others (280 to 330 MiB measured)."""


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def free_memory_mib() -> int | None:
    """Return how much memory is free for new processes; None where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    fields = dict(line.split(":", 1) for line in lines)
    return int(fields["MemAvailable"].split()[0]) // 1024 if "MemAvailable" in fields else None


def slots(cores: int, memory_mib: int | None) -> int:
    """Return how many jobs to run at once: one per core, and no more than fit into memory, but at least one.

    >>> slots(8, 16_000), slots(8, 1_000), slots(1, None), slots(2, 100)
    (8, 2, 1, 1)
    """
    return max(1, cores if memory_mib is None else min(cores, memory_mib // JOB_MIB))


def overload(jobs: int, cores: int, memory_mib: int | None) -> str | None:
    """Say what is wrong with running so many jobs at once; None where nothing is.

    >>> overload(8, 2, 16_000)
    '8 jobs at once on 2 cores: each computes on one thread, so more than 2 gain nothing'
    >>> overload(2, 2, 400)
    '2 jobs at once need about 700 MiB of memory, 400 MiB are free: fewer jobs are safer'
    """
    if jobs > cores:
        return f"{jobs} jobs at once on {cores} cores: each computes on one thread, so more than {cores} gain nothing"
    if memory_mib is not None and jobs * JOB_MIB > memory_mib:
        needed = f"{jobs} jobs at once need about {jobs * JOB_MIB:,} MiB of memory, {memory_mib:,} MiB are free"
        return f"{needed}: fewer jobs are safer"
    return None
