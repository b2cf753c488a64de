"""MiniHack's levels (Samvelyan et al. 2021, arXiv:2109.13202) as Gymnasium environments of vectors, seeded.

Importing this module registers each level of the package once more, "rewardsmith/MiniHack-River-v0" for
"MiniHack-River-v0". The game is NetHack itself, unchanged. Three things differ: `reset(seed)` seeds the game, which the
package leaves to a method of its own; the time limit truncates, where the package says terminated; and the observation
is one vector of what stands around the player, not a dict of code points.
"""

from __future__ import annotations

import warnings
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

with warnings.catch_warnings():
    # Both packages import pkg_resources, which warns of its end.
    warnings.simplefilter("ignore")
    import minihack  # noqa: F401 - registers its levels
    from nle import nethack

Floats = NDArray[np.float32]
Info = dict[str, Any]

KEYS = ("glyphs", "chars", "colors", "blstats", "message", "inv_letters", "inv_strs", "screen_descriptions")
"""Parts of the game's observation that are read."""
VIEW = 9
"""Cells that the observation covers, across and down, the player in the middle."""
UNSEEN = 80.0
"""Distance of what is not on the map that the player knows, which is 79 cells wide."""
KINDS = (
    *("unknown", "floor", "wall", "closed_door", "open_door", "stairs_down", "stairs_up", "water", "lava", "boulder"),
    *("item", "monster"),
)
"""Contents of a cell of the map, in the order of their numbers; the player's own cell counts as a monster's."""
SOUGHT = ("closed_door", "open_door", "stairs_down", "water", "lava", "boulder", "item", "monster")
"""Things whose distances are reported."""
EXTRAS = 6 + 3
"""Numbers of the observation beside the cells."""
ON_STAIRS = 4
"""Place of the flag for stairs down below the player among the numbers that the game tells of itself."""
SEED_RANGE = 2**31 - 1
_SHOWN = {
    **dict.fromkeys(".#", "floor"),
    **dict.fromkeys("|-", "wall"),
    **{"+": "closed_door", ">": "stairs_down", "<": "stairs_up", "}": "water", "`": "boulder", "0": "boulder"},
    **dict.fromkeys(')[="(%!?/*$_', "item"),
    **dict.fromkeys("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ@&;:~'", "monster"),
}
_RED, _BROWN = 1, 3
"""Colours that tell lava from water, and an open door from a wall."""
_KIND_OF = np.array([KINDS.index(_SHOWN.get(chr(code), "unknown")) for code in range(256)], np.uint8)


class MiniHackEnv(gymnasium.Env[Floats, Any]):
    """A level of MiniHack.

    Observations are float32: for each of the 9 by 9 cells around the player, row by row, a 1 at the kind that it shows
    (`KINDS`) and 0 at the others; then column / 79, row / 21, hit points / maximum, 1 while levitating, carried
    items / 10, 1 with a key, and a 1 for each of three questions that the game may ask. `info` holds numbers that the
    game's screen shows; see `_collect_numbers`. The reward is the level's own.
    """

    metadata = {"render_modes": ["ansi"], "render_fps": 10}  # noqa: RUF012 - Gymnasium's own spelling

    def __init__(self, level: str, render_mode: str | None = None) -> None:
        """Open the level.

        Args:
            level: its id, such as "MiniHack-River-v0".
            render_mode: None or "ansi".
        """
        self.render_mode = render_mode
        made: Any = gymnasium.make(level, disable_env_checker=True, observation_keys=KEYS, fix_moon_phase=True)
        self._game = made.unwrapped
        self._quit, self._game._quit_game = self._game._quit_game, self._look_and_quit
        self._info: Info = {}
        self._last: Info | None = None
        self.observation_space = spaces.Box(-np.inf, np.inf, (VIEW * VIEW * len(KINDS) + EXTRAS,), np.float32)
        self.action_space = spaces.Discrete(int(made.action_space.n))

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Floats, Info]:
        """Start an episode; without a seed, the next one of the last seed."""
        super().reset(seed=seed)
        core, display = self.np_random.integers(SEED_RANGE, size=2).tolist()
        self._game.seed(core=core, disp=display, reseed=False)
        seen, _ = self._game.reset()
        self._info = self._read_numbers(self._game.last_observation, seen)
        return _encode_vector(self._info), {**self._info, "died": 0.0, "success": 0.0}

    def step(self, action: int) -> tuple[Floats, float, bool, bool, Info]:
        """Act once."""
        self._last = None
        seen, reward, _, truncated, ended = self._game.step(int(action))
        status, kinds = ended["end_status"], self._game.StepStatus
        died, success = status == kinds.DEATH, status == kinds.TASK_SUCCESSFUL
        if status == kinds.RUNNING:
            self._info = self._read_numbers(self._game.last_observation, seen)
        else:
            # A game that is over clears its screen: what counts is the state before that.
            self._info = self._last or {**self._info, "hit_points": 0.0}
        over = bool(died or success)
        info = {**self._info, "died": float(died), "success": float(success)}
        return _encode_vector(info), float(reward), over, not over and bool(truncated or status == kinds.ABORTED), info

    def render(self) -> str:  # type: ignore[override]
        """Return the map as the player knows it, as lines of text."""
        chars = self._game.last_observation[self._game._observation_keys.index("chars")]
        return "\n".join(bytes(row).decode("latin-1").rstrip() for row in chars)

    def close(self) -> None:
        """End the game."""
        self._game.close()

    def _read_numbers(self, observation: Any, seen: dict[str, Any]) -> Info:
        return _collect_numbers(seen, observation[self._game._internal_index])

    def _look_and_quit(self, observation: Any, done: bool) -> Any:
        """Note the numbers of the last state, then quit as the game does."""
        self._last = self._read_numbers(observation, self._game._get_observation(observation))
        return self._quit(observation, done)


def _collect_numbers(seen: dict[str, Any], internal: NDArray[Any]) -> Info:
    """Return what the screen shows as numbers; see the cards of `envs/minihack` for meanings.

    Args:
        seen: the game's own observation.
        internal: what the game tells of itself: from place 1 on whether it waits for a key, a text or a space, then
            whether the player stands on stairs down, which it hides.
    """
    stats = seen["blstats"]
    x, y = int(stats[nethack.NLE_BL_X]), int(stats[nethack.NLE_BL_Y])
    kinds = _classify_cells(seen["chars"], seen["colors"])
    half = VIEW // 2
    info: Info = {
        "view": np.pad(kinds, half)[y : y + VIEW, x : x + VIEW].astype(np.float64),
        "position": np.array((x, y), np.float64),
        "hit_points": float(stats[nethack.NLE_BL_HP]),
        "max_hit_points": float(stats[nethack.NLE_BL_HPMAX]),
        "depth": float(stats[nethack.NLE_BL_DEPTH]),
        "turns": float(stats[nethack.NLE_BL_TIME]),
        "gold": float(stats[nethack.NLE_BL_GOLD]),
        "experience_level": float(stats[nethack.NLE_BL_XP]),
        "armor_class": float(stats[nethack.NLE_BL_AC]),
        "hunger": float(stats[nethack.NLE_BL_HUNGER]),
        "levitating": float(bool(stats[nethack.NLE_BL_CONDITION] & nethack.BL_MASK_LEV)),
        "items": float(np.count_nonzero(seen["inv_letters"])),
        "has_key": float(b" key" in seen["inv_strs"].tobytes()),
        "question": _classify_question(seen["message"], *internal[1:ON_STAIRS]),
        "known_cells": float(np.count_nonzero(kinds)),
        # No signal by itself, as it is no number: for the learned signal `labelled`.
        "message": seen["message"].tobytes().rstrip(b"\0").decode("latin-1"),
    }
    kinds[y, x] = KINDS.index("stairs_down") if internal[ON_STAIRS] else 0
    for kind in SOUGHT:
        info |= _measure_nearest(kind, kinds, x, y)
    return info


def _classify_question(message: NDArray[np.uint8], one_key: int, text: int, space: int) -> float:
    """Return what the game waits for: 0 a command, 1 the letter of a thing, 2 another key, 3 a text or a space."""
    if one_key:
        return 1.0 if bytes(message).startswith(b"What do you want to ") else 2.0
    return 3.0 if text or space else 0.0


def _classify_cells(chars: NDArray[np.uint8], colors: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return what each cell of the map (21, 79) shows."""
    kinds = _KIND_OF[chars]
    kinds[(kinds == KINDS.index("water")) & (colors == _RED)] = KINDS.index("lava")
    kinds[(kinds == KINDS.index("wall")) & (colors == _BROWN)] = KINDS.index("open_door")
    return kinds


def _measure_nearest(kind: str, kinds: NDArray[np.uint8], x: int, y: int) -> Info:
    """Return distance in moves of a free way (diagonals count 1) and offset of the nearest cell of a kind."""
    rows, columns = np.nonzero(kinds == KINDS.index(kind))
    if not len(rows):
        return {f"{kind}_distance": UNSEEN, f"{kind}_offset": np.zeros(2)}
    moves = np.maximum(np.abs(rows - y), np.abs(columns - x))
    place = int(moves.argmin())
    offset = np.array((columns[place] - x, rows[place] - y), np.float64)
    return {f"{kind}_distance": float(moves[place]), f"{kind}_offset": offset}


def _encode_vector(info: Info) -> Floats:
    cells = info["view"].ravel().astype(np.intp)
    vector = np.zeros(VIEW * VIEW * len(KINDS) + EXTRAS, np.float32)
    vector[np.arange(VIEW * VIEW) * len(KINDS) + cells] = 1
    x, y = info["position"]
    part = info["hit_points"] / max(info["max_hit_points"], 1.0)
    question_flags = [info["question"] == kind for kind in (1.0, 2.0, 3.0)]
    vector[-EXTRAS:] = (x / 79, y / 21, part, info["levitating"], info["items"] / 10, info["has_key"], *question_flags)
    return vector


def _register_levels() -> None:
    for level in [name for name in gymnasium.registry if name.startswith("MiniHack-")]:
        gymnasium.register(f"rewardsmith/{level}", entry_point=f"{__name__}:MiniHackEnv", kwargs={"level": level})


_register_levels()
