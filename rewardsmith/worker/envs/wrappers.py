"""Wrappers for cards of other people's environments, by the name "rewardsmith.worker.envs.wrappers:Class"."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from rewardsmith.contract.captions import TEXT_NUMBERS
from rewardsmith.contract.errors import TaskError
from rewardsmith.worker.envs.env_faults import SEE_DOCS


class ObserveEntry(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Observes one entry of a dict, such as its image; the others are reported in `info`.

    So a policy reads the image by convolutions, while programs and fitness expressions read the rest.
    """

    def __init__(self, env: Any, key: str) -> None:
        """Wrap an environment.

        Args:
            env: with a dict observation.
            key: the entry that is observed.

        Raises:
            TaskError: if the observation is no dict, or has no such entry.
        """
        super().__init__(env)
        space = env.observation_space
        entries = list(space.spaces) if isinstance(space, spaces.Dict) else []
        if key not in entries:
            raise TaskError(
                f"ObserveEntry: the observation has no entry {key!r}; it has {', '.join(entries) or 'none'} {SEE_DOCS}"
            )
        self._key = key
        self.observation_space = space.spaces[key]

    def reset(self, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
        """Start an episode."""
        obs, info = self.env.reset(**kwargs)
        return obs[self._key], self._report_others(obs, info)

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Take a step."""
        obs, reward, terminated, truncated, info = self.env.step(action)
        return obs[self._key], reward, terminated, truncated, self._report_others(obs, info)

    def _report_others(self, obs: dict[str, Any], info: dict[str, Any]) -> dict[str, Any]:
        return {**{key: value for key, value in obs.items() if key != self._key}, **info}


class WeightedReward(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Pays the weighted sum of a vector reward, and reports its parts as `info["reward_parts"]`, for the fitness."""

    def __init__(self, env: Any, weights: list[float]) -> None:
        """Wrap an environment.

        Args:
            env: that pays a vector (k,).
            weights: (k,), of its parts.
        """
        super().__init__(env)
        self._weights = np.asarray(weights, np.float64)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Take a step.

        Raises:
            TaskError: if there are not as many weights as the reward has parts.
        """
        obs, reward, terminated, truncated, info = self.env.step(action)
        parts = np.atleast_1d(np.asarray(reward, np.float64))
        if parts.shape != self._weights.shape:
            raise TaskError(
                f"WeightedReward: {len(self._weights)} weights are given, the reward has {len(parts)} parts"
            )
        return obs, float(parts @ self._weights), terminated, truncated, {**info, "reward_parts": parts}


class TextAsNumbers(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Reports texts of `info` as numbers, which travel as signals do: codes of characters, and zeros behind them."""

    def __init__(self, env: Any, keys: list[str]) -> None:
        """Wrap an environment.

        Args:
            env: which reports texts.
            keys: of the texts in `info`; one that a step does not report is empty.
        """
        super().__init__(env)
        self._keys = keys

    def reset(self, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
        """Start an episode."""
        obs, info = self.env.reset(**kwargs)
        return obs, self._encode_texts(info)

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Take a step."""
        obs, reward, terminated, truncated, info = self.env.step(action)
        return obs, reward, terminated, truncated, self._encode_texts(info)

    def _encode_texts(self, info: dict[str, Any]) -> dict[str, Any]:
        return {**info, **{key: _encode_text(info.get(key, "")) for key in self._keys}}


def _encode_text(text: Any) -> NDArray[np.float64]:
    codes = np.zeros(TEXT_NUMBERS)
    data = str(text).encode("latin-1", "replace")[:TEXT_NUMBERS]
    codes[: len(data)] = list(data)
    return codes
