"""Policy class of stable-baselines3 that normalises observations inside.

An exported model carries this class in its file, so that it loads where rewardsmith is not installed: nothing here
may come from rewardsmith.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from stable_baselines3.common.policies import ActorCriticPolicy


class NormalizingPolicy(ActorCriticPolicy):
    """An MlpPolicy that normalises observations by fixed statistics, in float64, before its network."""

    def __init__(
        self, *args: Any, obs_mean: Sequence[float], obs_scale: Sequence[float], clip_obs: float, **kwargs: Any
    ) -> None:
        """Build the network of an MlpPolicy.

        Args:
            args: as for an MlpPolicy.
            obs_mean: (obs_dim,).
            obs_scale: (obs_dim,), the divisor.
            clip_obs: bound of normalised observations.
            kwargs: as for an MlpPolicy.
        """
        super().__init__(*args, **kwargs)
        self.register_buffer("obs_mean", torch.tensor(list(obs_mean), dtype=torch.float64))
        self.register_buffer("obs_scale", torch.tensor(list(obs_scale), dtype=torch.float64))
        self.clip_obs = float(clip_obs)

    def normalize_obs(self, obs: Any) -> Any:
        """Return observations (n, obs_dim) as the network takes them."""
        scaled = (obs.double() - self.obs_mean) / self.obs_scale
        return torch.clamp(scaled, -self.clip_obs, self.clip_obs).float()

    def forward(self, obs: Any, deterministic: bool = False) -> Any:
        """See `ActorCriticPolicy.forward`."""
        return super().forward(self.normalize_obs(obs), deterministic)

    def evaluate_actions(self, obs: Any, actions: Any) -> Any:
        """See `ActorCriticPolicy.evaluate_actions`."""
        return super().evaluate_actions(self.normalize_obs(obs), actions)

    def get_distribution(self, obs: Any) -> Any:
        """See `ActorCriticPolicy.get_distribution`."""
        return super().get_distribution(self.normalize_obs(obs))

    def predict_values(self, obs: Any) -> Any:
        """See `ActorCriticPolicy.predict_values`."""
        return super().predict_values(self.normalize_obs(obs))
