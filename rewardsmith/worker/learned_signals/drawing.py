"""Drawing of environments in their present state: MuJoCo's by a process of their own, others where they are stepped."""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

import numpy as np

from rewardsmith.contract import import_path, opengl, records
from rewardsmith.contract.errors import TaskError, UserError, WorkerFailed
from rewardsmith.contract.records import EnvSpec
from rewardsmith.worker.envs.mujoco_fields import get_simulation
from rewardsmith.worker.envs.robot_gym import find_robot
from rewardsmith.worker.learned_signals.base import Frame
from rewardsmith.worker.learned_signals.drawing_process import REFUSED, pack_state
from rewardsmith.worker.video.render_job import explain_no_backend

FRAME_SIZE = 240
"""Width and height of the pictures that MuJoCo draws, in pixels; a CLIP sees 224 to 336."""


def draw_itself(env: Any) -> Frame:
    """Return the picture of an environment that renders frames.

    Raises:
        WorkerFailed: if it draws no picture.
    """
    frame = np.asarray(env.render())
    if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3:
        raise WorkerFailed(f"the environment draws {frame.dtype} of shape {frame.shape}, not pictures")
    return frame.copy()


class SimulationDrawer:
    """A drawing process, for all simulations of one job."""

    def __init__(self, spec: EnvSpec) -> None:
        """Start the process, with one OpenGL backend after the other until one works.

        Raises:
            TaskError: if the environment has no pictures.
            UserError: if no backend renders on this machine.
        """
        tried: dict[str, str] = {}
        for backend in opengl.list_backends(os.environ):
            self._process = _start_process(spec, backend)
            assert self._process.stdout is not None
            line = self._process.stdout.readline()
            answer = json.loads(line) if line else {"kind": "", "cause": "the process crashed"}
            if "numbers" in answer:
                self._numbers, self._shape = int(answer["numbers"]), tuple(answer["shape"])
                return
            self.close()
            if answer["kind"] == REFUSED:
                raise TaskError(answer["cause"])
            tried[backend] = answer["cause"]
        raise UserError(explain_no_backend(tried))

    def draw(self, env: Any) -> Frame:
        """Return the picture of an environment's present state.

        Raises:
            WorkerFailed: if the process died, or the environment has another model than at first.
        """
        robot = find_robot(env)
        if robot is not None:
            robot.rows.copy_simulation(0, robot.data)
        simulation = get_simulation(env)
        packed = pack_state(*simulation) if simulation is not None else np.empty(0)
        if len(packed) != self._numbers:
            raise WorkerFailed("the simulation is another one than at first, and cannot be drawn")
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None and stdout is not None
        size = int(np.prod(self._shape))
        try:
            stdin.write(packed.tobytes())
            stdin.flush()
            received = stdout.read(size)
        except BrokenPipeError:
            received = b""
        if len(received) < size:
            raise WorkerFailed(f"the drawing process ended with exit code {self._process.wait()}")
        return np.frombuffer(received, np.uint8).reshape(self._shape)

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()


def _start_process(spec: EnvSpec, backend: str) -> subprocess.Popen[bytes]:
    command = import_path.python_command("-m", "rewardsmith.worker.learned_signals.drawing_process")
    variables = os.environ | {opengl.VARIABLE: backend}
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=variables)
    assert process.stdin is not None
    request = {"env": records.dump(spec), "size": FRAME_SIZE}
    process.stdin.write(json.dumps(request).encode() + b"\n")
    process.stdin.flush()
    return process
