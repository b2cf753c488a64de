"""Model of stable-baselines3 with a policy's parameters: PPO, SAC or TD3, saved as its own `save` does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import cloudpickle
import numpy as np
import torch
from gymnasium import spaces

from rewardsmith.contract.errors import ConfigError
from rewardsmith.contract.records import EnvSpec, OffPolicySettings, TrainSettings
from rewardsmith.contract.trainers import find_sb3_trainer
from rewardsmith.worker.envs.base import ActionSpec
from rewardsmith.worker.envs.open_env import open_env, read_image
from rewardsmith.worker.policy_export import sb3_policy
from rewardsmith.worker.training import off_policy, ppo
from rewardsmith.worker.training.policy import VARIANCE_FLOOR, Policy

SMALL_BUFFER = 1_000
"""Transitions of an exported model's replay buffer, which is empty; whoever trains on sets another size."""


def write_sb3(policy: Policy, env: EnvSpec, description: str, path: Path) -> None:
    """Write a policy as a model that PPO.load, SAC.load or TD3.load reads; the file needs no rewardsmith.

    Args:
        policy: the policy.
        env: its environment, which is opened for its spaces.
        description: JSON, the model's attribute `rewardsmith`.
        path: the file, which ends in .zip.

    Raises:
        TaskError: if the environment cannot be built.
    """
    model = build_sb3_model(policy)
    space = None if policy.spec.observation else _read_observation_space(env)
    if isinstance(space, spaces.Box) and space.shape == model.observation_space.shape:
        model.observation_space = space
    model.rewardsmith = json.loads(description)
    cloudpickle.register_pickle_by_value(sb3_policy)
    try:
        model.save(path)
    finally:
        cloudpickle.unregister_pickle_by_value(sb3_policy)


def build_sb3_model(policy: Policy) -> Any:
    """Return a model with the parameters of a policy; what the policy's folder lacks keeps its random start.

    Raises:
        ConfigError: if the policy is that of a task of mjlab, or sees images beside numbers.
    """
    spec = policy.spec
    if spec.activation == "elu":
        raise ConfigError("--policy sb3 writes no policy of mjlab's tasks; --policy onnx and --policy torchscript do")
    if spec.image_parts:
        raise ConfigError(
            "--policy sb3 writes no policy that sees images beside numbers, as its network is rewardsmith's own;"
            " --policy onnx and --policy torchscript do"
        )

    # An untrained model of the same algorithm and sizes
    n = None if spec.action == "box" else int(policy.tensors[f"actor.{len(spec.net_arch)}.bias"].shape[0])
    actions = ActionSpec(spec.action_low, spec.action_high, n)
    if spec.squash:
        off = OffPolicySettings(net_arch=spec.net_arch, buffer_size=SMALL_BUFFER)
        settings = TrainSettings(trainer=find_sb3_trainer(policy.algorithm).name, off_policy=off)
        model: Any = off_policy.build_model(settings, policy.obs_dim, actions, 0)
        named = off_policy.name_parameters(model)
    else:
        model = _build_ppo(policy, actions)
        named = ppo.name_parameters(model)

    # The policy's parameters in it
    with torch.no_grad():
        for name, parameter in named.items():
            if name in policy.tensors:
                parameter.copy_(torch.from_numpy(np.array(policy.tensors[name])).reshape(parameter.shape))
    if spec.squash:
        off_policy.copy_to_targets(model)
    return model


def _read_observation_space(env: EnvSpec) -> Any:
    """Return an environment's observation space as the model takes it: a dict flattened, images channel first.

    A model that is loaded with an environment is compared with its space.

    Raises:
        TaskError: if the environment cannot be built.
    """
    opened = open_env(env)
    try:
        space = opened.observation_space
    finally:
        opened.close()
    image = read_image(space)
    return spaces.flatten_space(space) if image is None else spaces.Box(0, 255, image.shape, np.uint8)


def _build_ppo(policy: Policy, actions: ActionSpec) -> Any:
    """Return PPO's model, whose policy normalises observations if the exported one does."""
    spec = policy.spec
    trainer, activation = find_sb3_trainer(policy.algorithm), cast("Any", spec.activation)
    settings = TrainSettings(trainer=trainer.name, net_arch=spec.net_arch, activation=activation)
    model = ppo.build_model(settings, policy.obs_dim, actions, 0, spec.image)
    if spec.normalize_obs:
        model.policy_class = sb3_policy.NormalizingPolicy
        model.policy_kwargs |= {
            "obs_mean": np.asarray(policy.tensors["obs_mean"], np.float64).tolist(),
            "obs_scale": np.sqrt(np.asarray(policy.tensors["obs_var"], np.float64) + VARIANCE_FLOOR).tolist(),
            "clip_obs": spec.clip_obs,
        }
        model._setup_model()
    return model
