"""Minibatches of PPO's update: a rollout in the order of an epoch, with the constants of the clipped surrogate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from rewardsmith.worker.training.mlp import Floats, PolicyShape

Indices = NDArray[np.intp]

ADVANTAGE_EPSILON = 1e-8


@dataclass(frozen=True)
class Coefficients:
    """Constants of the loss and of the optimizer's step."""

    clip_range: float
    vf_coef: float
    ent_coef: float
    max_grad_norm: float
    normalize_advantage: bool = True


@dataclass(frozen=True)
class RolloutSamples:
    """A rollout, one row per transition."""

    obs: Floats
    """(N, obs_dim)"""
    actions: Floats
    """(N, a)"""
    log_prob: Floats
    """(N,): of the actions under the policy that drew them."""
    advantages: Floats
    returns: Floats


class EpochRecord(NamedTuple):
    """An epoch's outputs for each of its N transitions, in the epoch's order."""

    log_ratio: Floats
    """(N,)"""
    value_error: Floats
    """(N,)"""
    negative_entropy: Floats
    """(N,)"""
    weights: Floats
    """(N,): minus the advantage, normalised, over the size of its minibatch."""


@dataclass(frozen=True)
class Minibatch:
    """A minibatch of n transitions: views of a `MinibatchBuffer`."""

    obs: torch.Tensor
    """(2, n, obs_dim), the same for both networks."""
    obs_transposed: torch.Tensor
    """(2, obs_dim, n)"""
    actions: Floats
    """(n, a)"""
    old_log_prob: Floats
    """(n,)"""
    returns: Floats
    """(n,)"""
    weights: Floats
    """(n,): minus the advantage, normalised, over n."""
    bounds: Floats
    """(n,): sign(A) + c, the largest sign(A) * ratio that still has a gradient."""
    signs: Floats
    """(n,): the sign of the advantage."""
    log_ratio: Floats
    """(n,), output: log-probability under the present policy minus `old_log_prob`."""
    value_error: Floats
    """(n,), output: the critic's value minus the return."""
    negative_entropy: Floats
    """(n,), output: of the distribution of actions, in nats."""


class MinibatchBuffer:
    """A rollout in the order of an epoch, cut into minibatches whose views are made once.

    What the gradient computes for each transition (ratios, value errors, entropies) is written beside the inputs: the
    statistics of an update then take a few calls on whole arrays, instead of several for each minibatch.
    """

    def __init__(self, total: int, batch_size: int, shape: PolicyShape, action_width: int) -> None:
        self._batch_size = batch_size
        self._obs = torch.zeros(total, shape.obs_dim)
        self._obs_np = self._obs.numpy()
        self._actions = np.empty((total, action_width), np.float32)
        self._old_log_prob = np.empty(total, np.float32)
        self._returns = np.empty(total, np.float32)
        self._weights = np.empty(total, np.float32)
        self._bounds = np.empty(total, np.float32)
        self._signs = np.empty(total, np.float32)
        self._log_ratio = np.zeros(total, np.float32)
        self._value_error = np.zeros(total, np.float32)
        self._negative_entropy = np.zeros(total, np.float32)

        starts = range(0, total, batch_size)
        self.minibatches = [self._view_rows(slice(start, min(start + batch_size, total))) for start in starts]

    def _view_rows(self, rows: slice) -> Minibatch:
        obs = self._obs[rows]
        pair = obs.expand(2, *obs.shape)
        return Minibatch(
            obs=pair,
            obs_transposed=pair.transpose(1, 2),
            actions=self._actions[rows],
            old_log_prob=self._old_log_prob[rows],
            returns=self._returns[rows],
            weights=self._weights[rows],
            bounds=self._bounds[rows],
            signs=self._signs[rows],
            log_ratio=self._log_ratio[rows],
            value_error=self._value_error[rows],
            negative_entropy=self._negative_entropy[rows],
        )

    def fill_in_order(self, samples: RolloutSamples, order: Indices, coefficients: Coefficients) -> None:
        """Lay the samples out in an order, and prepare the constants of the clipped surrogate."""
        np.take(samples.obs, order, axis=0, out=self._obs_np, mode="clip")
        np.take(samples.actions, order, axis=0, out=self._actions, mode="clip")
        np.take(samples.log_prob, order, out=self._old_log_prob, mode="clip")
        np.take(samples.returns, order, out=self._returns, mode="clip")
        np.take(samples.advantages, order, out=self._weights, mode="clip")

        # Normalise the advantages of each minibatch; a smaller last one by itself.
        whole = len(order) // self._batch_size * self._batch_size
        _weigh_advantages(self._weights[:whole].reshape(-1, self._batch_size), coefficients.normalize_advantage)
        if whole < len(order):
            _weigh_advantages(self._weights[None, whole:], coefficients.normalize_advantage)

        # -A r counts while sign(A) r <= sign(A) + c: beyond that the clipped term is the smaller one, and flat.
        np.sign(np.negative(self._weights), out=self._signs)
        np.multiply(np.abs(self._signs), coefficients.clip_range, out=self._bounds)
        np.add(self._bounds, self._signs, out=self._bounds)

    def copy_outputs(self) -> EpochRecord:
        """Return what was computed for each transition since the samples were laid out."""
        arrays = (self._log_ratio, self._value_error, self._negative_entropy, self._weights)
        return EpochRecord(*(array.copy() for array in arrays))


def _weigh_advantages(advantages: Floats, normalize: bool) -> None:
    """Turn the advantages (k, n) of k minibatches into the weights of their log-probabilities, in place."""
    n = advantages.shape[1]
    if normalize and n > 1:
        np.subtract(advantages, advantages.mean(axis=1, keepdims=True), out=advantages)
        np.divide(advantages, advantages.std(axis=1, ddof=1, keepdims=True) + ADVANTAGE_EPSILON, out=advantages)
    np.divide(advantages, -n, out=advantages)
