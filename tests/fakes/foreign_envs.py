"""Environments as packages of others have them: unusual spaces, reports and rewards, and old interfaces."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from typing import Any, ClassVar

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


class Side(Enum):
    SHORT = 0
    LONG = 1


class NestedInfo(Point):
    """highway-env's case: what is paid stands in a dict; and other nested reports."""

    def report(self) -> dict[Any, Any]:
        return {
            "ship": {"fuel": 1.0 - 0.01 * self.t, "place": tuple(self.place), "crew": {"size": 3}, "name": "Ada"},
            "rewards": {"collision": 0.0, "speed": float(self.velocity[0])},
            "pair": ("left", 2.0),
            "side": Side(self.t % 2),
            "names": {"a": "b"},
            "crowd": {str(member): 1.0 for member in range(100)},
            "ship.fuel.max": 1.0,
        }


class EnumActions(Point):
    """MiniGrid's case."""

    action_space = spaces.Discrete(3)

    class actions(Enum):
        left = 0
        right = 1
        wait = 2


class MeaningActions(Point):
    """Atari's case."""

    action_space = spaces.Discrete(2)

    def get_action_meanings(self) -> list[str]:
        return ["NOOP", "FIRE"]


class FailingMeanings(MeaningActions):
    def get_action_meanings(self) -> list[str]:
        raise RuntimeError("not now")


class ActionType:
    """The object of highway-env that knows the actions."""

    def __init__(self) -> None:
        self.actions = {0: "LEFT", 1: "IDLE", 2: "RIGHT"}


class ObservationType:
    """Rows of things around the point, the point itself first."""

    features = ("presence", "x", "y")


class Rows(Point):
    """highway-env's case: rows of named numbers, and choices that an object of its own names."""

    action_space = spaces.Discrete(3)
    observation_space = spaces.Box(-np.inf, np.inf, (4, 3), np.float64)

    def __init__(self) -> None:
        self.action_type, self.observation_type = ActionType(), ObservationType()

    def observe(self) -> Any:
        return np.arange(12.0).reshape(4, 3) + self.t


class OtherCount(Rows):
    """As many names as there were before something else changed the space."""

    action_space = spaces.Discrete(4)
    observation_space = spaces.Box(-np.inf, np.inf, (4, 2), np.float64)

    def observe(self) -> Any:
        return np.zeros((4, 2))


class Bounded(Point):
    observation_space = spaces.Box(np.array([-9.0, 0, -1, -1]), np.array([9.0, np.inf, 1, 1]), dtype=np.float64)


class Pixels(Point):
    """PushT's case: an action is a place in pixels."""

    action_space = spaces.Box(0.0, 512.0, (2,), np.float32)


class Grey(Point):
    observation_space = spaces.Box(0, 255, (40, 40), np.uint8)

    def observe(self) -> Any:
        return np.full((40, 40), self.t, np.uint8)


class ImageBeside(Point):
    """An image beside numbers."""

    observation_space = spaces.Dict(
        {"pixels": spaces.Box(0, 255, (40, 40, 3), np.uint8), "place": spaces.Box(-9, 9, (2,), np.float64)}
    )

    def observe(self) -> Any:
        return {"pixels": np.full((40, 40, 3), self.t, np.uint8), "place": self.place}


class Several:
    """Several agents at once, as PettingZoo's: no Gymnasium environment."""

    possible_agents = ("a", "b")
    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["human"]}


class Scaled(gymnasium.ObservationWrapper[Any, Any, Any]):
    """A wrapper as a card names it; it keeps the space, and reports what it did."""

    def __init__(self, env: Any, scale: float = 2.0) -> None:
        super().__init__(env)
        self.scale = scale

    def observation(self, observation: Any) -> Any:
        return self.scale * observation


def make_number(env: Any) -> Any:
    """A wrapper that is none."""
    return 3


def fail_to_wrap(env: Any) -> Any:
    raise ValueError("no such layout")


def register_late() -> None:
    """Register an id only when it is called."""
    gymnasium.register("late/Point-v0", Point, max_episode_steps=LIMIT)


CLASSES = {
    kind.__name__: kind for kind in list(globals().values()) if isinstance(kind, type) and issubclass(kind, Point)
}


@contextmanager
def registered() -> Iterator[None]:
    """Register every environment of this module as `foreign/NAME-v0` for a while."""
    ids = [f"{NAMESPACE}/{name}-v0" for name in CLASSES]
    gymnasium.register(f"{NAMESPACE}/Several-v0", Several)
    for env_id, (name, kind) in zip(ids, CLASSES.items(), strict=True):
        gymnasium.register(env_id, kind, max_episode_steps=None if name == "Endless" else LIMIT)
    try:
        yield
    finally:
        for env_id in (*ids, f"{NAMESPACE}/Several-v0"):
            gymnasium.registry.pop(env_id)
