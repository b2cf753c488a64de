"""Films of recorded episodes of mjlab's tasks: MuJoCo draws the positions that the evaluation kept."""

from __future__ import annotations

import math
import zipfile
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from rewardsmith.contract import records
from rewardsmith.contract.errors import TaskError, WorkerFailed
from rewardsmith.contract.fitness import Fitness
from rewardsmith.contract.job_files import RESULT_FILE
from rewardsmith.contract.records import EvaluateJob, Evaluation, RenderJob
from rewardsmith.contract.reward_program import parse_program
from rewardsmith.sandbox.recorded import EpisodeFile
from rewardsmith.worker.envs.base import SignalLayout
from rewardsmith.worker.evaluate import Trajectory
from rewardsmith.worker.mjlab.evaluate import STATES_FILE, mix_seeds
from rewardsmith.worker.mjlab.tasks import LabTask, load_lab_task
from rewardsmith.worker.video.camera import SMOOTH_FPS, Reel, catch_graphics_errors
from rewardsmith.worker.video.frame_annotations import FrameAnnotations, annotate_frames

Positions = NDArray[np.float32]


def record_frames(job: RenderJob, most: int) -> tuple[Reel, Fraction, int, FrameAnnotations, bool]:
    """Draw a recorded episode.

    Args:
        job: with the folder of the evaluation.
        most: largest number of frames.

    Returns:
        Its frames, frames a second, steps between frames, annotations, and whether it was terminated.

    Raises:
        NoFrames: if this process's OpenGL backend does not render.
        TaskError: if the task cannot be made.
        WorkerFailed: if the evaluation kept no such episode.
    """
    if job.evaluation is None:
        raise TaskError(f"{job.env.env_id!r} cannot be filmed without a recorded episode: evaluate a policy first")
    folder = Path(job.evaluation)
    evaluated, trajectory, layout, positions = _read_episode(folder, job)
    # Nothing is simulated here, whatever the evaluation ran on.
    task = load_lab_task(replace(job.env, kwargs={**job.env.kwargs, "device": "cpu"}))
    fitness = Fitness.parse(job.fitness).bind_environment(task.max_episode_steps, task.step_s)

    rate = Fraction(1.0 / task.step_s).limit_denominator(1000)
    stride = max(math.ceil(rate / SMOOTH_FPS), math.ceil(task.max_episode_steps / most))
    last = len(positions) - 1
    steps = sorted(job.stills) if job.stills else sorted({*range(0, last + 1, stride), last})
    model = _compile_scene(task, len(evaluated.seeds), mix_seeds(evaluated.seeds))
    reel = _draw_positions(model, task, positions, steps, job)
    annotations = annotate_frames(trajectory, layout, reel.steps, fitness, job.program, job.limits)
    return reel, rate / stride, stride, annotations, trajectory.terminated


def _read_episode(folder: Path, job: RenderJob) -> tuple[EvaluateJob, Trajectory, SignalLayout, Positions]:
    """Return the evaluation, the recorded episode, the layout of its signals, and its positions (T + 1, nq).

    Raises:
        WorkerFailed: if it is not there.
    """
    try:
        evaluated = records.read(EvaluateJob, folder / "job.json")
        result = records.read(Evaluation, folder / RESULT_FILE)
        index = evaluated.seeds.index(job.seed)
        terminated = result.episodes[index].terminated
        rollout = EpisodeFile.in_folder(folder).read_rollout(index, terminated)
        with np.load(folder / STATES_FILE, allow_pickle=False) as arrays:
            positions: Positions = arrays[str(index)]
    except (OSError, ValueError, IndexError, KeyError, zipfile.BadZipFile) as error:
        raise WorkerFailed(f"{folder} holds no recorded episode of seed {job.seed}: {error}") from error

    # Pack the signals that the fitness and the program read, as a running evaluation has them.
    reads = {*Fitness.parse(job.fitness).names, *(parse_program(job.program).signals if job.program else ())}
    known = {signal.name: signal for signal in (*job.env.signals, *job.env.privileged_signals)}
    layout = SignalLayout(
        tuple(
            known.get(name) or records.Signal(name, rollout.signals[name].shape[1:], "1", "", name)
            for name in rollout.signals
            if name in reads
        )
    )
    length = len(rollout.actions)
    after = [rollout.signals[name].reshape(length, -1) for name in layout.names]
    start = [np.reshape(rollout.start[name], -1) for name in layout.names]
    packed = np.concatenate(after, axis=1) if after else np.zeros((length, 0))
    begins = np.concatenate(start) if start else np.zeros(0)
    return evaluated, Trajectory(job.seed, packed, begins, rollout.actions, terminated), layout, positions


def _compile_scene(task: LabTask, n: int, seed: int) -> Any:
    """Return the model of the evaluation's scene; a generated terrain comes out the same by the seed."""
    from mjlab.envs import ManagerBasedRlEnv
    from mjlab.scene import Scene

    task.env_config.scene.num_envs = n
    ManagerBasedRlEnv.seed(seed)
    return Scene(task.env_config.scene, device="cpu").compile()


def _draw_positions(model: Any, task: LabTask, positions: Positions, steps: list[int], job: RenderJob) -> Reel:
    """Draw the positions of some steps.

    Raises:
        NoFrames: if this process's OpenGL backend does not render.
    """
    visual, reel, data = model.vis, Reel(), mujoco.MjData(model)
    visual.global_.offwidth, visual.global_.offheight = job.width, job.height
    if job.fast:
        visual.quality.offsamples = visual.quality.shadowsize = 0
    with catch_graphics_errors(), mujoco.Renderer(model, job.height, job.width) as renderer:
        camera = _aim_camera(model, task)
        for step in steps:
            data.qpos[:] = positions[step]
            mujoco.mj_forward(model, data)
            renderer.update_scene(data, camera)
            for flag in (mujoco.mjtRndFlag.mjRND_SHADOW, mujoco.mjtRndFlag.mjRND_REFLECTION) if job.fast else ():
                renderer.scene.flags[flag] = 0
            reel.add(step, renderer.render())
    return reel


def _aim_camera(model: Any, task: LabTask) -> Any:
    """Return a camera as the task's viewer has it: it follows the body that this names, or one that moves."""
    viewer, camera = task.env_config.viewer, mujoco.MjvCamera()
    moving = [body for body in range(1, model.nbody) if model.body_weldid[body]]
    entities = list(task.env_config.scene.entities)
    name = f"{viewer.entity_name or (entities[0] if entities else '')}/{viewer.body_name or ''}"
    body = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_BODY, name)
    camera.type = mujoco.mjtCamera.mjCAMERA_TRACKING
    camera.trackbodyid = body if body > 0 else (moving or [0])[0]
    camera.distance, camera.elevation, camera.azimuth = viewer.distance, viewer.elevation, viewer.azimuth
    return camera
