"""Environments whose pictures providers look at, on the path that can be drawn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rewardsmith.contract.records import EnvSpec
from rewardsmith.worker.envs.base import BatchedEnv, SignalLayout
from rewardsmith.worker.envs.generic import GenericEnv
from rewardsmith.worker.envs.mujoco_fields import get_simulation
from rewardsmith.worker.envs.open_env import open_env
from rewardsmith.worker.envs.robot_gym import FilmedRobot, find_robot
from rewardsmith.worker.envs.row_stack import RowStack
from rewardsmith.worker.learned_signals.base import Frame
from rewardsmith.worker.learned_signals.drawing import SimulationDrawer, draw_itself
from rewardsmith.worker.learned_signals.frames import FrameRecorder, PictureTaker
from rewardsmith.worker.video.camera import MODE, open_rendering_env


def build_drawn_envs(
    spec: EnvSpec, n: int, layout: SignalLayout, recorder: FrameRecorder, opened: Any = None
) -> BatchedEnv:
    """Build n environments whose pictures a recorder keeps.

    Args:
        spec: the environment.
        n: how many.
        layout: the signals to gather.
        recorder: keeps the pictures; it closes what draws them.
        opened: an environment of this spec that is already built, to be one of the n.

    Raises:
        TaskError: if the environment cannot be built, or renders no frames.
        UserError: if nothing can be rendered on this machine.
    """
    first = open_env(spec) if opened is None else opened
    if first.render_mode == MODE:  # what is filmed anyway is drawn by its own renderer
        draw: Callable[[Any], Frame] = draw_itself
    elif get_simulation(first) is not None:
        drawer = SimulationDrawer(spec)
        recorder.drawer, draw = drawer, drawer.draw
    else:
        first.close()
        first, draw = open_rendering_env(spec), draw_itself

    def open_another() -> Any:
        return open_rendering_env(spec) if draw is draw_itself else open_env(spec)

    envs = [first, *(open_another() for _ in range(n - 1))]
    takers = [PictureTaker(env, number, recorder, draw) for number, env in enumerate(envs)]
    if find_robot(first) is not None and not spec.wrappers:
        return RowStack([FilmedRobot(taker, layout) for taker in takers])
    return GenericEnv(spec, n, layout, takers[0], takers[1:])
