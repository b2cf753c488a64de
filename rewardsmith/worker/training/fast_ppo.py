"""stable-baselines3's PPO with an update that is not autograd's: the same results, several times as fast.

A drop-in: the same constructor, policy, `learn`, `predict`, `save`, `load` and logged values. What it changes is
`train`, for the standard MLP policies (tanh, box or discrete actions); for anything else it trains as its parent does.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3 import PPO
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.preprocessing import is_image_space
from stable_baselines3.common.torch_layers import FlattenExtractor
from stable_baselines3.common.utils import explained_variance
from torch import nn

from rewardsmith.worker.training.minibatches import Coefficients, EpochRecord, RolloutSamples
from rewardsmith.worker.training.mlp import FlatParameters, PolicyShape
from rewardsmith.worker.training.ppo_update import BETAS, EPSILON, PPOUpdate


class FastPPO(PPO):
    """PPO whose update is computed by `rewardsmith.worker.training.ppo_update`."""

    def train(self) -> None:
        """Update the policy with the rollout buffer, as `PPO.train` does.

        Parameters and Adam's moments are read from the policy and its optimizer and written back, so that both are
        always up to date, and either `train` may follow the other.
        """
        shape = find_supported_shape(self)
        if shape is None:
            super().train()
            return
        # Switch to train mode
        self.policy.set_training_mode(True)
        # Update optimizer learning rate
        self._update_learning_rate(self.policy.optimizer)
        learning_rate = self.policy.optimizer.param_groups[0]["lr"]
        # Compute current clip range
        coefficients = self._current_coefficients()

        samples = flatten_rollout(self.rollout_buffer)
        update = self._prepare_update(shape, samples, coefficients)
        _read_parameters(self.policy, update)

        # train for n_epochs epochs
        epochs: list[EpochRecord] = []
        with torch.no_grad():
            for _ in range(self.n_epochs):
                # Do a complete pass on the rollout buffer
                order = np.random.permutation(len(samples.returns))
                epochs.append(update.train_epoch(samples, order, learning_rate))
                self._n_updates += 1
        _write_parameters(self.policy, update)

        # Logs
        for name, value in update.compute_statistics(epochs)._asdict().items():
            self.logger.record(f"train/{name}", value)
        explained = explained_variance(self.rollout_buffer.values.ravel(), self.rollout_buffer.returns.ravel())
        self.logger.record("train/explained_variance", explained)
        if shape.gaussian:
            self.logger.record("train/std", float(np.exp(update.values.views["log_std"]).mean()))
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")
        self.logger.record("train/clip_range", coefficients.clip_range)

    def _prepare_update(self, shape: PolicyShape, samples: RolloutSamples, coefficients: Coefficients) -> PPOUpdate:
        """Return the buffers of the last update if its sizes and constants are still the same, else new ones."""
        key = (shape, len(samples.returns), self.batch_size, samples.actions.shape[1], coefficients)
        if getattr(self, "_update_key", None) != key:
            self._update_key, self._update = key, PPOUpdate(*key)
        return self._update

    def _current_coefficients(self) -> Coefficients:
        return Coefficients(
            clip_range=self.clip_range(self._current_progress_remaining),  # type: ignore[operator]
            vf_coef=self.vf_coef,
            ent_coef=self.ent_coef,
            max_grad_norm=self.max_grad_norm,
            normalize_advantage=self.normalize_advantage,
        )

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "_update", "_update_key"]


def find_supported_shape(model: PPO) -> PolicyShape | None:
    """Return the sizes of a model's policy; None if it is not a standard policy, or an option is not covered."""
    policy: Any = model.policy
    if not _is_plain(model):
        return None
    # Actor and critic must have the same hidden layers, at least one.
    net_arch = policy.net_arch
    if isinstance(net_arch, list):
        hidden = net_arch
    else:
        hidden = net_arch["pi"] if net_arch.get("pi") == net_arch.get("vf") else []
    if not hidden:
        return None
    gaussian = isinstance(model.action_space, spaces.Box)
    return PolicyShape(policy.features_dim, tuple(hidden), policy.action_net.out_features, gaussian)


def _is_plain(model: PPO) -> bool:
    policy, group = model.policy, model.policy.optimizer.param_groups[0]
    return (
        type(policy) is ActorCriticPolicy
        and isinstance(model.action_space, spaces.Box | spaces.Discrete)
        and isinstance(model.observation_space, spaces.Box)
        and not is_image_space(model.observation_space)
        and type(policy.features_extractor) is FlattenExtractor
        and policy.activation_fn is nn.Tanh
        and not policy.use_sde
        and type(policy.optimizer) is torch.optim.Adam
        and (group["betas"], group["eps"], group["weight_decay"]) == (BETAS, EPSILON, 0)
        and not (group["amsgrad"] or group["maximize"])
        and model.clip_range_vf is None
        and model.target_kl is None
        and model.device.type == "cpu"
    )


def flatten_rollout(buffer: Any) -> RolloutSamples:
    """Return a full rollout buffer's transitions in the order in which stable-baselines3 numbers them."""
    names = ("observations", "actions", "log_probs", "advantages", "returns")
    arrays = [getattr(buffer, name) for name in names]
    # SB3 flattens its arrays in place on their first use.
    if not buffer.generator_ready:
        arrays = [buffer.swap_and_flatten(array) for array in arrays]
    obs, actions, *columns = (np.ascontiguousarray(array, dtype=np.float32) for array in arrays)
    n = len(columns[0])
    return RolloutSamples(obs.reshape(n, -1), actions.reshape(n, -1), *(column.ravel() for column in columns))


def pair_parameters(policy: Any, flat: FlatParameters) -> list[tuple[torch.Tensor, NDArray[np.float32]]]:
    """Pair each of the policy's parameters with its place in a vector, as a view of the parameter's shape."""
    views = flat.views
    pairs: list[tuple[torch.Tensor, NDArray[np.float32]]] = []
    # hidden layers, the actor's first
    for network, net in enumerate((policy.mlp_extractor.policy_net, policy.mlp_extractor.value_net)):
        for i, layer in enumerate(layer for layer in net if isinstance(layer, nn.Linear)):
            pairs.append((layer.weight, views[f"weight{i}"][network].T))
            pairs.append((layer.bias, views[f"bias{i}"][network, 0]))
    # output layers
    pairs.append((policy.action_net.weight, views["mean"].T))
    pairs.append((policy.action_net.bias, views["mean_bias"]))
    pairs.append((policy.value_net.weight, views["value"][None]))
    pairs.append((policy.value_net.bias, views["value_bias"]))
    if "log_std" in views:
        pairs.append((policy.log_std, views["log_std"]))
    return pairs


def _read_parameters(policy: ActorCriticPolicy, update: PPOUpdate) -> None:
    """Copy parameters and Adam's moments from torch."""
    state, adam = policy.optimizer.state, update.adam
    for parameter, view in pair_parameters(policy, update.values):
        view[...] = parameter.detach().numpy()
    for moment, name, beta in _list_moments(update):
        for parameter, view in pair_parameters(policy, moment):
            view[...] = state[parameter][name].numpy() / (1 - beta) if parameter in state else 0.0
    steps = [int(entry["step"]) for entry in state.values()]
    adam.steps = steps[0] if steps else 0


def _write_parameters(policy: ActorCriticPolicy, update: PPOUpdate) -> None:
    """Copy parameters and Adam's moments to torch."""
    state = policy.optimizer.state
    with torch.no_grad():
        for parameter, view in pair_parameters(policy, update.values):
            parameter.copy_(torch.from_numpy(view))
            state[parameter]["step"] = torch.tensor(float(update.adam.steps))
        for moment, name, beta in _list_moments(update):
            for parameter, view in pair_parameters(policy, moment):
                state[parameter][name] = torch.from_numpy(view * np.float32(1 - beta))


def _list_moments(update: PPOUpdate) -> tuple[tuple[FlatParameters, str, float], ...]:
    """Return Adam's moments with torch's name of each and its decay."""
    adam = update.adam
    return (adam.first_moment, "exp_avg", BETAS[0]), (adam.second_moment, "exp_avg_sq", BETAS[1])
