"""Environments as packages of others have them: unusual spaces, reports and rewards, and old interfaces."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

NAMESPACE = "foreign"
LIMIT = 12


class Mission(spaces.Space[Any]):
    """A space of a package's own, as MiniGrid's: Gymnasium cannot tell whether it has numbers."""

    def sample(self, mask: Any = None, probability: Any = None) -> str:
        return "go to the ball"

    def contains(self, x: Any) -> bool:
        return isinstance(x, str)


class Point(gymnasium.Env[Any, Any]):
    """A point in the plane that is to reach the origin.

    ## Rewards
    The distance, negative.

    ## Start
    Anywhere in the square.
    """

    action_space: Any = spaces.Box(-1.0, 1.0, (2,), np.float32)
    observation_space: Any = spaces.Box(-np.inf, np.inf, (4,), np.float64)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.place, self.velocity, self.t = self.np_random.uniform(-1, 1, 2), np.zeros(2), 0
        return self.observe(), self.report()

    def step(self, action: Any) -> Any:
        self.velocity = 0.9 * self.velocity + 0.1 * np.asarray(action, float).ravel()[:2]
        self.place = self.place + 0.1 * self.velocity
        self.t += 1
        return self.observe(), self.pay(), False, False, self.report()

    def observe(self) -> Any:
        return np.concatenate([self.place, self.velocity])

    def report(self) -> dict[Any, Any]:
        return {"spread": float(np.ptp(self.place))}

    def pay(self) -> Any:
        return -float(np.hypot(*self.place))


class ResetEmpty(Point):
    def reset(self, **kwargs: Any) -> Any:
        return super().reset(**kwargs)[0], {}

    def report(self) -> dict[Any, Any]:
        return {"odometer": 10.0 + self.t}


class Docking(Point):
    observation_space = spaces.Dict(
        {
            "ship": spaces.Dict({"position": spaces.Box(-9, 9, (2,), np.float64), "docked": spaces.Discrete(2)}),
            "lidar": spaces.Box(0, 1, (3, 2), np.float32),
            "mode": spaces.Discrete(3),
            "fuel": spaces.Box(0, 1, (), np.float32),
            "mission": Mission(),
            "note": spaces.Text(9),
            "seen": spaces.Sequence(spaces.Discrete(3)),
        }
    )

    def observe(self) -> Any:
        ship = {"position": self.place, "docked": self.t % 2}
        lidar = np.arange(6, dtype=np.float32).reshape(3, 2) / 6
        fuel = np.float32(1 - self.t / 100)
        return {"ship": ship, "lidar": lidar, "mode": self.t % 3, "fuel": fuel, "mission": "x", "note": "?", "seen": ()}


class OnlyMission(Point):
    observation_space = Mission()

    def observe(self) -> Any:
        return "go to the ball"


class LunarLander(Point):
    """Not the lander: eight other numbers."""

    observation_space = spaces.Box(-np.inf, np.inf, (8,), np.float64)

    def observe(self) -> Any:
        return np.arange(8.0)


class NoneInfo(Point):
    def report(self) -> dict[Any, Any]:
        return {"spread": 1.0, "crash": None if self.t > 5 else 1.0}


class InfInfo(Point):
    def report(self) -> dict[Any, Any]:
        return {"spread": 1.0, "ttc": float("inf") if self.t % 2 else 3.0}


class LateNan(Point):
    def report(self) -> dict[Any, Any]:
        return {"spread": 1.0, "ttc": float("nan") if self.t > 9 else 3.0}


class TextInfo(Point):
    def report(self) -> dict[Any, Any]:
        return {"spread": 1.0, "phase": 1.0 if self.t < 5 else "late"}


class VaryingInfo(Point):
    def report(self) -> dict[Any, Any]:
        return {"spread": 1.0, "contacts": np.zeros(1 + self.t % 7)}


class ListInfo(Point):
    def report(self) -> dict[Any, Any]:
        return {"position": [float(x) for x in self.place], "f32": np.float32(1), "tally": np.uint8(3)}


class OddKeys(Point):
    def report(self) -> dict[Any, Any]:
        keys = ('a"b', "it's", "a]b", "a.b", "ключ", "Distance (m)", "²", "1st", "while", "", "ﬁt", """both ' and \"""")
        return {key: float(place) for place, key in enumerate(keys)} | {0: 1.0, ("a", 1): 2.0}


class NoneReward(Point):
    def pay(self) -> Any:
        return None


class NanReward(Point):
    def pay(self) -> Any:
        return float("nan") if self.t % 2 else 1.0


class Float32Reward(Point):
    def pay(self) -> Any:
        return np.array([-np.hypot(*self.place)], np.float32)


class VectorReward(Point):
    def pay(self) -> Any:
        return np.array([1.0, 2.0])


class SmallSeeds(Point):
    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        assert seed is None or seed < 2**31, seed
        return super().reset(seed=seed, options=options)


class Unbounded(Point):
    action_space = spaces.Box(-np.inf, np.inf, (2,), np.float32)


class HalfBounded(Point):
    action_space = spaces.Box(np.array([0, 0], np.float32), np.array([np.inf, 1], np.float32))


class OldReset(Point):
    def reset(self, **kwargs: Any) -> Any:
        return super().reset(**kwargs)[0]


class OldStep(Point):
    def step(self, action: Any) -> Any:
        obs, reward, *_, info = super().step(action)
        return obs, reward, False, info


class FailsInReset(Point):
    def reset(self, **kwargs: Any) -> Any:
        raise RuntimeError("no scene\nsecond line")


class FailsLater(Point):
    def step(self, action: Any) -> Any:
        if self.t > 8:
            raise RuntimeError("simulator crashed")
        return super().step(action)


class Pictures(Point):
    """A picture in `info`, and another one that is too large for a vector next to the numbers."""

    observation_space = spaces.Dict(
        {"pixels": spaces.Box(0, 255, (200, 200, 3), np.uint8), "place": spaces.Box(-9, 9, (2,), np.float64)}
    )


class PictureInfo(Point):
    def report(self) -> dict[Any, Any]:
        return {"screen": np.zeros((64, 64, 3), np.uint8), "nothing": np.zeros(0), "spread": 1.0}


class NeedsDisplay(Point):
    def __init__(self) -> None:
        raise OSError("an OpenGL platform library has not been loaded")


class Assertive(Point):
    def __init__(self, level: int | None = None) -> None:
        assert level is not None, "give a level"


class Configured(Point):
    """Wants nested arguments, and changes them."""

    def __init__(self, config: dict[str, Any]) -> None:
        config["lanes"].append(99)
        self.lanes = config["lanes"]

    def report(self) -> dict[Any, Any]:
        return {"lanes": float(len(self.lanes))}


class WantsVariable(Point):
    def __init__(self) -> None:
        if "FOREIGN_HOME" not in os.environ:
            raise ImportError("Please declare the environment variable 'FOREIGN_HOME'")


class Covered(Point):
    """PushT's case: the reward is another entry of `info`, scaled and limited."""

    def report(self) -> dict[Any, Any]:
        return {
            "coverage": float(np.hypot(*self.place)),
            "distance": float(self.place[0]),
            "spread": float(self.place[1]),
        }

    def pay(self) -> Any:
        return float(np.clip(self.report()["coverage"] / 0.95 - 0.2, 0.0, 0.8))


class Runner(Point):
    """The reward is one velocity, which `info` and the observation tell too."""

    def report(self) -> dict[Any, Any]:
        return {"x_velocity": float(self.velocity[0]), "plain": float(self.velocity[0])}

    def pay(self) -> Any:
        return float(self.velocity[0])


class DictReward(Point):
    observation_space = spaces.Dict(
        {"place": spaces.Box(-9, 9, (2,), np.float64), "progress": spaces.Box(-9, 9, (1,), np.float64)}
    )

    def observe(self) -> Any:
        return {"place": self.place, "progress": np.array([2.0 - np.hypot(*self.place)])}


class AlwaysOne(Point):
    def report(self) -> dict[Any, Any]:
        return {"alive": 1.0, "spread": float(self.place[0])}

    def pay(self) -> Any:
        return 1.0


class Flagged(Point):
    """A sparse reward, and a flag that is its copy under a name that tells nothing."""

    def report(self) -> dict[Any, Any]:
        inside = float(self.place[0] > 0)
        return {"docked": inside, "other": float(self.place[1] > 0)}

    def pay(self) -> Any:
        return self.report()["docked"] - 1.0


class Endless(Point):
    pass


CLASSES = {
    kind.__name__: kind for kind in list(globals().values()) if isinstance(kind, type) and issubclass(kind, Point)
}


@contextmanager
def registered() -> Iterator[None]:
    """Register every environment of this module as `foreign/NAME-v0` for a while."""
    ids = [f"{NAMESPACE}/{name}-v0" for name in CLASSES]
    for env_id, (name, kind) in zip(ids, CLASSES.items(), strict=True):
        gymnasium.register(env_id, kind, max_episode_steps=None if name == "Endless" else LIMIT)
    try:
        yield
    finally:
        for env_id in ids:
            gymnasium.registry.pop(env_id)
