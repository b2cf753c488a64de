"""Draws actions during rollouts: the policy's forward pass in NumPy, on a copy of its parameters."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

Floats = NDArray[np.float32]


class Actor(Protocol):
    """Draws actions for the observations of n environments."""

    def begin(self, rng: np.random.Generator, steps: int) -> Floats:
        """Take the policy as it is now; return the randomness of a whole rollout, one row of axis 0 per step."""
        ...

    def act(self, obs: Floats, noise: Floats, out: Floats) -> None:
        """Write an action (n, a) for each observation (n, obs_dim), as the policy takes it, to `out`."""
        ...


class _Layers:
    """The actor's network, on copies of its weights that lie as matrix products read them fastest."""

    def __init__(self, policy: Any, n: int) -> None:
        linear = [layer for layer in policy.mlp_extractor.policy_net if hasattr(layer, "weight")]
        layers = [*linear, policy.action_net]
        self._sources = [_view(layer.weight).T for layer in layers]
        self._weights = [np.ascontiguousarray(source) for source in self._sources]
        self._biases = [_view(layer.bias) for layer in layers]
        self._hidden = [np.empty((n, weight.shape[1]), np.float32) for weight in self._weights]

    def refresh(self) -> None:
        """Copy the weights anew."""
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


class _Seeing(_Layers):
    """The same behind the convolutions of an image policy, which torch runs on the policy's own weights."""

    def __init__(self, policy: Any, n: int) -> None:
        super().__init__(policy, n)
        self._policy = policy

    def forward(self, obs: NDArray[Any]) -> Floats:
        """Return the output (n, a) for images (n, size), bytes that lie channel first."""
        with torch.no_grad():
            images = torch.from_numpy(obs).reshape(-1, *self._policy.observation_space.shape)
            return super().forward(self._policy.extract_features(images).numpy())


class GaussianActor:
    """A mean from the network plus normal noise of a learned, state-independent scale."""

    def __init__(self, policy: Any, n: int) -> None:
        """Bind to a policy of stable-baselines3 with a Gaussian head, for n environments."""
        self._layers = _layers(policy, n)
        self._n, self._log_std = n, _view(policy.log_std)

    def begin(self, rng: np.random.Generator, steps: int) -> Floats:
        """Return normal noise (steps, n, a) of the present scale."""
        self._layers.refresh()
        noise = rng.standard_normal((steps, self._n, len(self._log_std)), dtype=np.float32)
        return np.multiply(noise, np.exp(self._log_std), out=noise)

    def act(self, obs: Floats, noise: Floats, out: Floats) -> None:
        """Write mean plus noise."""
        np.add(self._layers.forward(obs), noise, out=out)


class CategoricalActor:
    """A choice drawn in proportion to the exponential of the network's output, by the Gumbel-max trick."""

    def __init__(self, policy: Any, n: int) -> None:
        """Bind to a policy of stable-baselines3 with a categorical head, for n environments."""
        self._layers = _layers(policy, n)
        self._n, self._choices = n, int(policy.action_net.out_features)

    def begin(self, rng: np.random.Generator, steps: int) -> Floats:
        """Return Gumbel noise (steps, n, choices)."""
        self._layers.refresh()
        return rng.gumbel(size=(steps, self._n, self._choices)).astype(np.float32)

    def act(self, obs: Floats, noise: Floats, out: Floats) -> None:
        """Write the number of the choice."""
        out[:, 0] = np.argmax(self._layers.forward(obs) + noise, axis=1)


def make_actor(policy: Any, n: int, choices: int | None) -> Actor:
    """Return the actor of a policy for n environments."""
    return GaussianActor(policy, n) if choices is None else CategoricalActor(policy, n)


def _layers(policy: Any, n: int) -> _Layers:
    return _Seeing(policy, n) if len(policy.observation_space.shape) == 3 else _Layers(policy, n)


def _view(parameter: Any) -> Floats:
    view: Floats = parameter.detach().numpy()
    return view
