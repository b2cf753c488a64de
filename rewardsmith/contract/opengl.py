"""How videos are made without a screen: the OpenGL backends in the order in which they are tried, the kind of file."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping

VARIABLE = "MUJOCO_GL"
"""Names MuJoCo's backend; it is read once in a process, when mujoco is imported."""
BACKENDS = ("egl", "osmesa")
"""EGL renders on a GPU where there is one, and in software elsewhere; OSMesa always in software."""
NONE = "disable"
"""MuJoCo without OpenGL: what draws its own pictures still can."""
INSTALL = "Debian and Ubuntu: apt-get install libegl1 libosmesa6"


def order(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return the backends to try, the user's own choice first.

    >>> order({"MUJOCO_GL": "osmesa"})
    ('osmesa', 'egl')
    """
    chosen = environment.get(VARIABLE, "").lower()
    return tuple(dict.fromkeys((chosen, *BACKENDS))) if chosen and chosen != NONE else BACKENDS


def container() -> str:
    """Return the kind of video that is written here: "mp4" with PyAV, else "webp"."""
    return "mp4" if importlib.util.find_spec("av") else "webp"
