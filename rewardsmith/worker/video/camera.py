"""The camera: an environment wrapper that films an episode while it runs, and keeps its frames compressed.

The frame of a step is taken before the environment is reset, so that the last one shows the true last state.
"""

from __future__ import annotations

import math
import warnings
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

import gymnasium
import mujoco
import numpy as np
from numpy.typing import NDArray

from rewardsmith.contract.errors import TaskError
from rewardsmith.contract.records import EnvSpec
from rewardsmith.worker.envs.open_env import open_env

Frame = NDArray[np.uint8]
"""(height, width, 3), RGB."""

SMOOTH_FPS = 30
"""Largest number of frames a second of a video: rendering is what costs time."""
ASSUMED_RATE = Fraction(30)
"""Steps a second, where an environment does not say how long a step takes."""
MODE = "rgb_array"
ELEVATION = -20.0
"""Angle of a following camera whose environment sets none, in degrees: floor and horizon are both in view."""


class NoFrames(Exception):
    """Raised when this process's OpenGL backend renders no frames; another backend may."""


@contextmanager
def catch_graphics_errors() -> Iterator[None]:
    """Turn any exception of a graphics library into NoFrames.

    Raises:
        NoFrames: with the first line of the cause.
    """
    try:
        yield
    except Exception as error:
        # OpenGL raises ImportError, AttributeError, RuntimeError, FatalError, GLError, ... for a missing driver.
        raise NoFrames((str(error).splitlines() or [type(error).__name__])[0]) from error


@dataclass
class Reel:
    """The frames of an episode, compressed: a plain scene takes a tenth of its uncompressed size."""

    steps: list[int] = field(default_factory=list)
    """The environment step that each frame shows."""
    _frames: list[bytes] = field(default_factory=list)
    _shape: tuple[int, ...] = ()

    def add(self, step: int, frame: Frame) -> None:
        """Keep a frame; all have the same shape."""
        self._shape = frame.shape
        self.steps.append(step)
        self._frames.append(zlib.compress(frame.tobytes(), 1))

    def __iter__(self) -> Iterator[Frame]:
        for packed in self._frames:
            yield np.frombuffer(zlib.decompress(packed), np.uint8).reshape(self._shape)


class Camera(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Wrapper that films the episode after `film_next_episode`; the camera follows a robot that moves."""

    def __init__(self, env: Any, stride: int, stills: Collection[int] = ()) -> None:
        """Film an environment that `configure_renderer` has prepared.

        Args:
            env: the environment.
            stride: every how many steps, and at the episode's end.
            stills: steps to film instead, if any.
        """
        super().__init__(env)
        self.reel = Reel()
        self._stride, self._stills, self._step = stride, frozenset(stills), 0
        self._films_next = self._is_filming = False
        self._renderer: Any = getattr(env.unwrapped, "mujoco_renderer", None)
        self._body = find_followed_body(self._renderer) if self._renderer else 0

    def film_next_episode(self) -> None:
        """Film the next episode."""
        self._films_next = True

    def reset(self, **options: Any) -> tuple[Any, dict[str, Any]]:
        """Start an episode."""
        result = self.env.reset(**options)
        self._is_filming, self._films_next, self._step = self._films_next, False, 0
        if self._is_filming and self._is_wanted(over=False):
            self._capture_frame()
        return result

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Act, and film the result."""
        outcome = self.env.step(action)
        if self._is_filming:
            self._step += 1
            over = outcome[2] or outcome[3]
            if self._is_wanted(over):
                self._capture_frame()
            self._is_filming = not over
        return outcome

    def _is_wanted(self, over: bool) -> bool:
        return self._step in self._stills if self._stills else over or self._step % self._stride == 0

    def _capture_frame(self) -> None:
        if self._body:
            follow_body(self._renderer, self._body)
        frame: Any = self.env.render()
        self.reel.add(self._step, frame)


def follow_body(renderer: Any, body: int) -> None:
    """Aim at a body: Gymnasium's camera stays where it is, and a robot that moves would leave the frame."""
    renderer.viewer.cam.lookat[:2] = renderer.data.subtree_com[body][:2]


def draw_followed(renderer: Any) -> Frame:
    """Return a picture of the present state by MuJoCo's renderer, whose camera follows a robot that moves."""
    body = find_followed_body(renderer)
    if body:
        follow_body(renderer, body)
    return np.asarray(renderer.render(MODE), np.uint8)


def open_rendering_env(spec: EnvSpec) -> Any:
    """Return a new environment that renders frames.

    Raises:
        TaskError: if it cannot be made, or renders none.
    """
    drawing = replace(spec, kwargs={**spec.kwargs, "render_mode": MODE})
    try:
        with warnings.catch_warnings():
            # Gymnasium warns where the mode is missing, and goes on.
            warnings.simplefilter("ignore")
            env = open_env(drawing)
    except TaskError:
        open_env(spec).close()  # raises the same where the pictures are not to blame
        raise TaskError(_explain_no_frames(spec, "it takes no render_mode")) from None
    modes = tuple(env.metadata.get("render_modes", ()))
    if MODE not in modes:
        env.close()
        raise TaskError(_explain_no_frames(spec, f"its render modes are: {', '.join(map(repr, modes)) or 'none'}"))
    return env


def _explain_no_frames(spec: EnvSpec, why: str) -> str:
    return f"environment {spec.env_id!r} cannot be filmed: it has no render mode {MODE!r}; {why}"


def configure_renderer(env: Any, width: int, height: int, fast: bool) -> Frame:
    """Set the size and quality of an environment's frames where MuJoCo renders them, and return a first frame.

    Args:
        env: from `open_rendering_env`.
        width: of a frame, in pixels.
        height: the same.
        fast: without shadows, reflections and multisampling, which software computes ten times as long.

    Raises:
        NoFrames: if MuJoCo cannot render with this process's backend.
        TaskError: if another kind of environment cannot render.
    """
    renderer = getattr(env.unwrapped, "mujoco_renderer", None)
    if renderer is not None:
        renderer.width, renderer.height = width, height
        visual = renderer.model.vis
        visual.global_.offwidth, visual.global_.offheight = width, height
        if fast:
            visual.quality.offsamples = visual.quality.shadowsize = 0
    env.reset(seed=0)
    try:
        with catch_graphics_errors():
            frame = np.asarray(env.render())
            if renderer is not None:
                _set_viewer_flags(renderer, fast)
                frame = np.asarray(env.render())
            _check_frame(frame)
    except NoFrames as error:
        if renderer is None:
            raise TaskError(f"environment {env.spec.id!r} cannot be filmed: {error}") from error
        raise
    return frame


def _set_viewer_flags(renderer: Any, fast: bool) -> None:
    """Set the options that Gymnasium's renderer has only after its first frame."""
    viewer = renderer.viewer
    if fast:
        viewer.scn.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = 0
        viewer.scn.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = 0
    if find_followed_body(renderer) and "elevation" not in (renderer.default_cam_config or {}):
        viewer.cam.elevation = ELEVATION


def find_followed_body(renderer: Any) -> int:
    """Return the body that the camera follows: the configured one, else the one that has the camera "track".

    0 is the world: the camera stands still, as where the environment's `camera_name` or `camera_id` chose one.
    """
    if renderer.camera_id != -1:
        return 0
    config = renderer.default_cam_config or {}
    if "trackbodyid" in config:
        return max(0, int(config["trackbodyid"]))
    camera = mujoco.mj_name2id(renderer.model, mujoco.mjtObj.mjOBJ_CAMERA, "track")
    return int(renderer.model.cam_bodyid[camera]) if camera >= 0 else 0


def _check_frame(frame: Frame) -> None:
    if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3:
        raise ValueError(f"it draws {frame.dtype} of shape {frame.shape}, not pictures")
    if frame.min() == frame.max():
        raise ValueError("its frames come out in one colour")


def choose_frame_rate(env: Any, most: int) -> tuple[int, Fraction]:
    """Return the steps between two frames, and the frames a second that play an episode at its own speed.

    Args:
        env: the environment; a step's duration is its `dt`, else that of `render_fps` in its metadata.
        most: largest number of frames of a video, for an episode as long as the time limit.
    """
    dt = getattr(env.unwrapped, "dt", None)
    steps_per_s = 1.0 / dt if isinstance(dt, float) and dt > 0 else env.metadata.get("render_fps")
    rate = Fraction(steps_per_s).limit_denominator(1000) if steps_per_s else ASSUMED_RATE
    stride = max(math.ceil(rate / SMOOTH_FPS), math.ceil((env.spec.max_episode_steps or 0) / most))
    return stride, rate / stride
