"""Module of torch that acts as a policy does, and the TorchScript file of it."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from rewardsmith.worker.training.images import STRIDES, find_plain_columns, prefix_part
from rewardsmith.worker.training.policy import VARIANCE_FLOOR, Policy

ACTIVATIONS: dict[str, type[nn.Module]] = {"tanh": nn.Tanh, "relu": nn.ReLU, "elu": nn.ELU}
DESCRIPTION_FILE = "description.json"
"""Name of the description inside of a TorchScript file."""


class PolicyModule(nn.Module):
    """A policy: observations (n, obs_dim), or images as the environment gives them, to actions (n, a) or (n,)."""

    obs_mean: torch.Tensor
    obs_scale: torch.Tensor
    """(obs_dim,), where observations are normalised."""
    low: torch.Tensor
    high: torch.Tensor
    """(a,): the bounds of an action."""
    plain: torch.Tensor
    """Places of the numbers of an observation that belong to no image."""

    def __init__(self, policy: Policy) -> None:
        """Copy the parameters of a policy."""
        super().__init__()
        spec, tensors = policy.spec, policy.tensors
        self._spec = spec
        if spec.normalize_obs:
            self.register_buffer("obs_mean", torch.from_numpy(np.array(tensors["obs_mean"], np.float64)))
            scale = np.sqrt(np.asarray(tensors["obs_var"], np.float64) + VARIANCE_FLOOR)
            self.register_buffer("obs_scale", torch.from_numpy(scale))
        self.convolutions = nn.Sequential(*(_make_convolutions(policy, "") if spec.image else ()))
        self.part_convolutions = nn.ModuleList(
            nn.Sequential(*_make_convolutions(policy, prefix_part(number))) for number in range(len(spec.image_parts))
        )
        plain = find_plain_columns(policy.obs_dim, spec.image_parts)
        self.register_buffer("plain", torch.from_numpy(plain.astype(np.int64)))
        self.actor = nn.Sequential(*_make_layers(policy))
        self.register_buffer("low", torch.tensor(spec.action_low, dtype=torch.float64))
        self.register_buffer("high", torch.tensor(spec.action_high, dtype=torch.float64))

    def forward(self, observation: torch.Tensor) -> torch.Tensor:
        """Return the deterministic action: float32, or the number of a choice."""
        spec = self._spec
        if spec.image is not None:
            pixels = observation if spec.image.channels_first else observation.permute(0, 3, 1, 2)
            hidden = self.convolutions(pixels.float() / 255.0)
        elif spec.normalize_obs:
            scaled = (observation.double() - self.obs_mean) / self.obs_scale
            hidden = torch.clamp(scaled, -spec.clip_obs, spec.clip_obs).float()
        else:
            hidden = observation.float()

        if spec.image_parts:
            hidden = self._read_pictures(hidden)
        out = self.actor(hidden)
        if spec.action == "discrete":
            return torch.argmax(out, dim=1)
        if spec.squash:
            return (self.low + 0.5 * (torch.tanh(out.double()) + 1.0) * (self.high - self.low)).float()
        return torch.minimum(torch.maximum(out.double(), self.low), self.high).float()

    def _read_pictures(self, scaled: torch.Tensor) -> torch.Tensor:
        """Return the numbers that belong to no image, followed by the features of each image."""
        features = [scaled[:, self.plain]]
        for part, convolutions in zip(self._spec.image_parts, self.part_convolutions, strict=True):
            pixels = scaled[:, part.columns].reshape(-1, *part.image.env_shape)
            features.append(convolutions(pixels if part.image.channels_first else pixels.permute(0, 3, 1, 2)))
        return torch.cat(features, dim=1)


def write_torchscript(policy: Policy, description: str, path: Path) -> None:
    """Write a policy as TorchScript.

    Args:
        policy: the policy.
        description: JSON, kept in the file as `description.json`.
        path: the file.
    """
    module = PolicyModule(policy).eval().requires_grad_(False)
    image = policy.spec.image
    example = torch.zeros((2, policy.obs_dim), dtype=torch.float64)
    if image is not None:
        example = torch.zeros((2, *image.env_shape), dtype=torch.uint8)
    with warnings.catch_warnings(), torch.no_grad():
        # torch announces torch.export as the successor; C++ and older releases load TorchScript.
        warnings.simplefilter("ignore")
        traced: Any = torch.jit.trace(module, example)  # type: ignore[no-untyped-call]
        torch.jit.save(traced, str(path), _extra_files={DESCRIPTION_FILE: description})


def _make_layers(policy: Policy) -> list[nn.Module]:
    """Return the actor's layers with their activations."""
    spec = policy.spec
    layers: list[nn.Module] = []
    for layer in range(len(spec.net_arch) + 1):
        layers.append(_make_linear(policy, f"actor.{layer}"))
        if layer < len(spec.net_arch):
            layers.append(ACTIVATIONS[spec.activation]())
    return layers


def _make_convolutions(policy: Policy, prefix: str) -> list[nn.Module]:
    """Return the layers before the actor of a policy that sees images; see `worker.training.images`."""
    layers: list[nn.Module] = []
    for layer, stride in enumerate(STRIDES):
        weight = torch.from_numpy(np.array(policy.tensors[f"{prefix}conv.{layer}.weight"]))
        convolution = nn.Conv2d(weight.shape[1], weight.shape[0], weight.shape[2], stride)
        with torch.no_grad():
            convolution.weight.copy_(weight)
            convolution.bias.copy_(torch.from_numpy(np.array(policy.tensors[f"{prefix}conv.{layer}.bias"])))  # type: ignore[union-attr]
        layers += [convolution, nn.ReLU()]
    return [*layers, nn.Flatten(), _make_linear(policy, f"{prefix}features"), nn.ReLU()]


def _make_linear(policy: Policy, name: str) -> nn.Linear:
    weight = torch.from_numpy(np.array(policy.tensors[f"{name}.weight"]))
    linear = nn.Linear(weight.shape[1], weight.shape[0])
    with torch.no_grad():
        linear.weight.copy_(weight)
        linear.bias.copy_(torch.from_numpy(np.array(policy.tensors[f"{name}.bias"])))
    return linear
