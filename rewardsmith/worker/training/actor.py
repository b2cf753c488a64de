"""Actors of rollouts: the policy's forward pass in NumPy, on a copy of its parameters."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.torch_layers import FlattenExtractor

Floats = NDArray[np.float32]


class Actor(Protocol):
    """Source of actions for the observations of n environments."""

    def draw_noise(self, rng: np.random.Generator, steps: int) -> Floats:
        """Copy the present policy, and return the noise of a whole rollout, one row of axis 0 per step."""
        ...

    def act(self, obs: Floats, noise: Floats, out: Floats) -> None:
        """Write an action (n, a) for each observation (n, obs_dim), as the policy takes it, to `out`."""
        ...


class _ActorNetwork:
    """The actor's network, on copies of its weights in the memory order that makes matrix products fastest."""

    def __init__(self, policy: Any, n: int) -> None:
        linear = [layer for layer in policy.mlp_extractor.policy_net if hasattr(layer, "weight")]
        layers = [*linear, policy.action_net]
        self._sources = [_view_as_numpy(layer.weight).T for layer in layers]
        self._weights = [np.ascontiguousarray(source) for source in self._sources]
        self._biases = [_view_as_numpy(layer.bias) for layer in layers]
        self._hidden = [np.empty((n, weight.shape[1]), np.float32) for weight in self._weights]

    def copy_weights(self) -> None:
        """Copy the present weights; the biases are views."""
        for weight, source in zip(self._weights, self._sources, strict=True):
            weight[...] = source

    def forward(self, obs: Floats) -> Floats:
        """Return the output (n, a) for observations (n, obs_dim); a buffer, valid until the next call."""
        *hidden, last = zip(self._weights, self._biases, self._hidden, strict=True)
        x = obs
        for weight, bias, out in hidden:
            np.matmul(x, weight, out=out)
            np.add(out, bias, out=out)
            x = np.tanh(out, out=out)
        weight, bias, out = last
        np.matmul(x, weight, out=out)
        return np.add(out, bias, out=out)


class _ImageActorNetwork(_ActorNetwork):
    """The network of a policy that sees images: torch runs the convolutions before it, on the policy's own weights."""

    def __init__(self, policy: Any, n: int) -> None:
        super().__init__(policy, n)
        self._policy = policy

    def forward(self, obs: NDArray[Any]) -> Floats:
        """Return the output (n, a) for images (n, size), bytes in channel-first order, or images among numbers."""
        with torch.no_grad():
            images = torch.from_numpy(obs).reshape(-1, *self._policy.observation_space.shape)
            return super().forward(self._policy.extract_features(images).numpy())


class GaussianActor:
    """Actor that adds normal noise, of a learned, state-independent scale, to the network's mean."""

    def __init__(self, policy: Any, n: int) -> None:
        """Bind to a policy of stable-baselines3 with a Gaussian head, for n environments."""
        self._network = _make_network(policy, n)
        self._n, self._log_std = n, _view_as_numpy(policy.log_std)

    def draw_noise(self, rng: np.random.Generator, steps: int) -> Floats:
        """Copy the policy, and return normal noise (steps, n, a) of the present scale."""
        self._network.copy_weights()
        noise = rng.standard_normal((steps, self._n, len(self._log_std)), dtype=np.float32)
        return np.multiply(noise, np.exp(self._log_std), out=noise)

    def act(self, obs: Floats, noise: Floats, out: Floats) -> None:
        """Write mean plus noise."""
        np.add(self._network.forward(obs), noise, out=out)


class CategoricalActor:
    """Actor that draws a choice with probabilities softmax(output), by the Gumbel-max trick."""

    def __init__(self, policy: Any, n: int) -> None:
        """Bind to a policy of stable-baselines3 with a categorical head, for n environments."""
        self._network = _make_network(policy, n)
        self._n, self._choices = n, int(policy.action_net.out_features)

    def draw_noise(self, rng: np.random.Generator, steps: int) -> Floats:
        """Copy the policy, and return Gumbel noise (steps, n, choices)."""
        self._network.copy_weights()
        return rng.gumbel(size=(steps, self._n, self._choices)).astype(np.float32)

    def act(self, obs: Floats, noise: Floats, out: Floats) -> None:
        """Write the number of the choice."""
        out[:, 0] = np.argmax(self._network.forward(obs) + noise, axis=1)


def make_actor(policy: Any, n: int, choices: int | None) -> Actor:
    """Return the actor of a policy for n environments."""
    return GaussianActor(policy, n) if choices is None else CategoricalActor(policy, n)


def _make_network(policy: Any, n: int) -> _ActorNetwork:
    is_plain = isinstance(policy.features_extractor, FlattenExtractor)
    return _ActorNetwork(policy, n) if is_plain else _ImageActorNetwork(policy, n)


def _view_as_numpy(parameter: Any) -> Floats:
    view: Floats = parameter.detach().numpy()
    return view
