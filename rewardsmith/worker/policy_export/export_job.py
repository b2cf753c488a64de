"""Export job: reads a policy's folder and writes it in another format, with what it observes written inside."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from rewardsmith.contract.records import ExportJob, PolicyFile, dump
from rewardsmith.contract.records.job_results import PolicyFormat
from rewardsmith.worker.training import policy as policies
from rewardsmith.worker.training.policy import Policy

Write = Callable[[Policy, ExportJob, str, Path], None]
"""Writes the policy of a job with its description (JSON) to a file."""


def run(job: ExportJob, out: Path) -> PolicyFile:
    """Write the policy of a job into `out`.

    Raises:
        WorkerFailed: if the policy cannot be read.
        ConfigError: if a package that writes the format is missing.
    """
    policy = policies.load(Path(job.policy))
    write, name = _choose_writer(job.format)
    write(policy, job, describe_policy(policy, job), out / name)
    return PolicyFile("ok", name, policy.obs_dim, policy.observed_names)


def describe_policy(policy: Policy, job: ExportJob) -> str:
    """Return as JSON what goes with a policy: its environment, what it observes, and what its actions are."""
    spec = policy.spec
    return json.dumps(
        {
            "env_id": job.env.env_id,
            "observation": [dump(signal) for signal in spec.observation] or "environment",
            "observation_size": policy.obs_dim,
            "action": spec.action,
            "action_low": [str(bound) for bound in spec.action_low],
            "action_high": [str(bound) for bound in spec.action_high],
        }
    )


def _choose_writer(format: PolicyFormat) -> tuple[Write, str]:
    """Return the function that writes a format, and the name of its file."""
    # Each imports its own packages: ONNX needs no torch.
    if format == "onnx":
        from rewardsmith.worker.policy_export import onnx_graph

        return lambda policy, _, description, path: onnx_graph.write_onnx(policy, description, path), "policy.onnx"
    if format == "torchscript":
        from rewardsmith.worker.policy_export import torch_module

        return lambda policy, _, description, path: torch_module.write_torchscript(
            policy, description, path
        ), "policy.pt"
    from rewardsmith.worker.policy_export import sb3_model

    return lambda policy, job, description, path: sb3_model.write_sb3(policy, job.env, description, path), "policy.zip"
