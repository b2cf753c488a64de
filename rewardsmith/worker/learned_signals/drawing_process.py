"""The drawing process, `python -m rewardsmith.worker.learned_signals.drawing_process`: draws states of a simulation.

MuJoCo reads its OpenGL backend (MUJOCO_GL) once, when it is imported, and two renderers in one process spoil each
other's pictures: so one process draws for all environments of a job. Standard input: a line of JSON with the
environment and the size of the pictures, then states. Standard output: a line of JSON that says how large states and
pictures are, or why nothing can be drawn, then a picture for each state.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from rewardsmith.contract import import_path, records
from rewardsmith.contract.errors import UserError
from rewardsmith.contract.records import EnvSpec

MODEL_FIELDS = ("body_pos", "body_quat", "geom_pos", "geom_quat", "geom_size", "geom_rgba", "site_pos", "site_rgba")
"""Parts of a model that environments change between episodes, such as the place of a target."""
NO_FRAMES, REFUSED = "no frames", "refused"
"""Why nothing can be drawn: this backend does not render, or the environment does not."""


def pack_state(model: Any, data: Any) -> NDArray[np.float64]:
    """Return all that a picture of a simulation depends on, as numbers."""
    import mujoco

    kind = int(mujoco.mjtState.mjSTATE_INTEGRATION)
    state = np.empty(mujoco.mj_stateSize(model, kind))
    mujoco.mj_getState(model, data, state, kind)
    return np.concatenate([state, *(np.asarray(getattr(model, name), np.float64).ravel() for name in MODEL_FIELDS)])


def unpack_state(model: Any, data: Any, packed: NDArray[np.float64]) -> None:
    """Put a packed state into a simulation of an equal model, and compute what follows from it."""
    import mujoco

    kind = int(mujoco.mjtState.mjSTATE_INTEGRATION)
    end = mujoco.mj_stateSize(model, kind)
    mujoco.mj_setState(model, data, packed[:end], kind)
    for name in MODEL_FIELDS:
        field = getattr(model, name)
        field[:] = packed[end : end + field.size].reshape(field.shape)
        end += field.size
    mujoco.mj_forward(model, data)


def main(requests: IO[bytes], answers: IO[bytes]) -> int:
    """Draw what is asked for until standard input ends."""
    asked = json.loads(requests.readline())
    spec, size = records.load(EnvSpec, asked["env"]), int(asked["size"])
    opened = _open_scene(spec, size)
    if isinstance(opened, dict):
        answers.write(json.dumps(opened).encode() + b"\n")
        answers.flush()
        return 0
    model, data, draw = opened
    numbers, shape = len(pack_state(model, data)), draw().shape
    answers.write(json.dumps({"numbers": numbers, "shape": shape}).encode() + b"\n")
    answers.flush()

    while True:
        received = requests.read(8 * numbers)
        if len(received) < 8 * numbers:
            return 0
        unpack_state(model, data, np.frombuffer(received, np.float64))
        answers.write(np.ascontiguousarray(draw()).tobytes())
        answers.flush()


def _open_scene(spec: EnvSpec, size: int) -> tuple[Any, Any, Callable[[], NDArray[np.uint8]]] | dict[str, str]:
    """Return the simulation to be drawn and what draws it; or why there is none."""
    try:
        # MuJoCo looks for its backend when it is imported: AttributeError is how PyOpenGL misses a library.
        import mujoco  # noqa: F401
    except (ImportError, AttributeError, RuntimeError, OSError) as error:
        return {"kind": NO_FRAMES, "cause": (str(error).splitlines() or ["it cannot be loaded"])[0]}
    from rewardsmith.worker.envs.mujoco_fields import get_simulation
    from rewardsmith.worker.video import camera

    try:
        env = camera.open_rendering_env(spec)
        camera.configure_renderer(env, size, size, fast=True)
    except camera.NoFrames as error:
        return {"kind": NO_FRAMES, "cause": str(error)}
    except UserError as error:
        return {"kind": REFUSED, "cause": str(error)}
    simulation = get_simulation(env)
    assert simulation is not None  # others are drawn where they are stepped
    renderer = getattr(env.unwrapped, "mujoco_renderer", None)
    if renderer is None:
        return (*simulation, lambda: np.asarray(env.render(), np.uint8))
    return (*simulation, lambda: camera.draw_followed(renderer))


if __name__ == "__main__":
    import_path.append_module_folder()
    # What libraries print must not come between the pictures.
    private = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    sys.exit(main(sys.stdin.buffer, private))
