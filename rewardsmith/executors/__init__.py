"""Where jobs run: on this machine, on a Ray cluster, or as jobs of Slurm; docs/executors.md.

workplace    the executor that a configuration names, open while a block runs
ray, slurm   executors whose jobs run elsewhere        node    the other end of both: does one job where it stands
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rewardsmith.executors import host
from rewardsmith.executors.base import Executor
from rewardsmith.executors.local import LocalExecutor
from rewardsmith.spec.config import Config


def slots_for(config: Config) -> int:
    """Return how many jobs run at once on this machine."""
    return config.jobs or host.slots(host.cores(), host.free_memory_mib())


@contextmanager
def workplace(config: Config, notice: Callable[[str], None]) -> Iterator[Executor]:
    """Open where jobs run, as the configuration says; `notice` is called with whatever is doubtful about it.

    Raises:
        ConfigError: if the executor's package is not installed, or its address is of no use.
        RunError: if its cluster is not there, or a node of it cannot do the jobs.
    """
    executor = _opened(config, notice)
    try:
        yield executor
    finally:
        executor.close()


def _opened(config: Config, notice: Callable[[str], None]) -> Executor:
    where, limits = config.executor, config.limits
    if where.kind == "ray":
        from rewardsmith.executors.ray import RayExecutor

        cluster = RayExecutor(where.address, config.jobs, limits.job_s, limits.memory_mib)
        for difference in cluster.differences:
            notice(difference)
        return cluster
    if where.kind == "slurm":
        from rewardsmith.executors.slurm import SlurmExecutor

        return SlurmExecutor(where.folder, where.slurm, config.jobs, limits.job_s, limits.memory_mib)
    overload = host.overload(slots_for(config), host.cores(), host.free_memory_mib())
    if overload:
        notice(overload)
    return LocalExecutor(slots_for(config), limits.job_s, limits.memory_mib)
