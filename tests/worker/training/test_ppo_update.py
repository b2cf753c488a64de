"""The NumPy update against stable-baselines3's: gradients, parameters, moments, and drop-in behaviour."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env

from rewardsmith.worker.training.fast_ppo import FastPPO, find_supported_shape, flatten_rollout, pair_parameters
from rewardsmith.worker.training.minibatches import Coefficients
from rewardsmith.worker.training.ppo_update import PPOUpdate

pytestmark = pytest.mark.filterwarnings("ignore:You have specified a mini-batch size of:UserWarning")

SETTINGS: dict[str, Any] = {
    "n_steps": 150,
    "batch_size": 64,
    "n_epochs": 2,
    "ent_coef": 0.01,
    "seed": 3,
    "device": "cpu",
}
"""150 transitions in minibatches of 64: the last one has 22."""


def model_with_rollout(kind: type[PPO], env: str, **changes: Any) -> PPO:
    """Return a model with a full rollout buffer of made-up transitions, from a policy close to its present one."""
    model = kind("MlpPolicy", env, **(SETTINGS | changes))
    model._setup_learn(10_000)
    shake(model)
    rng, buffer = np.random.default_rng(0), model.rollout_buffer
    buffer.observations[...] = rng.standard_normal(buffer.observations.shape)
    with torch.no_grad():
        actions, values, log_prob = model.policy(torch.from_numpy(buffer.observations[:, 0]))
    buffer.actions[:, 0] = actions.numpy().reshape(len(actions), -1)
    buffer.values[:, 0], buffer.log_probs[:, 0] = values.numpy().ravel(), log_prob.numpy()
    buffer.rewards[...] = rng.standard_normal(buffer.rewards.shape)
    buffer.compute_returns_and_advantage(torch.zeros(1), np.zeros(1, np.bool_))
    buffer.full = True
    shake(model)  # so that some ratios are beyond the clip
    return model


def shake(model: PPO) -> None:
    """Move every parameter a little."""
    with torch.no_grad():
        for parameter in model.policy.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape))


def autograd_loss(model: PPO, samples: Any) -> torch.Tensor:
    """Return PPO's loss over all samples as one minibatch, as its paper writes it."""
    obs, drawn, old, advantage, returns = (
        torch.from_numpy(getattr(samples, name)) for name in ("obs", "actions", "log_prob", "advantages", "returns")
    )
    drawn = drawn.long().flatten() if isinstance(model.action_space, gymnasium.spaces.Discrete) else drawn
    value, log_prob, entropy = model.policy.evaluate_actions(obs, drawn)
    advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
    ratio = torch.exp(log_prob - old)
    surrogate = torch.min(advantage * ratio, advantage * torch.clamp(ratio, 0.8, 1.2))
    return -surrogate.mean() + 0.5 * (returns - value.flatten()).square().mean() - 0.01 * entropy.mean()


@pytest.mark.parametrize("env", ["Pendulum-v1", "CartPole-v1", "Hopper-v5"])
@pytest.mark.parametrize("hidden", [[64, 64], [16], [24, 16, 8]])
def test_gradient_equals_that_of_autograd(env: str, hidden: list[int]) -> None:
    model = model_with_rollout(FastPPO, env, policy_kwargs={"net_arch": hidden})
    shape, samples = find_supported_shape(model), flatten_rollout(model.rollout_buffer)
    assert shape is not None
    update = PPOUpdate(shape, 150, 150, samples.actions.shape[1], Coefficients(0.2, 0.5, 0.01, 0.5))
    for parameter, view in pair_parameters(model.policy, update.values):
        view[...] = parameter.detach().numpy()
    shuffled = update.shuffle_minibatches(samples, np.arange(150))
    update.compute_gradient(shuffled[0])

    autograd_loss(model, samples).backward()

    for parameter, view in pair_parameters(model.policy, update.gradient):
        assert parameter.grad is not None
        scale = float(parameter.grad.abs().max())
        np.testing.assert_allclose(view, parameter.grad.numpy(), rtol=0, atol=1e-5 * max(scale, 1.0))


@pytest.mark.parametrize("env", ["Pendulum-v1", "CartPole-v1", "Hopper-v5"])
def test_one_update_leads_to_the_parameters_and_moments_of_sb3(env: str) -> None:
    theirs, ours = (model_with_rollout(kind, env) for kind in (PPO, FastPPO))
    for model in (theirs, ours):
        np.random.seed(7)
        model.train()

    for name, expected in theirs.policy.state_dict().items():
        np.testing.assert_allclose(ours.policy.state_dict()[name].numpy(), expected.numpy(), rtol=0, atol=2e-6)
    expected_state, state = (model.policy.optimizer.state_dict()["state"] for model in (theirs, ours))
    for index, moments in expected_state.items():
        assert float(state[index]["step"]) == float(moments["step"]) == 6
        for name in ("exp_avg", "exp_avg_sq"):
            scale = float(moments[name].abs().max())
            np.testing.assert_allclose(state[index][name].numpy(), moments[name].numpy(), rtol=0, atol=1e-4 * scale)


def test_either_update_may_follow_the_other() -> None:
    pure, mixed = (model_with_rollout(kind, "Pendulum-v1") for kind in (PPO, FastPPO))
    np.random.seed(7)
    pure.train()
    pure.train()
    np.random.seed(7)
    PPO.train(mixed)
    mixed.train()

    for name, expected in pure.policy.state_dict().items():
        np.testing.assert_allclose(mixed.policy.state_dict()[name].numpy(), expected.numpy(), rtol=0, atol=5e-6)


def test_update_does_not_depend_on_what_earlier_updates_left_in_the_buffers() -> None:
    first, second = (model_with_rollout(FastPPO, "Pendulum-v1") for _ in range(2))
    second.train()
    second.policy.load_state_dict(first.policy.state_dict())
    second.policy.optimizer.state.clear()
    for model in (first, second):
        np.random.seed(7)
        model.train()

    for name, expected in first.policy.state_dict().items():
        assert torch.equal(second.policy.state_dict()[name], expected)


@pytest.mark.parametrize(
    "changes",
    [
        {"target_kl": 0.1},
        {"clip_range_vf": 0.2},
        {"use_sde": True},
        {"policy_kwargs": {"activation_fn": torch.nn.ReLU}},
        {"policy_kwargs": {"net_arch": {"pi": [8], "vf": [16]}}},
        {"policy_kwargs": {"net_arch": []}},
        {"policy_kwargs": {"optimizer_kwargs": {"weight_decay": 0.1, "eps": 1e-5}}},
    ],
    ids=lambda changes: "-".join(map(str, changes)),
)
def test_what_is_not_covered_trains_as_sb3_does(changes: dict[str, Any]) -> None:
    theirs, ours = (model_with_rollout(kind, "Pendulum-v1", **changes) for kind in (PPO, FastPPO))
    assert find_supported_shape(ours) is None
    for model in (theirs, ours):
        np.random.seed(7)
        torch.manual_seed(7)
        model.train()

    for name, expected in theirs.policy.state_dict().items():
        assert torch.equal(ours.policy.state_dict()[name], expected)


def test_model_learns_through_the_ordinary_interface() -> None:
    envs = make_vec_env("CartPole-v1", 8, seed=0)
    model = FastPPO("MlpPolicy", envs, n_steps=64, batch_size=64, learning_rate=1e-3, seed=0, device="cpu")
    model.learn(10_000)

    env, lengths = gymnasium.make("CartPole-v1"), []
    for seed in range(3):
        obs, length, done = env.reset(seed=seed)[0], 0, False
        while not done:
            obs, _, terminated, truncated, _ = env.step(model.predict(obs, deterministic=True)[0])
            length, done = length + 1, terminated or truncated
        lengths.append(length)
    assert np.mean(lengths) > 150  # a random policy lasts 22 steps


def test_saved_model_goes_on_where_it_stopped(tmp_path: Path) -> None:
    model = model_with_rollout(FastPPO, "Pendulum-v1")
    model.train()
    model.save(tmp_path / "model")
    loaded = FastPPO.load(tmp_path / "model", env=model.env, device="cpu")
    loaded._setup_learn(1)
    loaded.rollout_buffer = model.rollout_buffer
    obs = np.array([[0.5, 0.2, -1.0]], np.float32)
    np.testing.assert_array_equal(model.predict(obs, deterministic=True)[0], loaded.predict(obs, deterministic=True)[0])
    for either in (model, loaded):
        np.random.seed(7)
        either.train()

    for name, expected in model.policy.state_dict().items():
        assert torch.equal(loaded.policy.state_dict()[name], expected)
