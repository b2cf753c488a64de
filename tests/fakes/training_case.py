"""Shared parts of the tests of trainings: small jobs, programs, and environments that misbehave."""

from __future__ import annotations

import os
import time
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from rewardsmith.contract.records import EnvSpec, TrainJob, TrainSettings

SMALL = TrainSettings(n_envs=4, n_steps=64, batch_size=64, n_epochs=2, net_arch=(16, 16), checkpoints=2)
PENDULUM = EnvSpec("InvertedPendulum-v5")
"""Observations: the cart's position, the pole's angle, and their velocities."""
UPRIGHT = """
WEIGHTS = {"upright": 1.0, "effort": 0.05}

def reward(action, after):
    return {"upright": np.exp(-20.0 * after.obs[:, 1] ** 2), "effort": -action[:, 0] ** 2}
"""
FALLEN = 'def reward(after):\n    return {"fallen": np.abs(after.obs[:, 1])}\n'


def job(program: str | None = UPRIGHT, **changes: Any) -> TrainJob:
    """Return a small training job."""
    fields: dict[str, Any] = {"env": PENDULUM, "fitness": "length", "seed": 0, "env_steps": 512, "settings": SMALL}
    return TrainJob(program=program, **(fields | changes))


class Faulty(gymnasium.Env[np.ndarray, np.ndarray]):
    """Walks on a line; after some steps it does what `fault` says: crash, nan, exit, leave, hang, dawdle or none."""

    observation_space = spaces.Box(-np.inf, np.inf, (2,), np.float64)
    action_space = spaces.Box(-1.0, 1.0, (1,), np.float32)

    def __init__(self, fault: str = "none", after: int = 20) -> None:
        self.fault, self.after, self.steps, self.position = fault, after, 0, 0.0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        self.position = float(self.np_random.uniform(-1, 1))
        return np.array([self.position, 0.0]), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        self.steps += 1
        self.position += float(action[0])
        if self.steps > self.after:
            self.go_wrong()
        obs = np.array([np.nan if self.fault == "nan" and self.steps > self.after else self.position, float(action[0])])
        return obs, -abs(self.position), False, False, {}

    def go_wrong(self) -> None:
        if self.fault == "crash":
            raise ZeroDivisionError("the simulator gave up")
        if self.fault == "exit":
            os.abort()
        if self.fault == "leave":
            os._exit(0)
        time.sleep({"hang": 3600.0, "dawdle": 0.05}.get(self.fault, 0.0))


gymnasium.register("Faulty-v0", entry_point=Faulty, max_episode_steps=10)


def faulty(fault: str) -> EnvSpec:
    """Return an environment that goes wrong after a while."""
    return EnvSpec("fakes.training_case:Faulty-v0", {"fault": fault})
