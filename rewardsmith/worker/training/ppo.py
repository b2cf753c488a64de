"""PPO on rollouts that are scored as a whole: the model, its rollout buffer from a scored rollout, its saved policy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3 import PPO
from stable_baselines3.common.logger import Logger
from torch import nn

from rewardsmith.contract.records import Signal, TrainSettings
from rewardsmith.contract.trainers import TrainerName
from rewardsmith.worker.envs.base import ActionSpec
from rewardsmith.worker.training.fast_ppo import FastPPO
from rewardsmith.worker.training.images import Image, ImagePart, ImageScaling, prefix_part
from rewardsmith.worker.training.picture_features import PictureFeatures
from rewardsmith.worker.training.policy import Policy, PolicySpec
from rewardsmith.worker.training.rollout import RolloutStorage
from rewardsmith.worker.training.running_stats import CLIP_OBS, ObsScaling

Floats = NDArray[np.float32]
Scaling = ObsScaling | ImageScaling

MODELS: dict[TrainerName, type[PPO]] = {"fast": FastPPO, "sb3": PPO}
"""Model of each trainer of PPO."""
ACTIVATIONS: dict[str, type[nn.Module]] = {"tanh": nn.Tanh, "relu": nn.ReLU}


def build_model(
    settings: TrainSettings,
    obs_dim: int,
    actions: ActionSpec,
    seed: int,
    image: Image | None = None,
    image_parts: tuple[ImagePart, ...] = (),
) -> PPO:
    """Return an untrained model.

    Args:
        settings: of the training.
        obs_dim: length of an observation.
        actions: of the environment.
        seed: of the parameters and the order of minibatches.
        image: shape of an observation that is an image, for which the model gets stable-baselines3's CnnPolicy.
        image_parts: images among the numbers of an observation.
    """
    skip_dynamo_import()
    model = MODELS[settings.trainer](
        "MlpPolicy" if image is None else "CnnPolicy",
        env=None,  # type: ignore[arg-type]
        learning_rate=settings.learning_rate,
        n_steps=settings.n_steps,
        batch_size=settings.batch_size,
        n_epochs=settings.n_epochs,
        gamma=settings.gamma,
        gae_lambda=settings.gae_lambda,
        clip_range=settings.clip_range,
        ent_coef=settings.ent_coef,
        vf_coef=settings.vf_coef,
        max_grad_norm=settings.max_grad_norm,
        policy_kwargs={
            "net_arch": list(settings.net_arch),
            "log_std_init": settings.log_std_init,
            "activation_fn": ACTIVATIONS[settings.activation],
            "ortho_init": settings.ortho_init,
            **_choose_features(image_parts),
        },
        seed=seed,
        device="cpu",
        _init_setup_model=False,
    )
    model.n_envs = settings.n_envs
    model.observation_space = _make_observation_space(obs_dim, image)
    model.action_space = _make_action_space(actions)
    model._setup_model()
    model.set_logger(Logger(folder=None, output_formats=[]))
    return model


def skip_dynamo_import() -> None:
    """Keep torch's optimizers from importing torch._dynamo.

    Every optimizer imports torch's compiler to exclude its own `add_param_group` from compilation; here nothing is
    ever compiled, and the import costs 2 s and 70 MiB. It is skipped where the function is marked as excluded already.
    """
    function = getattr(torch.optim.Optimizer.add_param_group, "__wrapped__", None)
    if function is not None:
        function.__dynamo_disable = function


def fill_buffer(model: PPO, rollout: RolloutStorage, rewards: Floats, scaling: Scaling) -> None:
    """Lay a scored rollout into the model's buffer, with values, log-probabilities, advantages and returns.

    Args:
        model: whose policy acted in the rollout and has not changed since.
        rollout: what was collected.
        rewards: (T, n), scaled.
        scaling: of the observations.
    """
    buffer, shape, obs_shape = model.rollout_buffer, (rollout.steps, rollout.n), _network_obs_shape(model)
    buffer.reset()

    # Values and log-probabilities of the whole rollout in one pass
    with torch.no_grad():
        obs = torch.from_numpy(rollout.obs.reshape(-1, *obs_shape))
        actions = torch.from_numpy(rollout.actions.reshape(-1, rollout.actions.shape[-1]))
        if rollout.discrete_actions is not None:
            actions = actions.flatten()
        values, log_prob, _ = model.policy.evaluate_actions(obs, actions)
        last_values = model.policy.predict_values(torch.from_numpy(rollout.last_obs.reshape(-1, *obs_shape)))

    buffer.observations[...] = rollout.obs.reshape(*shape, *obs_shape)
    buffer.actions[...] = rollout.actions
    buffer.values[...] = values.numpy().reshape(shape)
    buffer.log_probs[...] = log_prob.numpy().reshape(shape)
    buffer.rewards[...] = rewards
    buffer.episode_starts[1:] = rollout.ended[:-1]

    # Advantages, with the value of the state that a time limit cut off
    _bootstrap_truncations(model, rollout, scaling)
    buffer.pos, buffer.full = rollout.steps, True
    compute_returns_and_advantage(buffer, last_values.numpy().ravel(), rollout.ended, model.gamma, model.gae_lambda)


def compute_returns_and_advantage(
    buffer: Any, last_values: Floats, ended: NDArray[np.bool_], gamma: float, gae_lambda: float
) -> None:
    """Fill in advantages and returns by GAE(lambda) (Schulman et al. 2015, arXiv:1506.02438).

    Args:
        buffer: its rewards and values (T, n) are read, its advantages and returns written.
        last_values: (n,), of the states after the last step.
        ended: (T, n), where an episode ended with the step.
        gamma: discount.
        gae_lambda: lambda.
    """
    # delta = r + gamma V(s') - V(s)
    next_non_terminal = (~ended).astype(np.float32)
    next_values = np.concatenate([buffer.values[1:], last_values[None]])
    deltas = buffer.rewards + gamma * next_values * next_non_terminal - buffer.values

    # A_t = delta_t + gamma lambda A_(t + 1), from the last step backwards
    decay = np.float32(gamma * gae_lambda) * next_non_terminal
    last_gae_lam = np.zeros_like(last_values)
    for row, delta, factor in zip(buffer.advantages[::-1], deltas[::-1], decay[::-1], strict=True):
        np.multiply(last_gae_lam, factor, out=row)
        np.add(row, delta, out=row)
        last_gae_lam = row

    # TD(lambda) estimate of the return
    np.add(buffer.advantages, buffer.values, out=buffer.returns)


def extract_policy(
    model: PPO,
    settings: TrainSettings,
    actions: ActionSpec,
    scaling: Scaling,
    image: Image | None = None,
    observation: tuple[Signal, ...] = (),
    image_parts: tuple[ImagePart, ...] = (),
) -> Policy:
    """Return the model's policy, with the scaling of observations frozen into it."""
    tensors: dict[str, NDArray[Any]] = copy_tensors(name_parameters(model))
    if isinstance(scaling, ObsScaling) and scaling.enabled:
        statistics = scaling.statistics
        tensors["obs_mean"], tensors["obs_var"] = statistics.mean, statistics.var
        tensors["obs_count"] = np.array([float(statistics.count)])
    spec = PolicySpec(
        net_arch=settings.net_arch,
        activation=settings.activation,
        action="box" if actions.n is None else "discrete",
        action_low=actions.low,
        action_high=actions.high,
        normalize_obs=scaling.enabled,
        clip_obs=CLIP_OBS,
        image=image,
        image_parts=image_parts,
        observation=observation,
    )
    return Policy(spec, tensors)


def name_parameters(model: PPO) -> dict[str, torch.Tensor]:
    """Return the parameters of a model's policy, actor and critic, by the names that a policy's tensors have."""
    network: Any = model.policy
    extractor, named = network.mlp_extractor, dict[str, torch.Tensor]()
    if len(_network_obs_shape(model)) > 1:
        for name, layer in _name_convolutions(network.features_extractor):
            named |= name_layer(name, layer)
    if isinstance(network.features_extractor, PictureFeatures):
        for number, cnn in enumerate(network.features_extractor.networks):
            for name, layer in _name_convolutions(cnn):
                named |= name_layer(f"{prefix_part(number)}{name}", layer)

    for name, net, head in (
        ("actor", extractor.policy_net, network.action_net),
        ("critic", extractor.value_net, network.value_net),
    ):
        named |= name_layers(name, [*net, head])

    if isinstance(model.action_space, spaces.Box):
        named["log_std"] = network.log_std
    return named


def name_layers(prefix: str, modules: Iterable[Any]) -> dict[str, torch.Tensor]:
    """Return the parameters of the linear layers among some modules, the i-th as `name_layer` does "<prefix>.<i>"."""
    layers = [module for module in modules if isinstance(module, nn.Linear)]
    named = dict[str, torch.Tensor]()
    for i, layer in enumerate(layers):
        named |= name_layer(f"{prefix}.{i}", layer)
    return named


def name_layer(name: str, layer: Any) -> dict[str, torch.Tensor]:
    """Return a layer's parameters, "<name>.weight" and "<name>.bias"."""
    return {f"{name}.weight": layer.weight, f"{name}.bias": layer.bias}


def copy_tensors(named: Mapping[str, torch.Tensor]) -> dict[str, NDArray[Any]]:
    """Return copies of parameters."""
    return {name: tensor.detach().numpy().copy() for name, tensor in named.items()}


def _bootstrap_truncations(model: PPO, rollout: RolloutStorage, scaling: Scaling) -> None:
    """Add the discounted value of the last state to the last reward where a time limit ended the episode.

    Pardo et al. 2018 (arXiv:1712.00378).
    """
    truncations = rollout.list_truncations()
    if not truncations:
        return
    scaled = scaling.scale(np.stack([end.last_obs for end in truncations]))
    terminal_obs = torch.from_numpy(scaled.reshape(-1, *_network_obs_shape(model)))
    with torch.no_grad():
        values = model.policy.predict_values(terminal_obs).numpy().ravel()
    steps, envs = [end.step for end in truncations], [end.env for end in truncations]
    model.rollout_buffer.rewards[steps, envs] += model.gamma * values


def _choose_features(image_parts: tuple[ImagePart, ...]) -> dict[str, Any]:
    if not image_parts:
        return {}
    return {"features_extractor_class": PictureFeatures, "features_extractor_kwargs": {"parts": image_parts}}


def _make_observation_space(obs_dim: int, image: Image | None) -> spaces.Space[Any]:
    if image is not None:
        return spaces.Box(0, 255, image.shape, np.uint8)
    return spaces.Box(-np.inf, np.inf, (obs_dim,), np.float32)


def _network_obs_shape(model: PPO) -> tuple[int, ...]:
    """Return the shape of an observation as the network takes it."""
    shape: tuple[int, ...] = model.observation_space.shape or ()
    return shape


def _name_convolutions(extractor: Any) -> Iterator[tuple[str, Any]]:
    """Yield the layers of a CnnPolicy's feature extractor, by the names that `worker.training.images` gives them."""
    convolutions = [layer for layer in extractor.cnn if isinstance(layer, nn.Conv2d)]
    yield from ((f"conv.{i}", layer) for i, layer in enumerate(convolutions))
    yield "features", extractor.linear[0]


def _make_action_space(actions: ActionSpec) -> spaces.Space[Any]:
    if actions.n is not None:
        return spaces.Discrete(actions.n)
    return spaces.Box(np.array(actions.low, np.float32), np.array(actions.high, np.float32), dtype=np.float32)
