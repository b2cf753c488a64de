"""Check whether frames can be rendered without a screen; runs as a separate process and prints one line of JSON."""

from __future__ import annotations

import json
import sys

import gymnasium
import numpy as np


def render_two_frames() -> dict[str, object]:
    """Render two frames of a falling hopper; they must be neither constant nor identical."""
    env = gymnasium.make("Hopper-v5", render_mode="rgb_array", width=64, height=64)
    env.reset(seed=0)
    first = np.array(env.render())
    for _ in range(10):
        env.step(env.action_space.sample())
    second = np.array(env.render())
    env.close()
    ok = first.std() > 0 and bool((first != second).any())
    return {"ok": bool(ok), "detail": "frames are rendered" if ok else "frames come out black"}


def main() -> None:
    """Print the outcome; any exception of the graphics libraries is one."""
    try:
        outcome = render_two_frames()
    except Exception as error:  # noqa: BLE001  OpenGL's loaders raise ImportError, AttributeError, RuntimeError, ...
        outcome = {"ok": False, "detail": (str(error).splitlines() or [type(error).__name__])[0]}
    sys.stdout.write(json.dumps(outcome) + "\n")


if __name__ == "__main__":
    main()
