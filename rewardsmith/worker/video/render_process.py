"""The render process: `python -m rewardsmith.worker.video.render_process FOLDER` films the episode of a render job.

MUJOCO_GL names the OpenGL backend. The exit codes are those of `rewardsmith.worker.video.render_job`; what has to do
with graphics is imported late, as the import itself fails where a backend is missing.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from rewardsmith.contract import bounded_files, env_families, import_path, job_messages, opengl, records
from rewardsmith.contract import reward_program as programs
from rewardsmith.contract.errors import SandboxUnavailable, UserError
from rewardsmith.contract.fitness import Fitness
from rewardsmith.contract.records import RenderJob, Video
from rewardsmith.contract.robots import select_evaluation_options
from rewardsmith.worker.video.render_job import DONE, NO_FRAMES, REFUSED, VIDEO_RECORD

if TYPE_CHECKING:
    from fractions import Fraction

    from rewardsmith.worker.video.camera import Reel
    from rewardsmith.worker.video.frame_annotations import FrameAnnotations


def main(folder: Path) -> int:
    """Do the render job of a folder; the last line of standard output says why there is no video."""
    job = records.load(RenderJob, bounded_files.read_json(folder / "job.json"))
    try:
        # MuJoCo looks for its backend when it is imported: AttributeError is how PyOpenGL misses a library.
        import mujoco  # noqa: F401
    except (ImportError, AttributeError, RuntimeError, OSError) as error:
        sys.stdout.write(f"{(str(error).splitlines() or ['it cannot be loaded'])[0]}\n")
        return NO_FRAMES
    from rewardsmith.worker.video.camera import NoFrames

    try:
        records.write(film_episode(job, folder), folder / VIDEO_RECORD)
    except NoFrames as error:
        sys.stdout.write(f"{error}\n")
        return NO_FRAMES
    except (UserError, SandboxUnavailable) as error:
        sys.stdout.write(
            job_messages.encode_message(job_messages.JobRefused(type(error).__name__, str(error))).decode()
        )
        return REFUSED
    return DONE


def film_episode(job: RenderJob, out: Path) -> Video:
    """Run the episode as an evaluation does, and write its video into `out`.

    Raises:
        NoFrames: if this process's backend does not render.
        TaskError: if the environment cannot be made, or renders no frames.
        FitnessError: if the fitness does not parse or names what the environment does not have.
        SandboxUnavailable: if the program cannot be sealed on this machine.
        WorkerFailed: if the policy cannot be read or does not fit, or a reward process cannot be started.
    """
    from rewardsmith.worker.video import encoder, overlay

    if env_families.is_resident(job.env.env_id):
        from rewardsmith.worker.mjlab import film

        recorded = film.record_frames(job, encoder.most_frames())
    else:
        recorded = _record_frames(job, encoder.most_frames())
    reel, fps, stride, annotations, terminated = recorded
    frames = overlay.draw_overlay(reel, annotations, job.title, (job.width, job.height), job.overlay)
    return Video(
        status="ok",
        file=encoder.write_stills(frames, reel.steps, out) if job.stills else encoder.write_video(frames, fps, out),
        fps=float(fps),
        frames=len(reel.steps),
        stride=stride,
        width=job.width,
        height=job.height,
        seed=job.seed,
        length=annotations.length,
        fitness=annotations.fitness[-1],
        terminated=terminated,
        backend=os.environ.get(opengl.VARIABLE, ""),
        steps=annotations.steps,
        fitness_so_far=annotations.fitness,
        terms=annotations.terms,
        weights=annotations.weights,
        note=annotations.note,
    )


def _record_frames(job: RenderJob, most: int) -> tuple[Reel, Fraction, int, FrameAnnotations, bool]:
    """Run the episode and film it.

    Returns:
        Its frames, frames a second, steps between frames, annotations, and whether it was terminated.
    """
    from rewardsmith.worker import evaluate
    from rewardsmith.worker.envs.make import make_envs
    from rewardsmith.worker.learned_signals.base import JobUse
    from rewardsmith.worker.video import camera, frame_annotations

    # Open the environment with a camera around it
    fitness = Fitness.parse(job.fitness)
    reads = programs.parse_program(job.program).signals if job.program else ()
    spec = select_evaluation_options(job.env)
    rendering_env = camera.open_rendering_env(spec)
    camera.configure_renderer(rendering_env, job.width, job.height, job.fast)
    stride, fps = camera.choose_frame_rate(rendering_env, most)
    filming_env = camera.Camera(rendering_env, stride, job.stills)

    # Run the episode
    policy = evaluate.load_policy(job)
    observation = policy.observed_names if policy else ()
    env = make_envs(spec, 1, reads, fitness.names, filming_env, observation, use=JobUse("film"))
    fitness = fitness.bind_environment(env.max_episode_steps, env.step_s)
    filming_env.film_next_episode()
    trajectory = evaluate.record_rendered_episode(env, job, job.seed, policy)
    annotations = frame_annotations.annotate_frames(
        trajectory, env.layout, filming_env.reel.steps, fitness, job.program, job.limits
    )
    env.close()
    return filming_env.reel, fps, stride, annotations, trajectory.terminated


if __name__ == "__main__":
    import_path.append_module_folder()
    sys.exit(main(Path(sys.argv[1])))
