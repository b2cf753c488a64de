"""Export job: reads a policy's folder and writes it in another format, with what it observes written inside."""

from __future__ import annotations

import json
from pathlib import Path

from rewardsmith.contract.records import ExportJob, PolicyFile, dump
from rewardsmith.worker.training import policy as policies
from rewardsmith.worker.training.policy import Policy


def run(job: ExportJob, out: Path) -> PolicyFile:
    """Write the policy of a job into `out`.

    Raises:
        WorkerFailed: if the policy cannot be read.
        ConfigError: if a package that writes the format is missing.
    """
    policy = policies.load(Path(job.policy))
    name = _write_policy(policy, job, out)
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


def _write_policy(policy: Policy, job: ExportJob, out: Path) -> str:
    """Write a policy into a folder in the format of a job; return the name of the file."""
    description = describe_policy(policy, job)
    # Each writer imports its own packages: ONNX needs no torch.
    if job.format == "onnx":
        from rewardsmith.worker.policy_export import onnx_graph

        name = "policy.onnx"
        onnx_graph.write_onnx(policy, description, out / name)
    elif job.format == "torchscript":
        from rewardsmith.worker.policy_export import torch_module

        name = "policy.pt"
        torch_module.write_torchscript(policy, description, out / name)
    else:
        from rewardsmith.worker.policy_export import sb3_model

        name = "policy.zip"
        sb3_model.write_sb3(policy, job.env, description, out / name)
    return name
