"""Network over observations in which images lie among numbers: convolutions for each image, the numbers as they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor, NatureCNN
from torch import nn

from rewardsmith.worker.training.images import ImagePart, find_plain_columns

FEATURES = 256
"""Features of each image, as stable-baselines3's MultiInputPolicy has them."""


class PictureFeatures(BaseFeaturesExtractor):
    """Extractor of features from a flattened dict, as stable-baselines3's MultiInputPolicy has one for a dict."""

    def __init__(self, observation_space: Any, parts: Sequence[ImagePart]) -> None:
        """Build a network for each image.

        Args:
            observation_space: a box (size,).
            parts: the images in it.
        """
        plain = find_plain_columns(observation_space.shape[0], parts)
        super().__init__(observation_space, len(plain) + FEATURES * len(parts))
        self._parts = tuple(parts)
        self.register_buffer("plain", torch.from_numpy(plain.astype(np.int64)))
        self.networks = nn.ModuleList(
            NatureCNN(spaces.Box(0, 255, part.image.shape, np.uint8), FEATURES) for part in parts
        )

    def forward(self, observations: Any) -> Any:
        """Return the numbers and the features (n, features_dim) of normalised observations (n, size)."""
        features = [observations[:, self.plain]]
        for part, network in zip(self._parts, self.networks, strict=True):
            images = observations[:, part.columns].reshape(-1, *part.image.env_shape)
            features.append(network(images if part.image.channels_first else images.permute(0, 3, 1, 2)))
        return torch.cat(features, dim=1)
