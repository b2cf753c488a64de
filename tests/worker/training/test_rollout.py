"""The rollout buffer that deferred scoring fills against stable-baselines3's own, scored step by step."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import torch
from fakes.training_case import job
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import DummyVecEnv

from rewardsmith.contract.records import EnvSpec, TrainSettings
from rewardsmith.worker.training.ppo import fill_buffer
from rewardsmith.worker.training.ppo_learner import PPOLearner
from rewardsmith.worker.training.running_stats import RewardScaling, RunningMeanStd
from rewardsmith.worker.training.training_loop import NullTrainingCallback

PROGRAM = """
def reward(before, action, after, start):
    made = after.obs[:, 5] - before.obs[:, 5]
    return {"made": made, "far": after.obs[:, 0] - start.obs[:, 0], "effort": -np.sum(action**2, axis=1)}
"""


class PerStep(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Hopper with the same reward, computed for each step by itself."""

    def reset(self, **options: Any) -> Any:
        self._obs, info = super().reset(**options)
        self._start = self._obs
        return self._obs, info

    def step(self, action: Any) -> Any:
        before = self._obs
        self._obs, _, terminated, truncated, info = super().step(action)
        made, far = self._obs[5] - before[5], self._obs[0] - self._start[0]
        return self._obs, float(made + far - np.sum(np.float64(action) ** 2)), terminated, truncated, info


class Nothing(BaseCallback):
    """A callback that does nothing."""

    def _on_step(self) -> bool:
        return True


def test_buffer_equals_that_of_step_by_step_scoring() -> None:
    settings = TrainSettings(n_envs=3, n_steps=60, normalize_obs=False, normalize_reward=False, net_arch=(16, 16))
    env = EnvSpec("Hopper-v5", max_episode_steps=15)  # so that time limits and falls both occur
    learner = PPOLearner(job(PROGRAM, env=env, settings=settings), NullTrainingCallback())
    rollout = learner.rollout
    learner.collect_rollout()
    fill_buffer(learner.model, rollout, learner.reward_source.score(rollout).total.astype(np.float32), learner.scaling)
    ours = learner.model.rollout_buffer
    learner.close()
    ends = {final.truncated for final in rollout.episode_ends}
    assert ends == {True, False}

    vec = DummyVecEnv([lambda: PerStep(gymnasium.make("Hopper-v5", max_episode_steps=15))] * 3)
    theirs = PPO("MlpPolicy", vec, n_steps=60, policy_kwargs={"net_arch": [16, 16]}, device="cpu", batch_size=60)
    theirs.policy.load_state_dict(learner.model.policy.state_dict())
    _, callback = theirs._setup_learn(1, Nothing())
    vec._seeds = learner.collector.seeds
    theirs._last_obs = vec.reset()
    drawn = iter(torch.from_numpy(rollout.actions))

    def repeat(obs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        actions = next(drawn)
        values, log_prob, _ = theirs.policy.evaluate_actions(obs, actions)
        return actions, values, log_prob

    theirs.policy.forward = repeat
    theirs.collect_rollouts(vec, callback, theirs.rollout_buffer, 60)

    np.testing.assert_array_equal(ours.actions, theirs.rollout_buffer.actions)
    # Whether the first step begins an episode is what nothing reads.
    np.testing.assert_array_equal(ours.episode_starts[1:], theirs.rollout_buffer.episode_starts[1:])
    for name in ("observations", "rewards", "values", "log_probs", "advantages", "returns"):
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs.rollout_buffer, name), rtol=1e-5, atol=2e-5)


def test_moments_of_parts_are_those_of_the_whole() -> None:
    values = np.random.default_rng(0).normal(3.0, 2.0, (500, 4))
    moments = RunningMeanStd((4,))
    for part in np.split(values, [1, 10, 300]):
        moments.update(part)

    np.testing.assert_allclose(moments.mean, values.mean(axis=0))
    np.testing.assert_allclose(moments.var, values.var(axis=0))


def test_rewards_are_divided_by_the_deviation_of_the_discounted_return() -> None:
    rng = np.random.default_rng(0)
    rewards, ended = rng.normal(5.0, 1.0, (2, 40, 3)), rng.random((2, 40, 3)) < 0.1
    scaling = RewardScaling(3, 0.9, enabled=True)
    scaled = [scaling.scale(part, cut) for part, cut in zip(rewards, ended, strict=True)]

    carried, returns = np.zeros(3), []
    for reward, cut in zip(rewards.reshape(-1, 3), ended.reshape(-1, 3), strict=True):
        carried = 0.9 * carried + reward
        returns.append(carried)
        carried = np.where(cut, 0.0, carried)
    np.testing.assert_allclose(scaled[0], rewards[0] / np.std(returns[:40]), rtol=1e-5)
    np.testing.assert_allclose(scaled[1], rewards[1] / np.std(returns), rtol=1e-5)


def test_rewards_that_never_differ_stay_finite() -> None:
    scaled = RewardScaling(2, 0.0, enabled=True).scale(np.full((5, 2), 3.0), np.zeros((5, 2), np.bool_))

    np.testing.assert_array_equal(scaled, np.full((5, 2), 3.0))
