"""Executors, which run the jobs of a search: on this machine, on a Ray cluster or through Slurm; docs/executors.md.

open_executor    the executor that a configuration names, open while a block runs
base             the protocol, and the folder of a job
local            worker processes on this machine (worker_process), as many as it carries (host)
ray, slurm       executors whose jobs run on other machines, where remote_node does them
probe, render_job, frames   jobs outside of a search: an environment's signals, a recorded episode's video and frames
episode_steps    the steps of a recorded episode that are shown as frames and in tables
viewer           a policy in a window of this machine
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rewardsmith.executors import host
from rewardsmith.executors.base import Executor
from rewardsmith.executors.local import LocalExecutor
from rewardsmith.spec.config import Config


def slots_for(config: Config) -> int:
    """Return how many jobs run at once on this machine."""
    return config.jobs or host.choose_slots(host.count_cores(), host.measure_free_memory_mib())


@contextmanager
def open_executor(
    config: Config, notice: Callable[[str], None], module_folder: Path | None = None
) -> Iterator[Executor]:
    """Open the executor that the configuration names.

    Args:
        config: names it.
        notice: called with each warning about it.
        module_folder: folder of a user's environment module, for workers on this machine; None for no such folder.

    Raises:
        ConfigError: if the executor's package is not installed, or its address is wrong.
        RunError: if its cluster does not answer, or one of its nodes cannot do the jobs.
    """
    executor = _build_executor(config, notice, module_folder)
    try:
        yield executor
    finally:
        executor.close()


def _build_executor(config: Config, notice: Callable[[str], None], module_folder: Path | None) -> Executor:
    settings, limits = config.executor, config.limits
    if settings.kind == "ray":
        from rewardsmith.executors.ray import RayExecutor

        ray_executor = RayExecutor(settings.address, config.jobs, limits.job_s, limits.memory_mib)
        for difference in ray_executor.differences:
            notice(difference)
        return ray_executor
    if settings.kind == "slurm":
        from rewardsmith.executors.slurm import SlurmExecutor

        return SlurmExecutor(settings.folder, settings.slurm, config.jobs, limits.job_s, limits.memory_mib)
    warning = host.describe_overload(slots_for(config), host.count_cores(), host.measure_free_memory_mib())
    if warning:
        notice(warning)
    return LocalExecutor(slots_for(config), limits.job_s, limits.memory_mib, module_folder)
