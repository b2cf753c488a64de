"""Share of the cores that each job of a worker may use: the worker writes how many jobs run, and each job reads it."""

from __future__ import annotations

import mmap


class CoreShare:
    """Number of cores and of running jobs, in memory that the worker's forked jobs see change."""

    def __init__(self, cores: int) -> None:
        """Begin with no job.

        Args:
            cores: that the jobs of the worker may use together, at least 1.
        """
        self._cores = cores
        self._jobs = memoryview(mmap.mmap(-1, mmap.PAGESIZE)).cast("i")

    def set_jobs(self, count: int) -> None:
        """Say how many jobs run."""
        self._jobs[0] = count

    def count_cores_per_job(self) -> int:
        """Return how many cores each running job may use, at least 1.

        >>> share = CoreShare(16)
        >>> share.set_jobs(3)
        >>> share.count_cores_per_job()
        5
        """
        return max(1, self._cores // max(1, self._jobs[0]))
