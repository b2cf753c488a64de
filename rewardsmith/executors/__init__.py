"""Where jobs run: on this machine, on a Ray cluster, or as jobs of Slurm; docs/executors.md.

workplace    the executor that a configuration names, open while a block runs
ray, slurm   executors whose jobs run elsewhere        node    the other end of both: does one job where it stands
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rewardsmith import machine
from rewardsmith.config import Config
from rewardsmith.jobs import Executor, LocalExecutor
from rewardsmith.watch import Watch


@contextmanager
def workplace(config: Config, watch: Watch) -> Iterator[Executor]:
    """Open where jobs run, as the configuration says; whatever is doubtful about it, the watch is told.

    Raises:
        ConfigError: if the executor's package is not installed, or its address is of no use.
        RunError: if its cluster is not there, or a node of it cannot do the jobs.
    """
    executor = _opened(config, watch)
    try:
        yield executor
    finally:
        executor.close()


def _opened(config: Config, watch: Watch) -> Executor:
    where, limits = config.executor, config.limits
    if where.kind == "ray":
        from rewardsmith.executors.ray import RayExecutor

        cluster = RayExecutor(where.address, config.jobs, limits.job_s, limits.memory_mib)
        for difference in cluster.differences:
            watch.notice(difference)
        return cluster
    if where.kind == "slurm":
        from rewardsmith.executors.slurm import SlurmExecutor

        return SlurmExecutor(where.folder, where.slurm, config.jobs, limits.job_s, limits.memory_mib)
    overload = machine.overload(config.slots, machine.cores(), machine.free_memory_mib())
    if overload:
        watch.notice(overload)
    return LocalExecutor(config.slots, limits.job_s, limits.memory_mib)
