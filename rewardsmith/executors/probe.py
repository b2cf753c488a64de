"""The probe of an environment outside of a search: its signal catalogue, asked of a worker."""

from __future__ import annotations

import tempfile
from pathlib import Path

from rewardsmith.contract import env_families
from rewardsmith.contract.errors import WorkerFailed
from rewardsmith.contract.records import EnvSpec, Probe, ProbeJob
from rewardsmith.executors.local import LocalExecutor

TRANSITIONS = 16
"""Recorded while an environment is looked at: nobody reads them."""


def survey(env: EnvSpec) -> Probe:
    """Look at an environment in a worker process.

    Raises:
        TaskError: if it cannot be made, or a source of its card cannot be read.
        WorkerFailed: if the worker cannot be started or dies.
    """
    env_families.require(env.env_id)
    executor = LocalExecutor(1)
    try:
        with tempfile.TemporaryDirectory() as folder:
            probe = executor.run(ProbeJob(env, 0, TRANSITIONS), Path(folder))
    finally:
        executor.close()
    assert isinstance(probe, Probe)  # the executor answers a job with its own kind of result
    if probe.status != "ok":
        raise WorkerFailed(probe.cause or f"the environment {env.env_id!r} could not be run")
    return probe
