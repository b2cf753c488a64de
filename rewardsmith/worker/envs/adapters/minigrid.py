"""Content of a MiniGrid level as numbers in `info`: a wrapper for levels as the package registers them.

The observation stays the package's own: the 7 by 7 cells in front of the agent, and its direction. Programs and fitness
expressions read the whole level here.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from minigrid.core.constants import DIR_TO_VEC, OBJECT_TO_IDX

SOUGHT = ("goal", "key", "door", "ball", "box", "lava")
"""Kinds of things whose distance is reported."""
EMPTY = OBJECT_TO_IDX["empty"]


class LevelState(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Adds to `info` where the agent is, what it faces and carries, and how far each kind of thing is.

    Distances are columns plus rows, without regard to walls; a kind that is not in the level, or that is carried, is as
    far as the level is wide and high.
    """

    def reset(self, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
        """Start an episode."""
        obs, info = self.env.reset(**kwargs)
        return obs, {**info, **self._describe_level()}

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Take a step."""
        obs, reward, terminated, truncated, info = self.env.step(action)
        return obs, reward, terminated, truncated, {**info, **self._describe_level()}

    def _describe_level(self) -> dict[str, Any]:
        level: Any = self.unwrapped
        position = np.asarray(level.agent_pos, float)
        ahead = level.grid.get(*level.front_pos)
        doors = [cell for cell in level.grid.grid if cell is not None and cell.type == "door"]
        return {
            "position": position,
            "facing": np.asarray(DIR_TO_VEC[level.agent_dir], float),
            "ahead": float(EMPTY if ahead is None else OBJECT_TO_IDX[ahead.type]),
            "carried": float(EMPTY if level.carrying is None else OBJECT_TO_IDX[level.carrying.type]),
            "open_doors": float(sum(door.is_open for door in doors)),
            **self._measure_distances(level, position),
        }

    @staticmethod
    def _measure_distances(level: Any, position: Any) -> dict[str, float]:
        """Return the distance of the nearest thing of each kind."""
        distances = {f"{kind}_distance": float(level.width + level.height) for kind in SOUGHT}
        for number, cell in enumerate(level.grid.grid):
            name = f"{cell.type}_distance" if cell is not None else ""
            if name in distances:
                row, column = divmod(number, level.width)
                steps = abs(column - position[0]) + abs(row - position[1])
                distances[name] = min(distances[name], float(steps))
        return distances
