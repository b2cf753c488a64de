"""Learned weights of terms: the gradient is right, a misleading term loses its weight, and what it does not go with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

from rewardsmith.contract.errors import ConfigError, RewardFailed
from rewardsmith.contract.records import EnvSpec, TrainJob, TrainSettings
from rewardsmith.contract.records.environment import EnvWrapper
from rewardsmith.contract.reward_program import parse_program
from rewardsmith.spec.config import resolve_config
from rewardsmith.spec.task_cards import load_task
from rewardsmith.worker.training import train
from rewardsmith.worker.training.learned_blend import (
    BOUND,
    LearnedBlend,
    compute_policy_gradients,
    estimate_advantages,
    fit_values,
)

CARTPOLE = load_task(None, "cartpole")
SOURCE = """
WEIGHTS = {"upright": 1.0, "rush": 3.0}

def reward(after):
    return {"upright": 1.0 - np.abs(after.pole_angle) / 0.21, "rush": after.cart_velocity}
"""


def make_job(env_steps: int = 2_048, program: str | None = SOURCE, **changes: Any) -> TrainJob:
    settings = TrainSettings(n_envs=4, n_steps=64, n_epochs=2, net_arch=(16, 16), checkpoints=4, blend="barfi")
    return TrainJob(CARTPOLE.env, program, CARTPOLE.fitness, 0, env_steps, replace(settings, **changes))


class SoftmaxPolicy(torch.nn.Module):
    """A softmax over two actions, linear in the observation, as `compute_policy_gradients` asks for it."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(2, 2)
        self.observation_space = SimpleNamespace(shape=(2,))

    def evaluate_actions(self, obs: torch.Tensor, actions: torch.Tensor) -> tuple[None, torch.Tensor, None]:
        log_prob = torch.log_softmax(self.linear(obs), -1)
        return None, log_prob.gather(1, actions.long()[:, None]).ravel(), None


def make_rollout(steps: int, n: int, rng: np.random.Generator) -> Any:
    return SimpleNamespace(
        obs=rng.normal(size=(steps, n, 2)).astype(np.float32),
        actions=rng.integers(0, 2, (steps, n, 1)).astype(np.float32),
        discrete_actions=2,
        steps=steps,
        n=n,
        environment_reward=rng.normal(size=(steps, n)),
    )


# ---------------------------------------------------------------- the gradient


def test_the_gradient_of_a_weight_is_that_of_the_surrogate_after_a_step_by_finite_differences() -> None:
    """One step along the blend's policy gradient, then the environment's surrogate on the next rollout."""
    torch.manual_seed(0)
    rng, policy = np.random.default_rng(0), SoftmaxPolicy()
    first, second = make_rollout(50, 4, rng), make_rollout(50, 4, rng)
    terms, paid = rng.normal(size=(50, 4, 3)), rng.normal(size=(50, 4, 1))
    inner = compute_policy_gradients(policy, first, terms)
    outer = compute_policy_gradients(policy, second, paid)[0]

    begin = torch.nn.utils.parameters_to_vector(policy.parameters()).detach().clone()

    def follow(weights: np.ndarray) -> float:
        """Return the surrogate of the environment reward after a small step of the policy along the blend."""
        step = torch.from_numpy((1e-2 * weights @ inner).astype(np.float32))
        torch.nn.utils.vector_to_parameters(begin + step, policy.parameters())
        with torch.no_grad():
            obs, actions = torch.from_numpy(second.obs.reshape(-1, 2)), torch.from_numpy(second.actions.ravel())
            log_prob = policy.evaluate_actions(obs, actions)[1].double().numpy()
        return float((log_prob * paid.ravel()).mean())

    weights = np.array([0.0, 0.0, 0.0])
    for term in range(3):
        change = np.zeros(3)
        change[term] = 1.0
        slope = (follow(weights + change) - follow(weights - change)) / 2.0
        assert slope == pytest.approx(1e-2 * inner[term] @ outer, rel=0.02, abs=2e-7)


def test_values_and_advantages_of_a_chain_are_exact() -> None:
    """Two states in turn, one pays 1 and the other 0; the rollout never ends."""
    features = np.eye(2)[np.arange(200) % 2][:, None]
    next_features = np.eye(2)[(np.arange(200) + 1) % 2][:, None]
    rewards = np.stack([features[..., 0], -2.0 * features[..., 0]], axis=-1)
    values, next_values = fit_values(features, next_features, rewards, 0.5)
    # v0 = 1 + 0.5 v1, v1 = 0.5 v0
    np.testing.assert_allclose(values[:2, 0, 0], [4 / 3, 2 / 3], rtol=0.01)
    np.testing.assert_allclose(values[..., 1], -2.0 * values[..., 0])
    advantages = estimate_advantages(rewards, values, next_values, np.zeros((200, 1), np.bool_), 0.5)
    np.testing.assert_allclose(advantages, 0.0, atol=0.02)


def test_only_the_balance_moves_and_it_stays_bounded() -> None:
    blend = LearnedBlend(parse_program(SOURCE), 1_000, 0.99)
    blend._names = ("upright", "rush")
    blend._log_weights, blend._mean, blend._square = np.zeros((3, 3))
    for _ in range(100):
        blend._move_weights(np.array([1.0, 1.0, -1.0]))
    assert blend._log_weights.tolist() == pytest.approx([0.0, 0.0, -BOUND])
    assert blend.weights == pytest.approx({"upright": 1.0, "rush": 3.0 * np.exp(-BOUND)})
    blend._move_weights(np.array([0.0, 5.0, 5.0]))
    assert blend._updates == 100


def test_an_environment_reward_that_is_no_number_is_one_line() -> None:
    blend = LearnedBlend(parse_program(SOURCE), 1_000, 0.99)
    assert blend.weights == {}
    rollout = make_rollout(2, 1, np.random.default_rng(0))
    rollout.environment_reward[0] = np.nan
    with pytest.raises(RewardFailed, match="the environment reward cannot be trained on: it is nan in 1 of"):
        blend.compute_total({"upright": np.ones(2), "rush": np.ones(2)}, rollout)


# ---------------------------------------------------------------- trainings


@pytest.mark.parametrize("trainer", ["fast", "sb3"])
def test_a_training_turns_the_weight_of_a_misleading_term_down(trainer: Any, tmp_path: Path) -> None:
    training = train.run(make_job(6_144, trainer=trainer), tmp_path)
    assert training.status == "ok"
    last = training.curve[-1].weights
    assert set(last) == {"upright", "rush"}
    assert last["rush"] / 3.0 < 0.5 * last["upright"]
    assert training.cause is None


def test_equal_seeds_give_equal_trainings(tmp_path: Path) -> None:
    first, second = (train.run(make_job(), tmp_path) for _ in range(2))
    assert first.curve == second.curve
    assert all(point.weights for point in first.curve)


def test_fixed_weights_leave_no_trace(tmp_path: Path) -> None:
    for job in (make_job(blend="fixed"), make_job(program=None)):
        training = train.run(job, tmp_path)
        assert training.status == "ok"
        assert all(not point.weights for point in training.curve)


@pytest.mark.parametrize("env_id", ["fakes.bright_env:Bright-v0", "fakes.bright_env:BrightBeside-v0"])
def test_policies_that_see_images_have_learned_weights_too(env_id: str, tmp_path: Path) -> None:
    source = 'def reward(action, after):\n    return {"match": (action[:, 0] == after.was_right) * 1.0}\n'
    job = replace(make_job(1_024, program=source), env=EnvSpec(env_id), fitness="mean(matched)")
    training = train.run(job, tmp_path)
    assert training.status == "ok", training.cause
    assert training.curve[-1].weights["match"] > 0.0


def test_a_reward_that_never_differs_teaches_nothing_and_the_training_says_so(tmp_path: Path) -> None:
    pendulum = load_task(None, "pendulum")
    still = replace(pendulum.env, wrappers=(EnvWrapper("tests.worker.training.test_learned_blend:Unpaid"),))
    source = 'def reward(after):\n    return {"up": after.cos_angle}\n'
    training = train.run(replace(make_job(program=source), env=still, fitness=pendulum.fitness), tmp_path)
    assert training.status == "ok"
    assert "learned no weights, and the program's were used" in (training.cause or "")
    assert training.curve[-1].weights == {"up": 1.0}


class Unpaid(gymnasium.RewardWrapper):  # type: ignore[type-arg]
    """An environment without a reward of its own."""

    def reward(self, reward: Any) -> float:
        """Return nothing."""
        return 0.0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"trainer": "sac"}, "needs the policy gradient of PPO"),
        ({"constraints": ("rush <= 1",)}, "both move the weights of terms"),
    ],
)
def test_settings_that_exclude_each_other_are_one_line(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        resolve_config({"training": {"blend": "barfi", **changes}})
