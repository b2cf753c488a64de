"""OpenGL without a screen: the backends in the order in which they are tried, and the kind of video file."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping

VARIABLE = "MUJOCO_GL"
"""Names MuJoCo's backend; it is read once in a process, when mujoco is imported."""
BACKENDS = ("egl", "osmesa")
"""EGL renders on a GPU where there is one, and in software elsewhere; OSMesa always in software."""
NO_OPENGL = "disable"
"""MuJoCo without OpenGL; an environment that draws its own pictures can still be rendered."""
INSTALL = "Debian and Ubuntu: apt-get install libegl1 libosmesa6"


def list_backends(variables: Mapping[str, str]) -> tuple[str, ...]:
    """List the backends to try, the user's own choice first.

    >>> list_backends({"MUJOCO_GL": "osmesa"})
    ('osmesa', 'egl')
    """
    chosen = variables.get(VARIABLE, "").lower()
    return tuple(dict.fromkeys((chosen, *BACKENDS))) if chosen and chosen != NO_OPENGL else BACKENDS


def choose_video_format() -> str:
    """Return the file format of videos on this machine: "mp4" where PyAV is installed, else "webp"."""
    return "mp4" if importlib.util.find_spec("av") else "webp"
