"""PPO's update without autograd: clipped surrogate, value loss, entropy, gradient clipping and Adam.

Schulman et al. 2017 (arXiv:1707.06347), as stable-baselines3 computes it; its loss for a minibatch of N is

    mean(-min(A r, A clip(r, 1 - c, 1 + c))) + vf_coef mean((R - V)²) - ent_coef mean(H)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from rewardsmith.worker.training.mlp import Flat, Floats, Network, Shape

Indices = NDArray[np.intp]

BETAS = (0.9, 0.999)
EPSILON = 1e-5
"""Of Adam, as stable-baselines3 sets it for PPO."""
ADVANTAGE_EPSILON = 1e-8
NORM_EPSILON = 1e-6


@dataclass(frozen=True)
class Coefficients:
    """The constants of the loss and of the step."""

    clip_range: float
    vf_coef: float
    ent_coef: float
    max_grad_norm: float
    normalize_advantage: bool = True


@dataclass(frozen=True)
class Samples:
    """A rollout, one row per transition."""

    obs: Floats
    """(N, obs_dim)"""
    actions: Floats
    """(N, a)"""
    log_prob: Floats
    """(N,): of the actions under the policy that drew them."""
    advantages: Floats
    returns: Floats


@dataclass(frozen=True)
class Batch:
    """A minibatch of n transitions."""

    obs: torch.Tensor
    """(2, n, obs_dim), the same for both networks."""
    obs_turned: torch.Tensor
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


class Shuffled:
    """A rollout in the order of an epoch, cut into minibatches whose views are made once."""

    def __init__(self, total: int, n: int, shape: Shape, action_width: int) -> None:
        self._n = n
        self._obs = torch.zeros(total, shape.obs_dim)
        self._obs_np = self._obs.numpy()
        self._actions = np.empty((total, action_width), np.float32)
        self._old = np.empty(total, np.float32)
        self._returns = np.empty(total, np.float32)
        self._weights = np.empty(total, np.float32)
        self._bounds = np.empty(total, np.float32)
        self._signs = np.empty(total, np.float32)
        self.batches = [self._cut(slice(at, min(at + n, total))) for at in range(0, total, n)]

    def _cut(self, rows: slice) -> Batch:
        obs = self._obs[rows]
        pair = obs.expand(2, *obs.shape)
        return Batch(
            pair,
            pair.transpose(1, 2),
            self._actions[rows],
            self._old[rows],
            self._returns[rows],
            self._weights[rows],
            self._bounds[rows],
            self._signs[rows],
        )

    def fill(self, samples: Samples, order: Indices, coefficients: Coefficients) -> None:
        """Lay the samples out in an order."""
        np.take(samples.obs, order, axis=0, out=self._obs_np, mode="clip")
        np.take(samples.actions, order, axis=0, out=self._actions, mode="clip")
        np.take(samples.log_prob, order, out=self._old, mode="clip")
        np.take(samples.returns, order, out=self._returns, mode="clip")
        np.take(samples.advantages, order, out=self._weights, mode="clip")
        whole = len(order) // self._n * self._n
        _weigh(self._weights[:whole].reshape(-1, self._n), coefficients.normalize_advantage)
        if whole < len(order):
            _weigh(self._weights[None, whole:], coefficients.normalize_advantage)
        np.sign(np.negative(self._weights), out=self._signs)
        # -A r counts while sign(A) r <= sign(A) + c: beyond that the clipped term is the smaller one, and flat.
        np.multiply(np.abs(self._signs), coefficients.clip_range, out=self._bounds)
        np.add(self._bounds, self._signs, out=self._bounds)


class Head(Protocol):
    """What turns the actor's output into probabilities."""

    def gradient(self, out: Floats, batch: Batch) -> Floats:
        """Return the loss's derivative (n, out) by the actor's output; a buffer, valid until the next call."""
        ...


class Surrogate:
    """The clipped surrogate's derivative by the log-probability, for minibatches of one size."""

    def __init__(self, n: int) -> None:
        self._ratio = np.empty(n, np.float32)
        self._scratch = np.empty(n, np.float32)
        self._counts = np.empty(n, np.bool_)

    def gradient(self, log_prob: Floats, batch: Batch) -> Floats:
        """Return it (n,) for log-probabilities (n,), which are overwritten."""
        ratio, scratch = self._ratio, self._scratch
        np.subtract(log_prob, batch.old_log_prob, out=ratio)
        np.exp(ratio, out=ratio)
        np.multiply(ratio, batch.signs, out=scratch)
        np.less_equal(scratch, batch.bounds, out=self._counts)
        np.multiply(ratio, batch.weights, out=ratio)
        return np.multiply(ratio, self._counts, out=ratio)


class GaussianHead:
    """Independent normals around the output, with a learned scale; for minibatches of one size."""

    def __init__(self, n: int, values: Flat, gradient: Flat, ent_coef: float) -> None:
        self._log_std, self._d_log_std = values.views["log_std"], gradient.views["log_std"]
        a = len(self._log_std)
        self._surrogate = Surrogate(n)
        self._ent_coef = ent_coef
        self._constant = -0.5 * a * math.log(2 * math.pi)
        self._z = np.empty((n, a), np.float32)
        # Squares with a column of ones: one product with `_halves` is the log-probability.
        self._squares = np.ones((n, a + 1), np.float32)
        self._squared = self._squares[:, :-1]
        self._halves = np.full(a + 1, -0.5, np.float32)
        self._log_prob = np.empty(n, np.float32)
        self._sums = np.empty(a + 1, np.float32)
        self._ones = np.ones(a, np.float32)
        self._inverse = np.empty(a, np.float32)
        self._d_mean = np.empty((n, a), np.float32)

    def gradient(self, out: Floats, batch: Batch) -> Floats:
        """Return the derivative by the means, and write that by log_std; see `Head.gradient`."""
        z, squares, inverse, log_std = self._z, self._squares, self._inverse, self._log_std
        np.negative(log_std, out=inverse)
        np.exp(inverse, out=inverse)
        np.subtract(batch.actions, out, out=z)
        np.multiply(z, inverse, out=z)
        np.multiply(z, z, out=self._squared)
        self._halves[-1] = self._constant - log_std.dot(self._ones)
        np.matmul(squares, self._halves, out=self._log_prob)
        weights = self._surrogate.gradient(self._log_prob, batch)
        # d log p / d mean = z / std; d log p / d log_std = z² - 1; the entropy is log_std and a constant.
        np.matmul(weights, squares, out=self._sums)
        np.subtract(self._sums[:-1], self._sums[-1] + self._ent_coef, out=self._d_log_std)
        np.multiply(z, inverse, out=z)
        return np.multiply(z, weights[:, None], out=self._d_mean)


class CategoricalHead:
    """A choice with probabilities softmax(output); for minibatches of one size."""

    def __init__(self, n: int, choices: int, ent_coef: float) -> None:
        self._surrogate = Surrogate(n)
        self._ent_coef = ent_coef
        self._rows = np.arange(n)
        self._choices = choices

    def gradient(self, out: Floats, batch: Batch) -> Floats:
        """Return the derivative by the logits; see `Head.gradient`."""
        shifted = out - out.max(axis=1, keepdims=True)
        log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        p = np.exp(log_p)
        chosen = batch.actions[:, 0].astype(np.intp)
        weights = self._surrogate.gradient(log_p[self._rows, chosen], batch)
        # d log p(chosen) / d logits = one-hot - p; d H / d logits = -p (log p + H).
        d_out: Floats = -weights[:, None] * p
        d_out[self._rows, chosen] += weights
        if self._ent_coef:
            entropy = -(p * log_p).sum(axis=1, keepdims=True)
            d_out += (self._ent_coef / len(p)) * p * (log_p + entropy)
        return d_out


class Adam:
    """Kingma and Ba 2014 (arXiv:1412.6980) on one vector; its moments are kept over (1 - beta), which saves passes."""

    def __init__(self, shape: Shape) -> None:
        self.first, self.second = Flat(shape), Flat(shape)
        self.steps = 0
        self._scratch = np.empty_like(self.first.vector)

    def step(self, values: Floats, gradient: Floats, learning_rate: float) -> None:
        """Move the values against the gradient."""
        self.steps += 1
        first, second, scratch = self.first.vector, self.second.vector, self._scratch
        np.multiply(first, BETAS[0], out=first)
        np.add(first, gradient, out=first)
        np.multiply(second, BETAS[1], out=second)
        np.multiply(gradient, gradient, out=scratch)
        np.add(second, scratch, out=second)
        # m / (1 - b1^t) over sqrt(v / (1 - b2^t)) + eps, with the constants drawn together.
        root = math.sqrt((1 - BETAS[1]) / (1 - BETAS[1] ** self.steps))
        rate = learning_rate * (1 - BETAS[0]) / (1 - BETAS[0] ** self.steps) / root
        np.sqrt(second, out=scratch)
        np.add(scratch, EPSILON / root, out=scratch)
        np.divide(first, scratch, out=scratch)
        np.multiply(scratch, rate, out=scratch)
        np.subtract(values, scratch, out=values)


class Update:
    """Everything that an update needs, allocated once: parameters, their gradient, Adam and the buffers."""

    def __init__(self, shape: Shape, total: int, batch_size: int, width: int, coefficients: Coefficients) -> None:
        """Allocate.

        Args:
            shape: of the policy.
            total: transitions of a rollout.
            batch_size: of a minibatch; the last one of an epoch may be smaller.
            width: length of an action as the buffer holds it; 1 for a discrete one.
            coefficients: of the loss.
        """
        self.values, self.gradient, self.adam = Flat(shape), Flat(shape), Adam(shape)
        self._coefficients = coefficients
        self._shuffled = Shuffled(total, batch_size, shape, width)
        sizes = {len(batch.returns) for batch in self._shuffled.batches}
        self._networks = {n: Network(shape, n, self.values, self.gradient) for n in sizes}
        self._heads = {n: self._head(shape, n) for n in sizes}

    def epoch(self, samples: Samples, order: Indices, learning_rate: float) -> None:
        """Take one step for each minibatch of the samples in this order."""
        for batch in self.shuffled(samples, order):
            self.compute_gradient(batch)
            self._clip_gradient()
            self.adam.step(self.values.vector, self.gradient.vector, learning_rate)

    def shuffled(self, samples: Samples, order: Indices) -> list[Batch]:
        """Return the minibatches of the samples in this order; buffers, valid until the next call."""
        self._shuffled.fill(samples, order, self._coefficients)
        return self._shuffled.batches

    def compute_gradient(self, batch: Batch) -> None:
        """Write the loss's gradient for a minibatch to `gradient`."""
        n = len(batch.returns)
        network = self._networks[n]
        network.forward(batch.obs)
        d_out = self._heads[n].gradient(network.out, batch)
        d_value = network.value
        np.subtract(d_value, batch.returns, out=d_value)
        np.multiply(d_value, 2 * self._coefficients.vf_coef / n, out=d_value)
        network.backward(batch.obs_turned, d_out, d_value)

    def _clip_gradient(self) -> None:
        gradient, largest = self.gradient.vector, self._coefficients.max_grad_norm
        norm = math.sqrt(gradient.dot(gradient))
        if norm + NORM_EPSILON > largest:
            np.multiply(gradient, largest / (norm + NORM_EPSILON), out=gradient)

    def _head(self, shape: Shape, n: int) -> Head:
        if shape.gaussian:
            return GaussianHead(n, self.values, self.gradient, self._coefficients.ent_coef)
        return CategoricalHead(n, shape.out, self._coefficients.ent_coef)


def _weigh(advantages: Floats, normalize: bool) -> None:
    """Turn the advantages (k, n) of k minibatches into the weights of their log-probabilities, in place."""
    n = advantages.shape[1]
    if normalize and n > 1:
        np.subtract(advantages, advantages.mean(axis=1, keepdims=True), out=advantages)
        np.divide(advantages, advantages.std(axis=1, ddof=1, keepdims=True) + ADVANTAGE_EPSILON, out=advantages)
    np.divide(advantages, -n, out=advantages)
