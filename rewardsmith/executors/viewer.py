"""Window of this machine: a policy is shown in it by a process of its own, until the user closes it."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from rewardsmith.contract import import_path, opengl, records
from rewardsmith.contract.errors import TaskError
from rewardsmith.contract.records import RenderJob
from rewardsmith.executors.worker_process import scrub_environment
from rewardsmith.spec.env_options import check_pass_env

SCREEN_VARIABLES = ("DISPLAY", "WAYLAND_DISPLAY")
"""One of them names the screen, where there is one."""
WINDOW_VARIABLES = (*SCREEN_VARIABLES, "XAUTHORITY", "XDG_RUNTIME_DIR", "XDG_SESSION_TYPE", "LIBGL_ALWAYS_SOFTWARE")
"""Environment variables that a process with a window gets besides those of a worker."""
REFUSED = 3
"""Exit code of the viewer process, as `rewardsmith.worker.video.render_job` has it: the task cannot be shown."""


class NoWindow(Exception):
    """Raised when no window can be opened; the message says why."""


def find_screen(variables: Mapping[str, str]) -> str | None:
    """Return the screen that an environment names; None without one.

    >>> find_screen({"DISPLAY": ":0"}), find_screen({})
    (':0', None)
    """
    return next((variables[name] for name in SCREEN_VARIABLES if variables.get(name)), None)


def show_policy(job: RenderJob, module_folder: Path | None = None) -> None:
    """Show the episode of a job, and others after it, in a window; returns when the window is closed.

    Args:
        job: the episode, with its policy.
        module_folder: folder of a user's environment module; None for no such folder.

    Raises:
        NoWindow: if there is no screen, or no window can be opened on it.
        TaskError: if the environment or the policy cannot be shown.
    """
    if find_screen(os.environ) is None:
        raise NoWindow(f"there is no screen: neither {' nor '.join(SCREEN_VARIABLES)} is set")
    with tempfile.TemporaryDirectory() as folder:
        records.write(job, Path(folder) / "job.json")
        command = import_path.python_command("-m", "rewardsmith.worker.video.viewer_process", folder)
        answer = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env=_build_environment(job, module_folder),
        )
    said = answer.stderr.rstrip().rpartition("\n")[2]
    if answer.returncode == REFUSED:
        raise TaskError(said)
    if answer.returncode != 0:
        # MuJoCo ends the process where a window cannot be opened, and graphics drivers crash.
        raise NoWindow(f"no window could be kept open: {said or f'its process ended with {answer.returncode}'}")


def _build_environment(job: RenderJob, module_folder: Path | None) -> dict[str, str]:
    """Return the environment of the viewer process: a worker's, with what a window needs and the task asks for.

    Raises:
        TaskError: if a variable's name is that of a key.
    """
    names = (*WINDOW_VARIABLES, *check_pass_env(job.env.pass_env, "pass_env"))
    variables = scrub_environment(os.environ, module_folder)
    # MuJoCo's viewer opens a window by itself; a backend without a screen would keep others from it.
    variables.pop(opengl.VARIABLE, None)
    return variables | {name: os.environ[name] for name in names if name in os.environ}
