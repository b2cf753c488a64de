"""Policies of rsl_rl in our format, and back: the network, its deviation, and the normalisation of observations."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rewardsmith.contract.errors import TaskError
from rewardsmith.worker.envs.base import ActionSpec
from rewardsmith.worker.policy_export.torch_module import PolicyModule
from rewardsmith.worker.training.policy import NORMALISATION, VARIANCE_FLOOR, Policy, PolicySpec
from rewardsmith.worker.training.ppo import name_layers

ACTIVATIONS = ("elu", "relu", "tanh")
NO_CLIPPING = 1e9
"""Bound of normalised observations: rsl_rl has none."""
CRITIC_STATISTICS = ("critic_obs_mean", "critic_obs_var", "critic_obs_count")


def check_learner(config: Any, env_id: str) -> None:
    """Make sure that the learner's policy can be kept in our format.

    Args:
        config: mjlab's RslRlOnPolicyRunnerCfg.
        env_id: of the task.

    Raises:
        TaskError: if its activation or its distribution is another.
    """
    if config.actor.activation not in ACTIVATIONS:
        raise TaskError(
            f"{env_id!r}: its policy has the activation {config.actor.activation!r}; a policy here has one of"
            f" {', '.join(ACTIVATIONS)}"
        )
    kind = (config.actor.distribution_cfg or {}).get("class_name")
    if kind != "GaussianDistribution":
        raise TaskError(f"{env_id!r}: its policy acts by {kind}; a policy here acts by a GaussianDistribution")


def extract_policy(algorithm: Any, config: Any, actions: ActionSpec) -> Policy:
    """Return the present policy of rsl_rl's PPO, with what a training needs to go on from it.

    Args:
        algorithm: rsl_rl's PPO.
        config: mjlab's RslRlOnPolicyRunnerCfg.
        actions: of the environment.
    """
    actor, critic = algorithm.actor, algorithm.critic
    tensors = {name: _to_numpy(tensor) for name, tensor in name_parameters(algorithm).items() if name != "std"}
    tensors["log_std"] = _to_numpy(_read_log_std(actor))
    if config.actor.obs_normalization:
        tensors |= dict(zip(NORMALISATION, _read_statistics(actor.obs_normalizer), strict=True))
    if config.critic.obs_normalization:
        tensors |= dict(zip(CRITIC_STATISTICS, _read_statistics(critic.obs_normalizer), strict=True))
    spec = PolicySpec(
        net_arch=tuple(config.actor.hidden_dims),
        action="box",
        action_low=actions.low,
        action_high=actions.high,
        activation=config.actor.activation,
        normalize_obs=config.actor.obs_normalization,
        clip_obs=NO_CLIPPING,
    )
    return Policy(spec, tensors)


def name_parameters(algorithm: Any) -> dict[str, torch.Tensor]:
    """Return the parameters of actor and critic, by the names that a policy's tensors have."""
    return name_layers("actor", algorithm.actor.mlp) | name_layers("critic", algorithm.critic.mlp)


def inherit_policy(algorithm: Any, inherited: Policy, share: float) -> None:
    """Begin with an earlier policy that fits; see `training.initial_policy.mix_parameters`."""
    tensors = inherited.tensors
    with torch.no_grad():
        for name, parameter in name_parameters(algorithm).items():
            value = _to_tensor(tensors[name], parameter)
            parameter.copy_(share * value + (1.0 - share) * parameter)
        distribution = algorithm.actor.distribution
        is_log = hasattr(distribution, "log_std_param")
        parameter = distribution.log_std_param if is_log else distribution.std_param
        deviation = tensors["log_std"] if is_log else np.exp(tensors["log_std"])
        parameter.copy_(share * _to_tensor(deviation, parameter) + (1.0 - share) * parameter)
        if inherited.spec.normalize_obs:
            _write_statistics(algorithm.actor.obs_normalizer, *(tensors[name] for name in NORMALISATION))
        if CRITIC_STATISTICS[0] in tensors and hasattr(algorithm.critic.obs_normalizer, "_mean"):
            _write_statistics(algorithm.critic.obs_normalizer, *(tensors[name] for name in CRITIC_STATISTICS))


class DevicePolicy:
    """A policy on the device of its environments."""

    def __init__(self, policy: Policy, device: str) -> None:
        self._module = PolicyModule(policy).to(device).eval()
        self._deviation = torch.from_numpy(np.exp(policy.tensors["log_std"])).to(device)

    def act(self, obs: torch.Tensor, deterministic: bool) -> torch.Tensor:
        """Return the actions (n, a) for observations (n, obs_dim): the mean, or a sample of the Gaussian."""
        with torch.no_grad():
            mean: torch.Tensor = self._module(obs)
            return mean if deterministic else mean + self._deviation * torch.randn_like(mean)


def _read_log_std(actor: Any) -> torch.Tensor:
    distribution = actor.distribution
    if hasattr(distribution, "log_std_param"):
        return distribution.log_std_param  # type: ignore[no-any-return]
    return torch.log(distribution.std_param.clamp(min=1e-6))


def _read_statistics(normalizer: Any) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return mean, variance and count such that our normalisation equals rsl_rl's, (x - mean) / (std + eps)."""
    scale = _to_numpy(normalizer.std).astype(np.float64) + normalizer.eps
    count = np.array([float(normalizer.count)])
    return _to_numpy(normalizer.mean).astype(np.float64), scale**2 - VARIANCE_FLOOR, count


def _write_statistics(normalizer: Any, mean: NDArray[Any], variance: NDArray[Any], count: NDArray[Any]) -> None:
    deviation = np.sqrt(variance + VARIANCE_FLOOR) - normalizer.eps
    normalizer._mean.copy_(_to_tensor(mean, normalizer._mean))
    normalizer._std.copy_(_to_tensor(deviation, normalizer._std))
    normalizer._var.copy_(_to_tensor(deviation**2, normalizer._var))
    normalizer.count.fill_(int(count[0]))


def _to_numpy(tensor: torch.Tensor) -> NDArray[Any]:
    array: NDArray[Any] = tensor.detach().cpu().numpy().copy()
    return array


def _to_tensor(array: NDArray[Any], like: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(np.array(array)).to(like).reshape(like.shape)
