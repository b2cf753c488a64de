"""An environment whose observations are images."""

import gymnasium
import numpy as np
from gymnasium import spaces

SIDE = 36


class Bright(gymnasium.Env[np.ndarray, int]):
    """One half of the image is bright; the action should name the half, 0 left and 1 right."""

    action_space = spaces.Discrete(2)

    def __init__(self, channels_first: bool = False) -> None:
        shape = (3, SIDE, SIDE) if channels_first else (SIDE, SIDE, 3)
        self.channels_first = channels_first
        self.observation_space = spaces.Box(0, 255, shape, np.uint8)
        self.right = 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.look(), {"was_right": 0.0, "matched": 0.0}

    def step(self, action):
        right = self.right
        return self.look(), 0.0, False, False, {"was_right": float(right), "matched": float(action == right)}

    def look(self):
        self.right = int(self.np_random.integers(2))
        image = self.np_random.integers(0, 60, (SIDE, SIDE, 3), dtype=np.uint8)
        image[:, self.right * SIDE // 2 :][:, : SIDE // 2] += np.uint8(150)
        return image.transpose(2, 0, 1) if self.channels_first else image


gymnasium.register("Bright-v0", entry_point=Bright, max_episode_steps=16)


class BrightBeside(Bright):
    """The bright half of an image, and a number that counts 2: the action should name their sum."""

    action_space = spaces.Discrete(4)

    def __init__(self) -> None:
        super().__init__()
        view = spaces.Box(0, 255, (SIDE, SIDE, 3), np.uint8)
        self.observation_space = spaces.Dict({"flag": spaces.Box(-5.0, 5.0, (1,), np.float64), "view": view})
        self.flag = 0

    def step(self, action):
        told = {"was_right": float(self.right), "was_flag": float(self.flag)}
        matched = float(action == self.right + 2 * self.flag)
        return self.look(), 0.0, False, False, {**told, "matched": matched}

    def look(self):
        self.flag = int(self.np_random.integers(2))
        return {"flag": np.array([10.0 * self.flag - 5.0]), "view": super().look()}


gymnasium.register("BrightBeside-v0", entry_point=BrightBeside, max_episode_steps=16)
