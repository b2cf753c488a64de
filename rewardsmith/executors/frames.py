"""Still frames of recorded episodes, for models that see images: filmed once, kept as PNG beside the evaluation.

A worker runs the episode again, under its seed and with its policy, and keeps the frames of the wanted steps. Nothing
is written over them: what a model is shown is what it could see, without fitness or terms.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from rewardsmith.contract.errors import RunError, UserError
from rewardsmith.contract.records import Episode, Video
from rewardsmith.contract.text import counted
from rewardsmith.executors.base import Executor
from rewardsmith.executors.render_job import retake

SIZE = (320, 240)
"""Width and height, in pixels: small enough for a dozen in a prompt."""
FOLDER = "stills"


class Stills:
    """Makes the stills of one run; for several threads."""

    def __init__(self, executor: Executor, notice: Callable[[str], None]) -> None:
        """Take where episodes are filmed, and whom to tell, once, that they cannot be."""
        self._executor, self._notice = executor, notice
        self._lock = threading.Lock()
        self._told = self._blind = False

    def of(self, evaluation: Path, episode: Episode, steps: Sequence[int]) -> dict[int, Path]:
        """Return the frames of an episode's steps as PNG files; none where nothing can be filmed.

        Args:
            evaluation: folder of the evaluation that ran the episode.
            episode: which one.
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
            frames = self._filmed(evaluation, episode, missing, folder / "job")
            for step, png in frames.items():
                part = files[step].with_suffix(".part")
                part.write_bytes(png)
                part.replace(files[step])
        return {step: file for step, file in files.items() if file.is_file()}

    def _filmed(self, evaluation: Path, episode: Episode, steps: tuple[int, ...], out: Path) -> dict[int, bytes]:
        if self._blind:
            return {}
        try:
            job = retake(evaluation.parent.name, evaluation, episode.seed)
        except RunError as error:
            return self._none(str(error))
        job = replace(job, stills=steps, overlay=False, width=SIZE[0], height=SIZE[1])
        try:
            video = self._executor.run(job, out)
        except RunError:
            raise
        except UserError as error:
            self._blind = True  # no OpenGL, or an environment without pictures: no episode has any
            return self._none(str(error))
        assert isinstance(video, Video)  # the executor answers a job with its own kind of result
        wrong = _wrong(video, episode, steps)
        if wrong:
            return self._none(wrong)
        with np.load(out / video.file, allow_pickle=False) as arrays:
            return {int(name): arrays[name].tobytes() for name in arrays.files}

    def _none(self, cause: str) -> dict[int, bytes]:
        """Say why there are no pictures, the first time."""
        with self._lock:
            told, self._told = self._told, True
        if not told:
            self._notice(f"models are shown no frames, and are asked in words alone: {cause}")
        return {}


def _wrong(video: Video, recorded: Episode, steps: tuple[int, ...]) -> str | None:
    """Return why frames are none of the recorded episode; None where they are."""
    if video.status != "ok":
        return video.cause or video.status
    if (video.length, video.fitness, video.steps) == (recorded.length, recorded.fitness, steps):
        return None
    return (
        f"an episode came out otherwise ({counted(video.length, 'step')}, fitness {video.fitness}) than its evaluation "
        f"recorded ({counted(recorded.length, 'step')}, fitness {recorded.fitness:g})"
    )


def spread(steps: Sequence[int], count: int) -> list[int]:
    """Return so many of the steps, the first and the last among them, evenly along the episode.

    >>> spread([0, 10, 50, 90, 100], 3)
    [0, 50, 100]
    >>> spread([0, 4], 5), spread([0, 10, 20], 1)
    ([0, 4], [20])
    """
    if count < 2:
        return list(steps[-1:]) if count else []
    wanted = np.linspace(steps[0], steps[-1], count)
    return sorted({min(steps, key=lambda step: abs(step - at)) for at in wanted})
