"""Policies without torch: the forward pass in NumPy, and the folder that a training hands to an evaluation.

A folder holds `policy.safetensors` (float32 tensors: "actor.<i>.weight" (out, in) and "actor.<i>.bias" (out,) for each
layer, the last without an activation; "log_std" (a,) for boxes; "obs_mean" and "obs_var" (obs_dim,), float64, and
"obs_count" (1,), how many they are of, where observations are normalised; the convolutions of `training.images` where
they are images; and the critics and what else a training needs to go on from the policy) and `policy.json`, a
`PolicySpec`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file
from safetensors.numpy import save as format_tensors

from rewardsmith.contract.errors import WorkerFailed
from rewardsmith.contract.records import Signal, write_text
from rewardsmith.contract.records import dump as dump_record
from rewardsmith.contract.records import read as read_record
from rewardsmith.contract.records.types import LowerBound, UpperBound
from rewardsmith.worker.training.images import TENSORS as CONVOLUTIONS
from rewardsmith.worker.training.images import Image, ImagePart, extract_features, extract_part_features, prefix_part

Array = NDArray[np.float64]

FORMAT = 1
NORMALISATION = ("obs_mean", "obs_var", "obs_count")
"""Tensors that are no parameters: the statistics of observations."""
VARIANCE_FLOOR = 1e-8
"""Added to the variance of observations, as stable-baselines3's VecNormalize does."""
ACTIVATIONS: Mapping[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0),
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
}
"""Activation to its function."""


@dataclass(frozen=True)
class PolicySpec:
    """The architecture of a policy."""

    net_arch: tuple[int, ...]
    """Widths of the hidden layers."""
    action: Literal["box", "discrete"]
    action_low: tuple[LowerBound, ...]
    """(a,); a discrete action is one number from 0."""
    action_high: tuple[UpperBound, ...]
    activation: Literal["tanh", "relu", "elu"] = "tanh"
    normalize_obs: bool = True
    clip_obs: float = 10.0
    """Bound of normalised observations."""
    squash: bool = False
    """Whether the output goes through tanh and is scaled to the bounds, as SAC's and TD3's; else it is clipped."""
    image: Image | None = None
    """Shape of an observation that is an image, with convolutions before the layers; None where it is a vector."""
    image_parts: tuple[ImagePart, ...] = ()
    """Images among the numbers of an observation, each with convolutions of its own; after the other numbers come their
    features."""
    observation: tuple[Signal, ...] = ()
    """Signals that it observes, one after the other, each flattened; empty: the environment's own observation."""
    format: int = FORMAT


@dataclass(frozen=True)
class Policy:
    """A policy: its architecture and its parameters."""

    spec: PolicySpec
    tensors: Mapping[str, NDArray[Any]]

    def act(self, obs: Array, deterministic: bool = True, rng: np.random.Generator | None = None) -> Array:
        """Return actions (n, a) inside the bounds for observations (n, obs_dim).

        A row's result does not depend on the other rows: each goes through the same matrix-vector products, as a
        product of whole matrices rounds differently with the number of rows.

        Args:
            obs: (n, obs_dim), as the environment gives it.
            deterministic: return the mean, or the likeliest choice; else a sample, drawn from `rng`.
            rng: required to sample.
        """
        out = self.forward(obs)

        # Discrete: the likeliest choice, or a sample by the Gumbel-max trick
        if self.spec.action == "discrete":
            noise = 0.0 if deterministic else _require_generator(rng).gumbel(size=out.shape)
            choice: Array = np.argmax(out + noise, axis=1, keepdims=True).astype(np.float64)
            return choice

        # SAC and TD3: squashed, and scaled to the bounds
        if self.spec.squash:
            low, high = np.array(self.spec.action_low), np.array(self.spec.action_high)
            return np.asarray(low + 0.5 * (np.tanh(out.astype(np.float64)) + 1.0) * (high - low))

        # PPO: a Gaussian, clipped to the bounds
        if not deterministic:
            out = out + np.exp(self.tensors["log_std"]) * _require_generator(rng).standard_normal(out.shape)
        return np.asarray(np.clip(out.astype(np.float64), self.spec.action_low, self.spec.action_high))

    @property
    def algorithm(self) -> str:
        """Class of stable-baselines3 whose model it comes from; a task of mjlab's comes from rsl_rl's PPO."""
        if not self.spec.squash:
            return "PPO"
        return "SAC" if "actor_log_std.weight" in self.tensors else "TD3"

    @property
    def observed_names(self) -> tuple[str, ...]:
        """Names of the signals that it observes; none where it observes the environment's own vector."""
        return tuple(signal.name for signal in self.spec.observation)

    @property
    def obs_dim(self) -> int:
        """Length of the observation vector that it takes."""
        if self.spec.image_parts:
            return len(self.tensors["obs_mean"])
        return self.spec.image.size if self.spec.image else int(self.tensors["actor.0.weight"].shape[1])

    def forward(self, obs: Array) -> NDArray[Any]:
        """Return the actor's output (n, a), or logits (n, choices), in the dtype of the weights."""
        # An axis of length 1, so that each row has its own matrix-vector products
        hidden = self._prepare_inputs(obs).astype(self.tensors["actor.0.weight"].dtype)[:, None, :]
        depth = len(self.spec.net_arch)
        for layer in range(depth + 1):
            hidden = hidden @ self.tensors[f"actor.{layer}.weight"].T + self.tensors[f"actor.{layer}.bias"]
            if layer < depth:
                hidden = ACTIVATIONS[self.spec.activation](hidden)
        return np.asarray(hidden[:, 0, :])

    def _prepare_inputs(self, obs: NDArray[Any]) -> NDArray[Any]:
        """Return the input of the first layer: an image's features, or normalised observations."""
        image, parts = self.spec.image, self.spec.image_parts
        if parts:
            return extract_part_features(self.normalize_obs(obs), parts, self.tensors)
        return self.normalize_obs(obs) if image is None else extract_features(image.channel_first(obs), self.tensors)

    def normalize_obs(self, obs: Array) -> Array:
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
    # Written here and not by safetensors, whose own error of a full disk is no OSError.
    part.write_bytes(format_tensors({name: np.ascontiguousarray(array) for name, array in policy.tensors.items()}))
    part.replace(folder / "policy.safetensors")
    write_text(folder / "policy.json", json.dumps(dump_record(policy.spec), indent=1) + "\n")


def load(folder: Path) -> Policy:
    """Read a policy's folder.

    Raises:
        WorkerFailed: if a file is missing, damaged or of another format.
    """
    try:
        spec = read_record(PolicySpec, folder / "policy.json")
        tensors = load_file(folder / "policy.safetensors")
    except (OSError, ValueError, SafetensorError) as error:
        raise WorkerFailed(f"cannot read the policy in {str(folder)!r}: {error}") from error
    if spec.format != FORMAT:
        raise WorkerFailed(f"the policy in {str(folder)!r} has format {spec.format}, this version reads {FORMAT}")
    missing = _list_required_tensors(spec) - set(tensors)
    if missing:
        raise WorkerFailed(f"the policy in {str(folder)!r} lacks {', '.join(sorted(missing))}")
    return Policy(spec, tensors)


def _list_required_tensors(spec: PolicySpec) -> set[str]:
    names = set(CONVOLUTIONS) if spec.image else set()
    names |= {f"{prefix_part(number)}{name}" for number in range(len(spec.image_parts)) for name in CONVOLUTIONS}
    for layer in range(len(spec.net_arch) + 1):
        names |= {f"actor.{layer}.weight", f"actor.{layer}.bias"}
    if spec.normalize_obs:
        names |= {"obs_mean", "obs_var"}
    return names


def _require_generator(rng: np.random.Generator | None) -> np.random.Generator:
    if rng is None:
        raise ValueError("sampling an action needs a generator")
    return rng
