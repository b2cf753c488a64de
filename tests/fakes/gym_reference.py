"""The reference that batched environments are compared with: single Gymnasium environments, reset by hand."""

from __future__ import annotations

from dataclasses import dataclass

import gymnasium
import numpy as np


@dataclass
class Row:
    """What one environment did in one step."""

    obs: np.ndarray
    final_obs: np.ndarray
    terminated: bool
    truncated: bool
    environment_reward: float


class Reference:
    """n environments of `gymnasium.make`, stepped one by one."""

    def __init__(self, env_id: str, n: int, **kwargs) -> None:
        self.envs = [gymnasium.make(env_id, disable_env_checker=True, **kwargs) for _ in range(n)]

    def reset(self, seeds) -> np.ndarray:
        return np.stack([env.reset(seed=seed)[0] for env, seed in zip(self.envs, seeds, strict=True)])

    def step(self, actions) -> list[Row]:
        return [self._step(env, action) for env, action in zip(self.envs, actions, strict=True)]

    def _step(self, env, action) -> Row:
        final, reward, terminated, truncated, _ = env.step(action)
        obs = env.reset()[0] if terminated or truncated else final
        return Row(obs, final, terminated, truncated, reward)


def _drawn(space, rng, n: int) -> np.ndarray:
    """Return random actions for n environments, as they take them."""
    if isinstance(space, gymnasium.spaces.Discrete):
        return rng.integers(space.n, size=n)
    return rng.uniform(space.low, space.high, (n, len(space.low))).astype(np.float32)


def assert_equal_steps(env, reference: Reference, seeds, steps: int) -> int:
    """Step both with the same actions and compare every field to the last bit; return how many episodes ended."""
    rng = np.random.default_rng(7)
    space = reference.envs[0].action_space
    np.testing.assert_array_equal(env.reset(seeds), reference.reset(seeds))
    ended = 0
    for _ in range(steps):
        actions = _drawn(space, rng, len(seeds))
        step, rows = env.step(actions.astype(np.float64).reshape(len(seeds), -1)), reference.step(actions)
        for name in ("obs", "final_obs", "terminated", "environment_reward"):
            np.testing.assert_array_equal(getattr(step, name), [getattr(row, name) for row in rows], err_msg=name)
        np.testing.assert_array_equal(step.truncated, [row.truncated and not row.terminated for row in rows])
        np.testing.assert_array_equal(step.ended, [i for i, row in enumerate(rows) if row.terminated or row.truncated])
        ended += len(step.ended)
    return ended
