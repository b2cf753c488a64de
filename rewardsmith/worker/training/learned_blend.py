"""Weights of a program's terms beside the environment reward, learned while the policy is (BARFI).

After "Behavior Alignment via Reward Function Optimization" (Gupta, Chandak, Jordan, Thomas & da Silva, NeurIPS 2023,
arXiv:2310.19007). The policy climbs a blend of rewards, and the weights w are moved so that the policy which results
earns more of the environment reward:

    total = environment_reward + sum_k w_k * (weight_k * term_k),   d J_env / d w_k = g_env . H^-1 A_k

with g_env the policy gradient of the environment reward, A_k that with the advantages of one term alone (the cross
derivative of the inner condition), and H its Hessian, here a multiple of the identity: with advantages that have a
baseline H is nearly 0 but for the paper's regularisation, and five terms of a Neumann series changed nothing
(benchmarks/RESULTS.md). g_env is estimated on the rollout after that of A_k: on the same one the two share their noise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rewardsmith.contract.reward_program import Array, RewardProgram
from rewardsmith.worker.training.rollout import Floats, RolloutStorage, check_environment_reward

STEP = 0.3
"""Change of log(w) in one rollout while the sign of its gradient stays the same (measured beside 0.1)."""
GRADIENT_MEMORY, SPREAD_MEMORY = 0.9, 0.99
"""Decay of the running mean of the gradient and of that of its square, as in Adam."""
BOUND = 6.0
"""Largest |log(w)|: a weight stays between a 400th and 400 times the program's."""
WATCHED_SHARE = 0.1
"""Share of the training in which only the weights are learned, not the policy. A term that holds a policy at the wrong
place would otherwise do so before the environment has paid once."""
GAE_LAMBDA = 0.95
RIDGE = 1e-3
"""Regularisation of the value functions, beside features of size 1."""


class LearnedBlend:
    """Totals of a program beside the environment reward, under weights that are learned from rollout to rollout."""

    def __init__(self, program: RewardProgram, env_steps: int, gamma: float) -> None:
        """Begin with the program's weights.

        Args:
            program: gives the weights that are the units of the learned ones.
            env_steps: of the training.
            gamma: discount.
        """
        self._program, self._gamma = program, gamma
        self._watched_steps, self._seen_steps = WATCHED_SHARE * env_steps, 0
        self._policy: Any = None
        self._critic: CriticFeatures | None = None
        self._previous: Array | None = None
        """Policy gradients (K, parameters) of the rollout before, one for the environment reward and each term."""
        self._names: tuple[str, ...] = ()
        self._log_weights = self._mean = self._square = np.zeros(0)
        self._updates = 0

    def bind_policy(self, policy: Any, scale: Callable[[Array], Floats]) -> None:
        """Name the policy, of stable-baselines3's PPO, and what scales its observations; before the first rollout."""
        self._policy, self._critic = policy, CriticFeatures(policy, scale)

    @property
    def is_watching(self) -> bool:
        """Whether the training is in its first part, in which the policy is not changed."""
        return self._seen_steps <= self._watched_steps

    @property
    def has_seen_reward(self) -> bool:
        """Whether the environment reward ever gave a direction to learn from."""
        return self._updates > 0

    @property
    def weights(self) -> dict[str, float]:
        """Term to its learned weight times the program's; the environment reward has weight 1."""
        factors = np.exp(self._log_weights[1:])
        return {name: self._program.weight(name) * float(w) for name, w in zip(self._names, factors, strict=True)}

    def compute_total(self, terms: Mapping[str, Array], rollout: RolloutStorage) -> Array:
        """Learn the weights from a rollout and its terms (T * n,); return its totals (T * n,) under them.

        Raises:
            RewardFailed: if an environment reward is not finite.
            RuntimeError: if no policy was named.
        """
        check_environment_reward(rollout.environment_reward)
        if self._critic is None:
            raise RuntimeError("bind_policy comes before the first rollout")
        if not self._names:
            self._names = tuple(terms)
            self._log_weights, self._mean, self._square = np.zeros((3, 1 + len(terms)))
        self._seen_steps += rollout.steps * rollout.n

        # The environment reward first, then each term in the program's units: (T, n, K)
        columns = [rollout.environment_reward.ravel(), *(self._program.weight(k) * terms[k] for k in self._names)]
        rewards = np.stack(columns, axis=-1).reshape(rollout.steps, rollout.n, -1)

        features, next_features = self._critic.compute_features(rollout)
        values = fit_values(features, next_features, rewards, self._gamma)
        advantages = estimate_advantages(rewards, *values, rollout.ended, self._gamma)

        # Whether a step along each term's gradient, on the rollout before, earns more of the environment reward in this
        gradients = compute_policy_gradients(self._policy, rollout, advantages)
        if self._previous is not None:
            self._move_weights(self._previous @ gradients[0])
        self._previous = gradients
        return np.asarray(rewards @ np.exp(self._log_weights)).ravel()

    def _move_weights(self, gradient: Array) -> None:
        """Move log(w) by one step of Adam along the outer gradient (K,); where nothing was paid there is none."""
        if not gradient[0]:
            return

        # Moments of the gradient, without the pull of their zero start
        self._updates += 1
        self._mean = GRADIENT_MEMORY * self._mean + (1.0 - GRADIENT_MEMORY) * gradient
        self._square = SPREAD_MEMORY * self._square + (1.0 - SPREAD_MEMORY) * gradient**2
        mean = self._mean / (1.0 - GRADIENT_MEMORY**self._updates)
        spread = np.sqrt(self._square / (1.0 - SPREAD_MEMORY**self._updates))
        step = STEP * np.divide(mean, spread, out=np.zeros_like(mean), where=spread > 0)

        # Only the balance counts: the environment reward keeps the weight 1
        moved = self._log_weights + step
        self._log_weights = np.clip(moved - moved[0], -BOUND, BOUND)


class CriticFeatures:
    """Features of states for value functions: 1 and the critic's last hidden layer."""

    def __init__(self, policy: Any, scale: Callable[[Array], Floats]) -> None:
        self._policy, self._scale = policy, scale

    def compute_features(self, rollout: RolloutStorage) -> tuple[Array, Array]:
        """Return the features (T, n, f) before and after each step; 0 after one that the environment's rule ended."""
        features = self._look(rollout.obs.reshape(-1, *rollout.obs.shape[2:])).reshape(rollout.steps, rollout.n, -1)
        next_features = np.concatenate([features[1:], self._look(rollout.last_obs)[None]])
        next_features[rollout.mark_terminations()] = 0.0
        truncations = rollout.list_truncations()
        if truncations:
            last = self._look(self._scale(np.stack([end.last_obs for end in truncations])))
            next_features[[end.step for end in truncations], [end.env for end in truncations]] = last
        return features, next_features

    def _look(self, obs: Floats) -> Array:
        """Return the features (m, f) of observations (m, obs_dim), as the policy takes them."""
        policy = self._policy
        with torch.no_grad():
            taken = torch.from_numpy(obs.reshape(-1, *policy.observation_space.shape))
            hidden = policy.mlp_extractor.forward_critic(policy.extract_features(taken)).numpy().astype(np.float64)
        return np.concatenate([np.ones((len(hidden), 1)), hidden], axis=1)


def fit_values(features: Array, next_features: Array, rewards: Array, gamma: float) -> tuple[Array, Array]:
    """Fit a linear value function to each reward by LSTD (Bradtke & Barto 1996), all at once.

    Args:
        features: (T, n, f)
        next_features: (T, n, f)
        rewards: (T, n, K)
        gamma: discount.

    Returns:
        The values (T, n, K) before and after each step.
    """
    flat, flat_next = (part.reshape(-1, part.shape[-1]) for part in (features, next_features))
    size = len(flat)
    matrix = flat.T @ (flat - gamma * flat_next) / size + RIDGE * np.eye(flat.shape[1])
    coefficients = np.linalg.solve(matrix, flat.T @ rewards.reshape(size, -1) / size)
    return features @ coefficients, next_features @ coefficients


def estimate_advantages(
    rewards: Array, values: Array, next_values: Array, ended: NDArray[np.bool_], gamma: float
) -> Array:
    """Return the advantages (T, n, K) by GAE(lambda), centred over the rollout."""
    deltas = rewards + gamma * next_values - values
    decay = gamma * GAE_LAMBDA * (~ended)[..., None]
    advantages, last = np.zeros_like(deltas), np.zeros_like(deltas[0])
    for step in range(len(deltas) - 1, -1, -1):
        last = deltas[step] + decay[step] * last
        advantages[step] = last
    return np.asarray(advantages - advantages.mean(axis=(0, 1)))


def compute_policy_gradients(policy: Any, rollout: RolloutStorage, advantages: Array) -> Array:
    """Return the policy gradients (K, number of parameters) with each of the advantages (T, n, K) alone."""
    obs = torch.from_numpy(rollout.obs.reshape(-1, *policy.observation_space.shape))
    actions = torch.from_numpy(rollout.actions.reshape(-1, rollout.actions.shape[-1]))
    if rollout.discrete_actions is not None:
        actions = actions.flatten()
    _, log_prob, _ = policy.evaluate_actions(obs, actions)
    parameters = list(policy.parameters())
    weights = torch.from_numpy((advantages.reshape(-1, advantages.shape[-1]) / len(log_prob)).astype(np.float32))
    gradients = []
    for column in weights.T:
        parts = torch.autograd.grad(log_prob, parameters, column, retain_graph=True, allow_unused=True)
        gradients.append(np.concatenate([part.numpy().ravel() for part in parts if part is not None]))
    return np.stack(gradients).astype(np.float64)
