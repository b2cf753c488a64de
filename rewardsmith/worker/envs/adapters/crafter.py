"""Crafter (Hafner 2021, arXiv:2109.06780) as a Gymnasium environment: seeded, with what the player sees in `info`.

The game is the package's own, rules and pictures unchanged; three things are fixed. Its world draws creatures out of
sets of objects, whose order is that of memory addresses: here they keep the order of their making, so that a seed
gives the same episode in every process. `reset` takes a seed. And the picture is drawn in half the time.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import crafter
import gymnasium
import numpy as np
from crafter import constants, engine
from gymnasium import spaces
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Info = dict[str, Any]

VIEW = (9, 7)
"""Cells that a player sees: columns and rows, itself in the middle."""
UNSEEN = 16.0
"""Distance of what is not in view; the farthest cell in view is 7 steps away."""
MAX_SEED = 2**32
KINDS = ("unknown", *constants.materials, "player", "cow", "zombie", "skeleton", "arrow", "plant")
"""Contents of a cell, in the order of their numbers."""
SOUGHT = (
    *("water", "grass", "stone", "path", "sand", "tree", "lava", "coal", "iron", "diamond", "table", "furnace"),
    *("cow", "zombie", "skeleton", "arrow", "plant"),
)
"""Things whose distances are reported."""
VITALS = ("health", "food", "drink", "energy")
EQUIPMENT = {"wood_pickaxe": 1, "stone_pickaxe": 1, "iron_pickaxe": 1, "iron_sword": 1, "stone": 9}
"""Inventory of an equipped player at the start."""

_ROWS, _COLUMNS = np.indices(VIEW[::-1])
_OFFSETS = np.stack([_COLUMNS.ravel() - VIEW[0] // 2, _ROWS.ravel() - VIEW[1] // 2], axis=1).astype(np.float64)
"""(63, 2): columns to the right and rows down from the player to each cell in view, row by row."""
_STEPS = np.abs(_OFFSETS).sum(axis=1)
_NEAREST_FIRST = np.argsort(_STEPS, kind="stable")
_NOWHERE = np.zeros(2)
_SOUGHT = tuple((float(KINDS.index(kind)), kind) for kind in SOUGHT)


class _Ordered(dict[Any, None]):
    """A set that keeps the order in which things were added."""

    def add(self, item: Any) -> None:
        self[item] = None

    def remove(self, item: Any) -> None:
        del self[item]


class _World(engine.World):
    """The game's world, its creatures in order."""

    def reset(self, seed: int | None = None) -> None:
        super().reset(seed)
        self._chunks: dict[Any, _Ordered] = defaultdict(_Ordered)


class _LocalView(engine.LocalView):
    """The game's picture of the cells around the player, its ground drawn at once: half the time of a step less."""

    _atlas: Pixels | None = None
    """(kinds of ground, 9, 7, 3): the picture of each, at the size that was drawn last."""

    def __call__(self, player: Any, unit: NDArray[Any]) -> NDArray[Any]:
        self._unit, self._center = np.array(unit), np.array(player.pos)
        ground, creatures, inside = _read_surroundings(self._world, player.pos)
        canvas = np.full((*VIEW, *unit, 3), 127, np.uint8)
        canvas[inside] = self._build_atlas(unit)[ground]
        canvas = canvas.transpose(0, 2, 1, 3, 4).reshape(*(VIEW * unit), 3)
        for place, creature in creatures:
            engine._draw_alpha(canvas, place * unit, self._textures.get(creature.texture, unit))
        lit: NDArray[Any] = self._light(canvas, self._world.daylight)
        return self._sleep(lit) if player.sleeping else lit

    def _build_atlas(self, unit: NDArray[Any]) -> Pixels:
        if self._atlas is None or self._atlas.shape[1:3] != tuple(unit):
            names = self._world._mat_names
            self._atlas = np.stack([self._textures.get(names[i], unit)[..., :3] for i in range(len(names))])
        return self._atlas


def _find_window(position: NDArray[Any]) -> tuple[slice, slice]:
    """Return the columns and rows of the world that are in view."""
    left, top = int(position[0]) - VIEW[0] // 2, int(position[1]) - VIEW[1] // 2
    return slice(max(left, 0), left + VIEW[0]), slice(max(top, 0), top + VIEW[1])


def _read_surroundings(
    world: Any, position: NDArray[Any]
) -> tuple[Pixels, list[tuple[NDArray[Any], Any]], tuple[slice, slice]]:
    """Return the ground in view that lies inside the world, the creatures on it, and its place in the view (9, 7)."""
    window = _find_window(position)
    ground, present = world._mat_map[window], world._obj_map[window]
    first = np.array([cells.start for cells in window]) - position + np.array(VIEW) // 2
    creatures = [(place + first, world._objects[present[tuple(place)]]) for place in np.argwhere(present)]
    inside = tuple(slice(at, at + length) for at, length in zip(first, ground.shape, strict=True))
    return ground, creatures, (inside[0], inside[1])


class CrafterEnv(gymnasium.Env[Pixels, Any]):
    """One player in a world of 64 by 64 cells; an episode ends with its death.

    Observations are (size, size, 3) bytes, the picture that the game shows. `info` holds numbers that this picture
    shows, or that the player counts; see `_Game.collect_info`. The reward is the game's own: 1 for each achievement
    that is new in the episode, and a tenth of the change in health.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012 - Gymnasium's own spelling

    def __init__(
        self,
        size: int = 64,
        equipped: bool = False,
        start_near: str = "",
        start_distance: int = 8,
        render_mode: str | None = None,
    ) -> None:
        """Build the world of the first episode when it is reset.

        Args:
            size: height and width of the observation, in pixels.
            equipped: the player starts with `EQUIPMENT`.
            start_near: a material, such as "diamond", near which the player starts; "" is the middle of the world.
            start_distance: at least how many steps away from it, as close to that as there is free ground.
            render_mode: None or "rgb_array".

        Raises:
            ValueError: if there is no such material.
        """
        if start_near and start_near not in constants.materials:
            raise ValueError(f"start_near must be one of {', '.join(constants.materials)}, not {start_near!r}")
        self.render_mode = render_mode
        self.observation_space = spaces.Box(0, 255, (size, size, 3), np.uint8)
        self.action_space = spaces.Discrete(len(constants.actions))
        self._game = _Game(size)
        self._equipped, self._near, self._distance = equipped, start_near, start_distance

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Pixels, Info]:
        """Start an episode; without a seed, the next one of the last seed."""
        if seed is not None or self._np_random is None:
            super().reset(seed=seed)
            self._game.seed(int(self.np_random.integers(MAX_SEED)) if seed is None else seed)
        obs = self._game.reset()
        if self._equipped:
            self._game.equip()
        if self._near:
            self._game.move_near(self._near, self._distance)
        obs = self._game.render() if self._equipped or self._near else obs
        return obs, self._game.collect_info()

    def step(self, action: int) -> tuple[Pixels, float, bool, bool, Info]:
        """Act once."""
        obs, reward, over, _ = self._game.step(int(action))
        return obs, float(reward), bool(over), False, self._game.collect_info()

    def render(self) -> Pixels:  # type: ignore[override]
        """Return the picture of the game (512, 512, 3)."""
        picture: Pixels = self._game.render((512, 512))
        return picture


class _Game(crafter.Env):
    """The game itself, seeded, endless but for the player's death, and able to tell what the player knows."""

    def __init__(self, size: int) -> None:
        super().__init__(size=(size, size), length=None, seed=0)
        self._world.__class__ = _World
        self._local_view.__class__ = _LocalView
        self._seen = np.zeros(self._world.area, np.bool_)

    def seed(self, seed: int) -> None:
        """Let the next episode be the first one of a seed."""
        self._seed, self._episode = seed, 0

    def reset(self) -> Pixels:
        """Start the next episode."""
        self._seen[:] = False
        obs: Pixels = super().reset()
        return obs

    def equip(self) -> None:
        """Give the player `EQUIPMENT`."""
        self._player.inventory.update(EQUIPMENT)

    def move_near(self, material: str, distance: int) -> None:
        """Put the player on free ground near a material; it stays where it is in a world that has none."""
        world = self._world
        places = np.argwhere(world.mask(0, world.area[0], 0, world.area[1], material))
        if not len(places):
            return
        ground = np.isin(world._mat_map, [world._mat_ids[name] for name in constants.walkable])
        free = np.argwhere(ground & (world._obj_map == 0))
        away = np.abs(free[:, None] - places[None]).sum(axis=2).min(axis=1)
        beyond = np.where(away < distance, np.iinfo(away.dtype).max, away)
        nearest = np.flatnonzero(beyond == beyond.min())
        world.move(self._player, free[nearest[world.random.randint(len(nearest))]])

    def collect_info(self) -> Info:
        """Return what the player knows, as numbers and small arrays; see the cards of `envs/crafter` for meanings."""
        player, view = self._player, self._read_view()
        (x, y), (right, down) = player.pos, player.facing
        self._seen[_find_window(player.pos)] = True
        info: Info = {
            "view": view,
            "position": np.array((x, y), np.float64),
            "facing": np.array((right, down), np.float64),
            "facing_kind": float(view[VIEW[1] // 2 + down, VIEW[0] // 2 + right]),
            "sleeping": float(player.sleeping),
            "daylight": float(self._world.daylight),
            "explored": float(self._seen.mean()),
            "in_lava": float(self._world[player.pos][0] == "lava"),
        }
        info |= {name: float(player.inventory[name]) for name in VITALS}
        info |= {f"has_{name}": float(count) for name, count in player.inventory.items() if name not in VITALS}
        info |= {f"did_{name}": float(count) for name, count in player.achievements.items()}
        return info | _measure_nearest(view)

    def _read_view(self) -> NDArray[np.float64]:
        """Return the kinds of the cells in view (7, 9), rows downward; those beyond the world's edge are 0."""
        ground, creatures, inside = _read_surroundings(self._world, self._player.pos)
        view = np.zeros(VIEW)
        view[inside] = ground
        for place, creature in creatures:
            view[tuple(place)] = self._sem_view._obj_ids[type(creature)]
        return view.T


def _measure_nearest(view: NDArray[np.float64]) -> Info:
    """Return distance and offset of the nearest cell of each kind in view."""
    kinds = view.ravel()[_NEAREST_FIRST].tolist()
    first = dict(zip(reversed(kinds), reversed(_NEAREST_FIRST.tolist()), strict=True))
    nearest: Info = {}
    for number, kind in _SOUGHT:
        place = first.get(number)
        nearest[f"{kind}_distance"] = UNSEEN if place is None else float(_STEPS[place])
        nearest[f"{kind}_offset"] = (_NOWHERE if place is None else _OFFSETS[place]).copy()
    return nearest


gymnasium.register("rewardsmith/Crafter-v1", entry_point=f"{__name__}:CrafterEnv", max_episode_steps=10_000)
