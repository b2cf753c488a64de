"""The filming process: `python -m rewardsmith.worker.video.render_process FOLDER` films the episode of a render job.

MUJOCO_GL names the OpenGL backend. The exit codes are those of `rewardsmith.worker.video.render_job`; what has to do
with graphics is imported late, as the import itself fails where a backend is missing.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from rewardsmith.contract import job_messages, opengl, records
from rewardsmith.contract import reward_program as programs
from rewardsmith.contract.errors import SandboxUnavailable, UserError
from rewardsmith.contract.fitness.expression import Fitness
from rewardsmith.contract.records import EvaluateJob, RenderJob, Video
from rewardsmith.worker.video.render_job import DONE, FILM, NO_FRAMES, REFUSED

if TYPE_CHECKING:
    from fractions import Fraction

    from rewardsmith.worker.video.camera import Reel
    from rewardsmith.worker.video.frame_annotations import Story


def main(folder: Path) -> int:
    """Film the job of a folder; say on the last line of standard output why there is no video."""
    job = records.load(RenderJob, json.loads((folder / "job.json").read_text(encoding="utf-8")))
    try:
        # MuJoCo looks for its backend when it is imported: AttributeError is how PyOpenGL misses a library.
        import mujoco  # noqa: F401
    except (ImportError, AttributeError, RuntimeError, OSError) as error:
        sys.stdout.write(f"{(str(error).splitlines() or ['it cannot be loaded'])[0]}\n")
        return NO_FRAMES
    from rewardsmith.worker.video.camera import NoFrames

    try:
        records.write(film(job, folder), folder / FILM)
    except NoFrames as error:
        sys.stdout.write(f"{error}\n")
        return NO_FRAMES
    except (UserError, SandboxUnavailable) as error:
        sys.stdout.write(job_messages.encode(job_messages.Refused(type(error).__name__, str(error))).decode())
        return REFUSED
    return DONE


def film(job: RenderJob, out: Path) -> Video:
    """Run the episode as an evaluation does, and write its video into `out`.

    Raises:
        NoFrames: if this process's backend does not render.
        TaskError: if the environment cannot be made, or draws no pictures.
        FitnessError: if the fitness does not parse or names what the environment does not have.
        SandboxUnavailable: if the program cannot be sealed on this machine.
        WorkerFailed: if the policy cannot be read or does not fit, or a reward process cannot be started.
    """
    from rewardsmith.worker.video import encoder, overlay

    reel, fps, stride, story, terminated = _filmed(job, encoder.most_frames())
    seen = overlay.drawn(reel, story, job.title, (job.width, job.height), job.overlay)
    return Video(
        status="ok",
        file=encoder.write_stills(seen, reel.steps, out) if job.stills else encoder.write(seen, fps, out),
        fps=float(fps),
        frames=len(reel.steps),
        stride=stride,
        width=job.width,
        height=job.height,
        seed=job.seed,
        length=story.length,
        fitness=story.fitness[-1],
        terminated=terminated,
        backend=os.environ.get(opengl.VARIABLE, ""),
        steps=story.steps,
        fitness_so_far=story.fitness,
        terms=story.terms,
        weights=story.weights,
        note=story.note,
    )


def _filmed(job: RenderJob, most: int) -> tuple[Reel, Fraction, int, Story, bool]:
    """Run the episode before the camera.

    Returns:
        Its frames, frames a second, steps from frame to frame, what there is to tell, and whether it was terminated.
    """
    from rewardsmith.worker import evaluate
    from rewardsmith.worker.envs.make import make
    from rewardsmith.worker.video import camera, frame_annotations

    fitness = Fitness.parse(job.fitness)
    reads = programs.parse(job.program).signals if job.program else ()
    opened = camera.open_filmed(job.env)
    camera.set_up(opened, job.width, job.height, job.fast)
    stride, fps = camera.pace(opened, most)
    filmed = camera.Camera(opened, stride, job.stills)
    env = make(job.env, 1, reads, fitness.names, filmed)
    filmed.roll()
    (recording,) = evaluate.record(env, _evaluation(job))
    told = frame_annotations.tell(recording, env.layout, filmed.reel.steps, fitness, job.program, job.limits)
    env.close()
    return filmed.reel, fps, stride, told, recording.terminated


def _evaluation(job: RenderJob) -> EvaluateJob:
    """Return the evaluation that has the episode."""
    return EvaluateJob(job.env, job.policy, job.fitness, (job.seed,), deterministic=job.deterministic)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
