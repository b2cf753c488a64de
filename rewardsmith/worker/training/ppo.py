"""PPO on rollouts that are scored as a whole: builds the model, turns a scored rollout into its buffer, saves it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3 import PPO
from stable_baselines3.common.logger import Logger
from torch import nn

from rewardsmith.contract.records import TrainSettings
from rewardsmith.worker.envs.base import Actions
from rewardsmith.worker.training.fast_ppo import FastPPO
from rewardsmith.worker.training.images import Image, ImageScaling
from rewardsmith.worker.training.policy import Policy, PolicySpec
from rewardsmith.worker.training.rollout import Rollout
from rewardsmith.worker.training.running_stats import CLIP_OBS, ObsScaling

Floats = NDArray[np.float32]
Scaling = ObsScaling | ImageScaling

MODELS: dict[str, type[PPO]] = {"sb3": PPO, "fast": FastPPO}
ACTIVATIONS: dict[str, type[nn.Module]] = {"tanh": nn.Tanh, "relu": nn.ReLU}


def build(settings: TrainSettings, obs_dim: int, actions: Actions, seed: int, image: Image | None = None) -> PPO:
    """Return an untrained model.

    Args:
        settings: of the training.
        obs_dim: length of an observation.
        actions: what the environment takes.
        seed: of the parameters and the order of minibatches.
        image: what an observation is where it is an image; it gets stable-baselines3's CnnPolicy.
    """
    spare_dynamo()
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
        },
        seed=seed,
        device="cpu",
        _init_setup_model=False,
    )
    model.n_envs = settings.n_envs
    model.observation_space = _observation_space(obs_dim, image)
    model.action_space = _action_space(actions)
    model._setup_model()
    model.set_logger(Logger(folder=None, output_formats=[]))
    return model


def spare_dynamo() -> None:
    """Keep torch's optimizers from importing torch._dynamo.

    Every optimizer imports torch's compiler to exclude its own `add_param_group` from compilation; here nothing is
    ever compiled, and the import costs 2 s and 70 MiB. Saying that the function is excluded already spares it.
    """
    function = getattr(torch.optim.Optimizer.add_param_group, "__wrapped__", None)
    if function is not None:
        function.__dynamo_disable = function


def fill_buffer(model: PPO, rollout: Rollout, rewards: Floats, scaling: Scaling) -> None:
    """Lay a scored rollout into the model's buffer, with values, log-probabilities, advantages and returns.

    Args:
        model: whose policy acted in the rollout and has not changed since.
        rollout: what was collected.
        rewards: (T, n), scaled.
        scaling: of the observations.
    """
    buffer, shape, space = model.rollout_buffer, (rollout.steps, rollout.n), _shape(model)
    buffer.reset()
    with torch.no_grad():
        obs = torch.from_numpy(rollout.obs.reshape(-1, *space))
        drawn = torch.from_numpy(rollout.drawn.reshape(-1, rollout.drawn.shape[-1]))
        values, log_prob, _ = model.policy.evaluate_actions(obs, drawn if rollout.choices is None else drawn.flatten())
        last_values = model.policy.predict_values(torch.from_numpy(rollout.last_obs.reshape(-1, *space)))
    buffer.observations[...] = rollout.obs.reshape(*shape, *space)
    buffer.actions[...] = rollout.drawn
    buffer.values[...] = values.numpy().reshape(shape)
    buffer.log_probs[...] = log_prob.numpy().reshape(shape)
    buffer.rewards[...] = rewards
    buffer.episode_starts[1:] = rollout.ended[:-1]
    _bootstrap(model, rollout, scaling)
    buffer.pos, buffer.full = rollout.steps, True
    advantages(buffer, last_values.numpy().ravel(), rollout.ended, model.gamma, model.gae_lambda)


def advantages(buffer: Any, last_values: Floats, ended: NDArray[np.bool_], gamma: float, gae_lambda: float) -> None:
    """Fill in advantages and returns by GAE(lambda) (Schulman et al. 2015, arXiv:1506.02438).

    Args:
        buffer: its rewards and values (T, n) are read, its advantages and returns written.
        last_values: (n,), of the states after the last step.
        ended: (T, n), where an episode ended with the step.
        gamma: discount.
        gae_lambda: lambda.
    """
    going = (~ended).astype(np.float32)
    following = np.concatenate([buffer.values[1:], last_values[None]])
    errors = buffer.rewards + gamma * following * going - buffer.values
    decay = np.float32(gamma * gae_lambda) * going
    carried = np.zeros_like(last_values)
    for row, error, factor in zip(buffer.advantages[::-1], errors[::-1], decay[::-1], strict=True):
        np.multiply(carried, factor, out=row)
        np.add(row, error, out=row)
        carried = row
    np.add(buffer.advantages, buffer.values, out=buffer.returns)


def to_policy(
    model: PPO, settings: TrainSettings, actions: Actions, scaling: Scaling, image: Image | None = None
) -> Policy:
    """Return the model's policy, its scaling of observations frozen into it."""
    network: Any = model.policy
    extractor, tensors = network.mlp_extractor, dict[str, NDArray[Any]]()
    for name, layer in _convolutions(network.features_extractor) if image else ():
        tensors |= _tensors(name, layer)
    for name, net, head in (
        ("actor", extractor.policy_net, network.action_net),
        ("critic", extractor.value_net, network.value_net),
    ):
        for i, layer in enumerate([*(layer for layer in net if isinstance(layer, nn.Linear)), head]):
            tensors |= _tensors(f"{name}.{i}", layer)
    if actions.n is None:
        tensors["log_std"] = network.log_std.detach().numpy().copy()
    if isinstance(scaling, ObsScaling) and scaling.on:
        tensors["obs_mean"], tensors["obs_var"] = scaling.moments.mean, scaling.moments.variance
    spec = PolicySpec(
        net_arch=settings.net_arch,
        activation=settings.activation,
        action="box" if actions.n is None else "discrete",
        action_low=actions.low,
        action_high=actions.high,
        normalize_obs=scaling.on,
        clip_obs=CLIP_OBS,
        image=image,
    )
    return Policy(spec, tensors)


def _tensors(name: str, layer: Any) -> dict[str, NDArray[Any]]:
    """Return copies of a layer's tensors."""
    parts = {"weight": layer.weight, "bias": layer.bias}
    return {f"{name}.{part}": tensor.detach().numpy().copy() for part, tensor in parts.items()}


def _bootstrap(model: PPO, rollout: Rollout, scaling: Scaling) -> None:
    """Add the value of what a time limit cut off to the last reward (Pardo et al. 2018, arXiv:1712.00378)."""
    cut = rollout.truncations()
    if not cut:
        return
    scaled = scaling.applied(np.stack([final.obs for final in cut]))
    finals = torch.from_numpy(scaled.reshape(-1, *_shape(model)))
    with torch.no_grad():
        values = model.policy.predict_values(finals).numpy().ravel()
    steps, envs = [final.step for final in cut], [final.env for final in cut]
    model.rollout_buffer.rewards[steps, envs] += model.gamma * values


def _observation_space(obs_dim: int, image: Image | None) -> spaces.Space[Any]:
    if image is not None:
        return spaces.Box(0, 255, image.shape, np.uint8)
    return spaces.Box(-np.inf, np.inf, (obs_dim,), np.float32)


def _shape(model: PPO) -> tuple[int, ...]:
    """Return the shape of an observation as the network takes it."""
    shape: tuple[int, ...] = model.observation_space.shape or ()
    return shape


def _convolutions(extractor: Any) -> Iterator[tuple[str, Any]]:
    """Yield the layers of a CnnPolicy's feature extractor, by the names that `worker.images` knows them by."""
    convolutions = [layer for layer in extractor.cnn if isinstance(layer, nn.Conv2d)]
    yield from ((f"conv.{i}", layer) for i, layer in enumerate(convolutions))
    yield "features", extractor.linear[0]


def _action_space(actions: Actions) -> spaces.Space[Any]:
    if actions.n is not None:
        return spaces.Discrete(actions.n)
    return spaces.Box(np.array(actions.low, np.float32), np.array(actions.high, np.float32), dtype=np.float32)
