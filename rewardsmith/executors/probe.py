"""Probe of an environment outside of a search: its signal catalogue, from a worker."""

from __future__ import annotations

import tempfile
from pathlib import Path

from rewardsmith.contract import env_families, import_path
from rewardsmith.contract.errors import WorkerFailed
from rewardsmith.contract.records import EnvSpec, Probe, ProbeJob
from rewardsmith.executors.local import LocalExecutor

TRANSITIONS = 256
"""Transitions that a probe records: enough to see which entries of `info` copy the reward or are no numbers."""


def run_probe(env: EnvSpec) -> Probe:
    """Probe an environment that the user named, in a worker process.

    Raises:
        TaskError: if it cannot be made, or a source of its card cannot be read.
        WorkerFailed: if the worker cannot be started or dies.
    """
    env_families.require_packages(env.env_id)
    executor = LocalExecutor(1, module_folder=import_path.find_module_folder(env.modules, Path.cwd()))
    try:
        with tempfile.TemporaryDirectory() as folder:
            probe = executor.run(ProbeJob(env, 0, TRANSITIONS), Path(folder))
    finally:
        executor.close()
    if probe.status != "ok":
        raise WorkerFailed(probe.cause or f"the environment {env.env_id!r} could not be run")
    return probe
