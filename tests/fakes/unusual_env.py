"""An environment with unusual spaces."""

import gymnasium
import numpy as np


class Unusual(gymnasium.Env):
    """A dict observation, discrete actions from 5, and an `info` that appears after the first step."""

    observation_space = gymnasium.spaces.Dict(
        {"goal": gymnasium.spaces.Box(-1, 1, (2,)), "mode": gymnasium.spaces.Discrete(3)}
    )
    action_space = gymnasium.spaces.Discrete(2, start=5)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return self._obs(), {}

    def step(self, action):
        self.steps += 1
        info = {
            "distance": 0.5 * self.steps,
            "last_action": action,
            "reward_part": 1.0,
            "is_success": True,
            "note": "x",
        }
        return self._obs(), 0.0, False, False, info

    def _obs(self):
        return {"goal": np.array([0.25, 0.5], dtype=np.float32), "mode": self.steps % 3}
