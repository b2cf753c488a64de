"""Still frames of recorded episodes, for models that see images: rendered once, kept as PNG beside the evaluation.

A worker runs the episode again, with its seed and its policy, and keeps the frames of the requested steps. They have no
overlay: a model sees neither fitness nor terms in them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from rewardsmith.contract.errors import RunError, UserError
from rewardsmith.contract.records import Episode, Video
from rewardsmith.contract.text import pluralize
from rewardsmith.executors.base import Executor
from rewardsmith.executors.render_job import render_job_for_episode

SIZE = (320, 240)
"""Width and height, in pixels: small enough for a dozen in a prompt."""
FOLDER = "stills"


class FrameRenderer:
    """Renderer of the still frames of one run; for several threads."""

    def __init__(self, executor: Executor, notice: Callable[[str], None]) -> None:
        """Render nothing yet.

        Args:
            executor: where episodes are rendered.
            notice: called once with the reason if an episode cannot be rendered.
        """
        self._executor, self._notice = executor, notice
        self._lock = threading.Lock()
        self._was_reported = self._is_impossible = False

    def render_frames(self, evaluation: Path, episode: Episode, steps: Sequence[int]) -> dict[int, Path]:
        """Return the frames of an episode's steps as PNG files; none where it cannot be rendered.

        Args:
            evaluation: folder of the evaluation that ran the episode.
            episode: the episode.
            steps: from 0, the start, to the episode's length.

        Raises:
            WorkerFailed: if no worker can be started, or the executor was closed.
            RunError: if the job's folder cannot be written.
            OSError: if a picture cannot be read or written.
        """
        folder = evaluation.parent / FOLDER / f"{evaluation.name}-e{episode.seed}"
        files = {step: folder / f"step-{step:05d}.png" for step in sorted(set(steps))}
        missing = tuple(step for step, file in files.items() if not file.is_file())
        if missing:
            frames = self._render_missing(evaluation, episode, missing, folder / "job")
            for step, png in frames.items():
                part = files[step].with_suffix(".part")
                part.write_bytes(png)
                part.replace(files[step])
        return {step: file for step, file in files.items() if file.is_file()}

    def _render_missing(
        self, evaluation: Path, episode: Episode, steps: tuple[int, ...], out: Path
    ) -> dict[int, bytes]:
        """Render frames in a worker; return them as PNG by step."""
        if self._is_impossible:
            return {}

        # Describe the job, from the evaluation that ran the episode.
        try:
            job = render_job_for_episode(evaluation.parent.name, evaluation, episode.seed)
        except RunError as error:
            return self._report_failure(str(error))
        job = replace(job, stills=steps, overlay=False, width=SIZE[0], height=SIZE[1])

        # Render, unless this machine or the environment has no pictures at all.
        try:
            video = self._executor.run(job, out)
        except RunError:
            raise
        except UserError as error:
            self._is_impossible = True  # no OpenGL, or an environment without pictures: no episode has any
            return self._report_failure(str(error))

        # Frames of an episode that went differently would mislead the model.
        mismatch = _describe_mismatch(video, episode, steps)
        if mismatch:
            return self._report_failure(mismatch)
        with np.load(out / video.file, allow_pickle=False) as arrays:
            return {int(name): arrays[name].tobytes() for name in arrays.files}

    def _report_failure(self, cause: str) -> dict[int, bytes]:
        """Call `notice` with the reason why there are no frames, the first time only."""
        with self._lock:
            was_reported, self._was_reported = self._was_reported, True
        if not was_reported:
            self._notice(f"models are shown no frames, and are asked in words alone: {cause}")
        return {}


def _describe_mismatch(video: Video, recorded: Episode, steps: tuple[int, ...]) -> str | None:
    """Return why frames do not belong to the recorded episode; None where they do."""
    if video.status != "ok":
        return video.cause or video.status
    if (video.length, video.fitness, video.steps) == (recorded.length, recorded.fitness, steps):
        return None
    rendered = f"{pluralize(video.length, 'step')}, fitness {video.fitness}"
    expected = f"{pluralize(recorded.length, 'step')}, fitness {recorded.fitness:g}"
    return f"an episode came out otherwise ({rendered}) than its evaluation recorded ({expected})"
