"""PPO's update without autograd: clipped surrogate, value loss, entropy, gradient clipping and Adam.

Schulman et al. 2017 (arXiv:1707.06347), as stable-baselines3 computes it; its loss for a minibatch of N is

    mean(-min(A r, A clip(r, 1 - c, 1 + c))) + vf_coef mean((R - V)²) - ent_coef mean(H)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np

from rewardsmith.worker.training.minibatches import (
    Coefficients,
    EpochRecord,
    Indices,
    Minibatch,
    MinibatchBuffer,
    RolloutSamples,
)
from rewardsmith.worker.training.mlp import ActorCriticNetwork, FlatParameters, Floats, PolicyShape

BETAS = (0.9, 0.999)
EPSILON = 1e-5
"""Adam's, as stable-baselines3 sets it for PPO."""
NORM_EPSILON = 1e-6
HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


class UpdateStatistics(NamedTuple):
    """Values that stable-baselines3 logs under `train/`, averaged as it does."""

    policy_gradient_loss: float
    """Mean over all minibatches, as the next three."""
    value_loss: float
    entropy_loss: float
    """Minus the entropy, in nats."""
    clip_fraction: float
    """Share of transitions whose ratio lies outside 1 ± clip_range."""
    approx_kl: float
    """Mean of exp(log_ratio) - 1 - log_ratio over the last epoch (http://joschu.net/blog/kl-approx.html)."""
    loss: float
    """Loss of the last minibatch."""


class ActionHead(Protocol):
    """Distribution of actions for the actor's output."""

    def compute_gradient(self, out: Floats, batch: Minibatch) -> Floats:
        """Return the loss's derivative (n, out) by the actor's output, and write the batch's outputs.

        The result is a buffer, valid until the next call.
        """
        ...


class ClippedSurrogate:
    """Derivative of the clipped surrogate by the log-probability, for minibatches of one size."""

    def __init__(self, n: int) -> None:
        self._ratio = np.empty(n, np.float32)
        self._scratch = np.empty(n, np.float32)
        self._has_gradient = np.empty(n, np.bool_)

    def compute_gradient(self, log_prob: Floats, batch: Minibatch) -> Floats:
        """Return it (n,) for log-probabilities (n,), and write the batch's log-ratios."""
        ratio, scratch = self._ratio, self._scratch
        # ratio between old and new policy, one at the first minibatch
        np.subtract(log_prob, batch.old_log_prob, out=batch.log_ratio)
        np.exp(batch.log_ratio, out=ratio)

        # d(-A r) / d log p = -A r, and 0 where the ratio is clipped
        np.multiply(ratio, batch.signs, out=scratch)
        np.less_equal(scratch, batch.bounds, out=self._has_gradient)
        np.multiply(ratio, batch.weights, out=ratio)
        return np.multiply(ratio, self._has_gradient, out=ratio)


class GaussianHead:
    """Independent normals around the output, with a learned scale; for minibatches of one size."""

    def __init__(self, n: int, values: FlatParameters, gradient: FlatParameters, ent_coef: float) -> None:
        self._log_std, self._d_log_std = values.views["log_std"], gradient.views["log_std"]
        a = len(self._log_std)
        self._surrogate = ClippedSurrogate(n)
        self._ent_coef = ent_coef
        self._log_prob_constant = -a * HALF_LOG_2PI
        self._negative_entropy_constant = -a * (0.5 + HALF_LOG_2PI)
        self._z = np.empty((n, a), np.float32)
        # Squares with a column of ones: one product with `_halves` is the log-probability.
        self._squares_and_ones = np.ones((n, a + 1), np.float32)
        self._squares = self._squares_and_ones[:, :-1]
        self._halves = np.full(a + 1, -0.5, np.float32)
        self._log_prob = np.empty(n, np.float32)
        self._sums = np.empty(a + 1, np.float32)
        self._ones = np.ones(a, np.float32)
        self._inverse_std = np.empty(a, np.float32)
        self._d_mean = np.empty((n, a), np.float32)

    def compute_gradient(self, out: Floats, batch: Minibatch) -> Floats:
        """Return the derivative by the means, and write that by log_std; see `ActionHead.compute_gradient`."""
        z, inverse_std, log_std = self._z, self._inverse_std, self._log_std
        # z = (action - mean) / std
        np.negative(log_std, out=inverse_std)
        np.exp(inverse_std, out=inverse_std)
        np.subtract(batch.actions, out, out=z)
        np.multiply(z, inverse_std, out=z)

        # log p = -sum(z²) / 2 - sum(log_std) - a log(2 pi) / 2
        log_std_sum = log_std.dot(self._ones)
        np.multiply(z, z, out=self._squares)
        self._halves[-1] = self._log_prob_constant - log_std_sum
        np.matmul(self._squares_and_ones, self._halves, out=self._log_prob)
        batch.negative_entropy.fill(self._negative_entropy_constant - log_std_sum)

        # d log p / d mean = z / std; d log p / d log_std = z² - 1; the entropy is log_std and a constant.
        d_log_prob = self._surrogate.compute_gradient(self._log_prob, batch)
        np.matmul(d_log_prob, self._squares_and_ones, out=self._sums)
        np.subtract(self._sums[:-1], self._sums[-1] + self._ent_coef, out=self._d_log_std)
        np.multiply(z, inverse_std, out=z)
        return np.multiply(z, d_log_prob[:, None], out=self._d_mean)


class CategoricalHead:
    """A choice with probabilities softmax(output); for minibatches of one size."""

    def __init__(self, n: int, ent_coef: float) -> None:
        self._surrogate = ClippedSurrogate(n)
        self._ent_coef = ent_coef
        self._rows = np.arange(n)

    def compute_gradient(self, out: Floats, batch: Minibatch) -> Floats:
        """Return the derivative by the logits; see `ActionHead.compute_gradient`."""
        # log-probabilities of all choices
        shifted = out - out.max(axis=1, keepdims=True)
        log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        p = np.exp(log_p)
        np.vecdot(p, log_p, out=batch.negative_entropy)

        # d log p(chosen) / d logits = one-hot - p
        chosen = batch.actions[:, 0].astype(np.intp)
        d_log_prob = self._surrogate.compute_gradient(log_p[self._rows, chosen], batch)
        d_out: Floats = -d_log_prob[:, None] * p
        d_out[self._rows, chosen] += d_log_prob

        # d H / d logits = -p (log p + H)
        if self._ent_coef:
            entropy = -(p * log_p).sum(axis=1, keepdims=True)
            d_out += (self._ent_coef / len(p)) * p * (log_p + entropy)
        return d_out


class Adam:
    """Kingma and Ba 2014 (arXiv:1412.6980) on one vector; its moments are kept over (1 - beta), which saves passes."""

    def __init__(self, shape: PolicyShape) -> None:
        self.first_moment, self.second_moment = FlatParameters(shape), FlatParameters(shape)
        self.steps = 0
        self._scratch = np.empty_like(self.first_moment.vector)

    def step(self, values: Floats, gradient: Floats, learning_rate: float) -> None:
        """Move the values against the gradient."""
        self.steps += 1
        first, second, scratch = self.first_moment.vector, self.second_moment.vector, self._scratch
        # m = b1 m + g, v = b2 v + g²
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


class PPOUpdate:
    """PPO's update with everything that it needs allocated once: parameters, their gradient, Adam and the buffers."""

    def __init__(
        self, shape: PolicyShape, total: int, batch_size: int, action_width: int, coefficients: Coefficients
    ) -> None:
        """Allocate.

        Args:
            shape: of the policy.
            total: transitions of a rollout.
            batch_size: of a minibatch; the last one of an epoch may be smaller.
            action_width: length of an action as the buffer holds it; 1 for a discrete one.
            coefficients: of the loss.
        """
        self.values, self.gradient, self.adam = FlatParameters(shape), FlatParameters(shape), Adam(shape)
        self._coefficients = coefficients
        self._buffer = MinibatchBuffer(total, batch_size, shape, action_width)
        sizes = {len(batch.returns) for batch in self._buffer.minibatches}
        self._networks = {n: ActorCriticNetwork(shape, n, self.values, self.gradient) for n in sizes}
        self._heads = {n: self._make_head(shape, n) for n in sizes}

    def train_epoch(self, samples: RolloutSamples, order: Indices, learning_rate: float) -> EpochRecord:
        """Take one step of the optimizer for each minibatch of the samples in this order."""
        for batch in self.shuffle_minibatches(samples, order):
            self.compute_gradient(batch)
            self._clip_grad_norm()
            self.adam.step(self.values.vector, self.gradient.vector, learning_rate)
        return self._buffer.copy_outputs()

    def compute_statistics(self, epochs: Sequence[EpochRecord]) -> UpdateStatistics:
        """Return the statistics of an update of at least one epoch."""
        batch_sizes = [len(batch.returns) for batch in self._buffer.minibatches]
        return _compute_statistics(epochs, batch_sizes, self._coefficients)

    def shuffle_minibatches(self, samples: RolloutSamples, order: Indices) -> list[Minibatch]:
        """Return the minibatches of the samples in this order; buffers, valid until the next call."""
        self._buffer.fill_in_order(samples, order, self._coefficients)
        return self._buffer.minibatches

    def compute_gradient(self, batch: Minibatch) -> None:
        """Write the loss's gradient for a minibatch to `gradient`."""
        n = len(batch.returns)
        network = self._networks[n]
        network.forward(batch.obs)

        # clipped surrogate loss and entropy
        d_out = self._heads[n].compute_gradient(network.out, batch)

        # value loss: d vf_coef mean((V - R)²) / d V
        d_value = network.value
        np.subtract(d_value, batch.returns, out=batch.value_error)
        np.multiply(batch.value_error, 2 * self._coefficients.vf_coef / n, out=d_value)

        network.backward(batch.obs_transposed, d_out, d_value)

    def _clip_grad_norm(self) -> None:
        gradient, max_grad_norm = self.gradient.vector, self._coefficients.max_grad_norm
        norm = math.sqrt(gradient.dot(gradient))
        if norm + NORM_EPSILON > max_grad_norm:
            np.multiply(gradient, max_grad_norm / (norm + NORM_EPSILON), out=gradient)

    def _make_head(self, shape: PolicyShape, n: int) -> ActionHead:
        if shape.gaussian:
            return GaussianHead(n, self.values, self.gradient, self._coefficients.ent_coef)
        return CategoricalHead(n, self._coefficients.ent_coef)


def _compute_statistics(
    epochs: Sequence[EpochRecord], batch_sizes: Sequence[int], coefficients: Coefficients
) -> UpdateStatistics:
    """Return what stable-baselines3 would log for an update.

    Args:
        epochs: at least one.
        batch_sizes: of the minibatches of each epoch, in order.
        coefficients: of the loss.
    """
    log_ratio, value_error, negative_entropy, weights = (np.stack(arrays) for arrays in zip(*epochs, strict=True))
    count = len(batch_sizes)
    # A mean of the minibatches' means: the last minibatch may be smaller, and its transitions then count for more.
    shares = np.repeat(np.array([1 / (count * size) for size in batch_sizes], np.float32), batch_sizes)
    last = slice(-batch_sizes[-1], None)

    # -min(A r, A clip(r)) / n is the larger of the two products with the weights -A / n.
    ratio = np.exp(log_ratio)
    clipped_ratio = np.clip(ratio, 1 - coefficients.clip_range, 1 + coefficients.clip_range)
    policy_losses = np.maximum(weights * ratio, weights * clipped_ratio)

    value_losses = value_error * value_error
    is_clipped = np.abs(ratio - 1) > coefficients.clip_range
    approx_kl = (ratio[-1] - 1) - log_ratio[-1]

    loss = (
        policy_losses[-1, last].sum()
        + coefficients.ent_coef * negative_entropy[-1, last].mean()
        + coefficients.vf_coef * value_losses[-1, last].mean()
    )
    return UpdateStatistics(
        policy_gradient_loss=float(policy_losses.sum()) / (count * len(epochs)),
        value_loss=float((value_losses @ shares).mean()),
        entropy_loss=float((negative_entropy @ shares).mean()),
        clip_fraction=float((is_clipped @ shares).mean()),
        approx_kl=float(approx_kl @ shares),
        loss=float(loss),
    )
