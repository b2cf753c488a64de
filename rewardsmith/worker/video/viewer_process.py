"""The viewer process: `python -m rewardsmith.worker.video.viewer_process FOLDER` shows a policy in a window.

MuJoCo environments are shown in MuJoCo's own viewer, in which the camera can be moved and bodies can be pushed; others
by their render mode "human". It plays the episode of the job, then episodes of the seeds that follow, until the window
is closed. Each episode's result is a line of standard output; the exit codes are those of `render_job`.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import gymnasium
import mujoco

from rewardsmith.contract import bounded_files, import_path, records
from rewardsmith.contract.errors import FitnessError, TaskError, UserError, WorkerFailed
from rewardsmith.contract.fitness import Fitness
from rewardsmith.contract.records import EnvSpec, RenderJob
from rewardsmith.contract.text import format_number, pluralize
from rewardsmith.worker import evaluate
from rewardsmith.worker.envs.make import make_envs
from rewardsmith.worker.envs.mujoco_fields import get_simulation
from rewardsmith.worker.envs.open_env import open_env, read_step_time
from rewardsmith.worker.learned_signals.base import JobUse
from rewardsmith.worker.video.camera import NoFrames, catch_graphics_errors, find_followed_body
from rewardsmith.worker.video.render_job import DONE, NO_FRAMES, REFUSED

HUMAN = "human"


class WindowClosed(Exception):
    """Raised when the user closes the window."""


class ViewedEnv(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Wrapper that shows every step in MuJoCo's viewer, at the simulation's own speed."""

    def __init__(self, env: Any) -> None:
        """Show nothing yet: the window opens with the first episode."""
        super().__init__(env)
        self._viewer: Any = None
        self._model: Any = None
        self._step_s = read_step_time(env.unwrapped) or 0.0
        self._next_s = 0.0

    def reset(self, **options: Any) -> tuple[Any, dict[str, Any]]:
        """Start an episode."""
        result = self.env.reset(**options)
        self._next_s = time.monotonic()
        self._show()
        return result

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Act, and show the result."""
        outcome = self.env.step(action)
        self._show()
        return outcome

    def close(self) -> None:
        """Close the window and the environment."""
        if self._viewer is not None:
            self._viewer.close()
        super().close()

    def _show(self) -> None:
        """Show the present state when its time has come.

        Raises:
            WindowClosed: if the user has closed the window.
            NoFrames: if no window can be opened.
        """
        simulation = get_simulation(self.env)
        assert simulation is not None  # `open_viewed_env` wraps no other environment
        if self._viewer is None or simulation[0] is not self._model:
            self._open_window(*simulation)
        if not self._viewer.is_running():
            raise WindowClosed
        self._viewer.sync()
        self._next_s = max(self._next_s + self._step_s, time.monotonic() - self._step_s)
        time.sleep(max(0.0, self._next_s - time.monotonic()))

    def _open_window(self, model: Any, data: Any) -> None:
        """Open the viewer for a model; some environments build another one for each episode."""
        if self._viewer is not None:
            self._viewer.close()
        with catch_graphics_errors():
            import mujoco.viewer

            self._viewer = mujoco.viewer.launch_passive(model, data, show_left_ui=False, show_right_ui=False)
        self._model = model
        with self._viewer.lock():
            self._aim_camera()

    def _aim_camera(self) -> None:
        """Look from where the environment's own pictures are taken, and follow a robot that moves."""
        renderer, camera = getattr(self.env.unwrapped, "mujoco_renderer", None), self._viewer.cam
        if renderer is None:
            return
        for name, value in (renderer.default_cam_config or {}).items():
            if name == "lookat":
                camera.lookat[:] = value
            elif name in ("distance", "azimuth", "elevation"):
                setattr(camera, name, value)
        body = find_followed_body(renderer)
        if body:
            camera.type, camera.trackbodyid = mujoco.mjtCamera.mjCAMERA_TRACKING, body


def main(folder: Path) -> int:
    """Play the job of a folder; the last line of standard error says why nothing is shown."""
    job = records.load(RenderJob, bounded_files.read_json(folder / "job.json"))
    try:
        play_episodes(job)
    except NoFrames as error:
        sys.stderr.write(f"{error}\n")
        return NO_FRAMES
    except (UserError, WorkerFailed) as error:
        sys.stderr.write(f"{error}\n")
        return REFUSED
    return DONE


def play_episodes(job: RenderJob) -> None:
    """Run episodes in a window until it is closed.

    Raises:
        NoFrames: if no window can be opened.
        TaskError: if the environment cannot be made, or cannot be shown in a window.
        FitnessError: if the fitness does not parse or names what the environment does not have.
        WorkerFailed: if the policy cannot be read or does not fit.
    """
    fitness = Fitness.parse(job.fitness)
    policy = evaluate.load_policy(job)
    observation = policy.observed_names if policy else ()
    with open_viewed_env(job.env) as viewed:
        env = make_envs(job.env, 1, (), fitness.names, viewed, observation, use=JobUse("film"))
        fitness = fitness.bind_environment(env.max_episode_steps, env.step_s)
        for seed in count(job.seed):
            try:
                trajectory = evaluate.record_rendered_episode(env, job, seed, policy)
            except WindowClosed:
                return
            rollout = evaluate.make_rollout(trajectory, env.layout)
            length = pluralize(len(trajectory.actions), "step")
            sys.stdout.write(f"seed {seed}: {length}, fitness {_format_fitness(fitness, rollout)}\n")
            sys.stdout.flush()


@contextmanager
def open_viewed_env(spec: EnvSpec) -> Iterator[Any]:
    """Open an environment that shows itself in a window.

    Raises:
        TaskError: if it cannot be made, or has no window.
        NoFrames: if its own window cannot be opened.
    """
    env = open_env(spec)
    if get_simulation(env) is not None:
        env = ViewedEnv(env)
    else:
        modes = tuple(env.metadata.get("render_modes", ()))
        env.close()
        if HUMAN not in modes:
            listed = ", ".join(map(repr, modes)) or "none"
            raise TaskError(
                f"environment {spec.env_id!r} has no window: its render modes are {listed}; try `rewardsmith video`"
            )
        with catch_graphics_errors(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            env = open_env(replace(spec, kwargs={**spec.kwargs, "render_mode": HUMAN}))
            env.reset(seed=0)  # opens the window
    try:
        yield env
    finally:
        env.close()


def _format_fitness(fitness: Fitness, rollout: Any) -> str:
    try:
        return format_number(fitness.evaluate(rollout))
    except FitnessError as error:
        return f"has no value: {error.cause}"


if __name__ == "__main__":
    import_path.append_module_folder()
    sys.exit(main(Path(sys.argv[1])))
