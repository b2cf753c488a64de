"""A policy without torch: a NumPy forward pass, and the folder that a training hands to an evaluation.

A folder holds `policy.safetensors` (float32 tensors: "actor.<i>.weight" (out, in) and "actor.<i>.bias" (out,) for each
layer, the last without an activation; "log_std" (a,) for boxes; "critic.<i>.*" where the trainer saves it; "obs_mean"
and "obs_var" (obs_dim,), float64, where observations are normalised; the convolutions of `worker.images` where
they are images) and `policy.json`, a `PolicySpec`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from rewardsmith.contract.errors import WorkerFailed
from rewardsmith.contract.records import load as load_record
from rewardsmith.contract.records import write_text
from rewardsmith.worker.training.images import TENSORS as CONVOLUTIONS
from rewardsmith.worker.training.images import Image, features

Array = NDArray[np.float64]

FORMAT = 1
VARIANCE_FLOOR = 1e-8
"""Added to the variance of observations, as stable-baselines3's VecNormalize does."""


@dataclass(frozen=True)
class PolicySpec:
    """The architecture of a policy."""

    net_arch: tuple[int, ...]
    """Widths of the hidden layers."""
    action: Literal["box", "discrete"]
    action_low: tuple[float, ...]
    """(a,); a discrete action is one number from 0."""
    action_high: tuple[float, ...]
    activation: Literal["tanh", "relu"] = "tanh"
    normalize_obs: bool = True
    clip_obs: float = 10.0
    """Bound of normalised observations."""
    squash: bool = False
    """The output goes through tanh and is stretched to the bounds, as SAC's and TD3's; else it is clipped to them."""
    image: Image | None = None
    """What an observation is where it is an image, which convolutions see first; else it is a vector."""
    format: int = FORMAT


@dataclass(frozen=True)
class Policy:
    """A policy: its architecture and its numbers."""

    spec: PolicySpec
    tensors: Mapping[str, NDArray[Any]]

    def act(self, obs: Array, deterministic: bool = True, rng: np.random.Generator | None = None) -> Array:
        """Return actions (n, a) inside the bounds for observations (n, obs_dim).

        A row's result does not depend on the other rows: each goes through the same matrix-vector products, as a
        product of whole matrices rounds differently with the number of rows.

        Args:
            obs: (n, obs_dim), as the environment gives it.
            deterministic: the mean, or the likeliest choice; else a sample, drawn from `rng`.
            rng: required to sample.
        """
        out = self.forward(obs)
        if self.spec.action == "discrete":
            noise = 0.0 if deterministic else _generator(rng).gumbel(size=out.shape)
            choice: Array = np.argmax(out + noise, axis=1, keepdims=True).astype(np.float64)
            return choice
        if self.spec.squash:
            low, high = np.array(self.spec.action_low), np.array(self.spec.action_high)
            return np.asarray(low + 0.5 * (np.tanh(out.astype(np.float64)) + 1.0) * (high - low))
        if not deterministic:
            out = out + np.exp(self.tensors["log_std"]) * _generator(rng).standard_normal(out.shape)
        return np.asarray(np.clip(out.astype(np.float64), self.spec.action_low, self.spec.action_high))

    @property
    def obs_dim(self) -> int:
        """Length of the observation vector that it takes."""
        return self.spec.image.size if self.spec.image else int(self.tensors["actor.0.weight"].shape[1])

    def forward(self, obs: Array) -> NDArray[Any]:
        """Return the actor's output (n, a), or logits (n, choices), in the dtype of the weights."""
        hidden = self._seen(obs).astype(self.tensors["actor.0.weight"].dtype)[:, None, :]
        depth = len(self.spec.net_arch)
        for layer in range(depth + 1):
            hidden = hidden @ self.tensors[f"actor.{layer}.weight"].T + self.tensors[f"actor.{layer}.bias"]
            if layer < depth:
                hidden = np.tanh(hidden) if self.spec.activation == "tanh" else np.maximum(hidden, 0)
        return np.asarray(hidden[:, 0, :])

    def _seen(self, obs: NDArray[Any]) -> NDArray[Any]:
        """Return what the layers take: an image's features, or normalised observations."""
        image = self.spec.image
        return self.normalized(obs) if image is None else features(image.channel_first(obs), self.tensors)

    def normalized(self, obs: Array) -> Array:
        """Return observations (n, obs_dim) as the network takes them."""
        if not self.spec.normalize_obs:
            return obs
        scale = np.sqrt(self.tensors["obs_var"] + VARIANCE_FLOOR)
        bound = self.spec.clip_obs
        return np.asarray(np.clip((obs - self.tensors["obs_mean"]) / scale, -bound, bound))


def save(policy: Policy, folder: Path) -> None:
    """Write a policy's two files into a folder; each is complete or absent."""
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / ".policy.safetensors.part"
    save_file({name: np.ascontiguousarray(array) for name, array in policy.tensors.items()}, part)
    part.replace(folder / "policy.safetensors")
    write_text(folder / "policy.json", json.dumps(asdict(policy.spec), indent=1) + "\n")


def load(folder: Path) -> Policy:
    """Read a policy's folder.

    Raises:
        WorkerFailed: if a file is missing, damaged or of another format.
    """
    try:
        spec = load_record(PolicySpec, json.loads((folder / "policy.json").read_text(encoding="utf-8")))
        tensors = load_file(folder / "policy.safetensors")
    except (OSError, ValueError, SafetensorError) as error:
        raise WorkerFailed(f"cannot read the policy in {str(folder)!r}: {error}") from error
    if spec.format != FORMAT:
        raise WorkerFailed(f"the policy in {str(folder)!r} has format {spec.format}, this version reads {FORMAT}")
    missing = _needed(spec) - set(tensors)
    if missing:
        raise WorkerFailed(f"the policy in {str(folder)!r} lacks {', '.join(sorted(missing))}")
    return Policy(spec, tensors)


def _needed(spec: PolicySpec) -> set[str]:
    layers = {f"actor.{layer}.{part}" for layer in range(len(spec.net_arch) + 1) for part in ("weight", "bias")}
    layers |= set(CONVOLUTIONS) if spec.image else set()
    return layers | ({"obs_mean", "obs_var"} if spec.normalize_obs else set())


def _generator(rng: np.random.Generator | None) -> np.random.Generator:
    if rng is None:
        raise ValueError("sampling an action needs a generator")
    return rng
