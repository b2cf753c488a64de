"""Trainings with PPO, of vectors, images or both."""

from __future__ import annotations

import torch
from stable_baselines3 import PPO

from rewardsmith.contract.records import TrainSettings
from rewardsmith.worker.training import ppo
from rewardsmith.worker.training.actor import make_actor
from rewardsmith.worker.training.images import ImageScaling
from rewardsmith.worker.training.policy import Policy
from rewardsmith.worker.training.reward_scoring import Array
from rewardsmith.worker.training.rollout_learner import BuiltModel, RolloutLearner
from rewardsmith.worker.training.running_stats import ObsScaling, PictureScaling, RewardScaling


class PPOLearner(RolloutLearner):
    """A training with PPO: of rewardsmith's faster update, or of stable-baselines3's."""

    model: PPO

    def _build_model(self, settings: TrainSettings, seed: int) -> BuiltModel:
        env = self.env
        self._reward_scaling = RewardScaling(env.n, settings.gamma, settings.normalize_reward)
        model = ppo.build_model(settings, env.obs_dim, env.actions, seed, env.image, env.image_parts)

        scaling: ObsScaling | ImageScaling
        if env.image:
            scaling = ImageScaling(env.image)
        elif env.image_parts:
            scaling = PictureScaling(env.n, env.obs_dim, env.image_parts, settings.normalize_obs)
        else:
            scaling = ObsScaling(env.n, env.obs_dim, settings.normalize_obs)
        return BuiltModel(model, scaling, make_actor(model.policy, env.n, env.actions.n), settings.n_steps)

    def _update_model(self, total: Array) -> None:
        rewards = self._reward_scaling.scale(total, self.rollout.ended)
        ppo.fill_buffer(self.model, self.rollout, rewards, self.scaling)

        # Schedules of SB3 (learning rate, clip range) read the progress
        self.model._update_current_progress_remaining(self.num_timesteps, self._job.env_steps)
        self.model.train()

        logged = self.model.logger.name_to_value
        self._episodes.add_update(logged["train/approx_kl"], logged["train/clip_fraction"])

    def extract_policy(self) -> Policy:
        """Return the policy in its present state."""
        settings, env = self._job.settings, self.env
        return ppo.extract_policy(
            self.model, settings, env.actions, self.scaling, env.image, self.observed_signals, env.image_parts
        )

    def _name_parameters(self) -> dict[str, torch.Tensor]:
        return ppo.name_parameters(self.model)
