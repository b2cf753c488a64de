"""Still frames of recorded episodes, for models that see images: filmed once, kept as PNG beside the evaluation.

A worker runs the episode again, under its seed and with its policy, and keeps the frames of the wanted steps. Nothing
is written over them: what a model is shown is what it could see, without fitness or terms.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from rewardsmith import records
from rewardsmith.errors import UserError, WorkerFailed
from rewardsmith.jobs import Executor
from rewardsmith.records import Episode, EvaluateJob, RenderJob, Video

SIZE = (320, 240)
"""Width and height, in pixels: small enough for a dozen in a prompt."""
FOLDER = "stills"


class Stills:
    """Makes the stills of one run; for several threads."""

    def __init__(self, executor: Executor, notice: Callable[[str], None]) -> None:
        """Take where episodes are filmed, and whom to tell, once, that they cannot be."""
        self._executor, self._notice = executor, notice
        self._lock = threading.Lock()
        self._blind = False

    def of(self, evaluation: Path, episode: Episode, steps: Sequence[int]) -> dict[int, Path]:
        """Return the frames of an episode's steps as PNG files; none where nothing can be filmed.

        Args:
            evaluation: folder of the evaluation that ran the episode.
            episode: which one.
            steps: from 0, the start, to the episode's length.

        Raises:
            OSError: if the evaluation's job cannot be read, or a picture not be written.
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
        with self._lock:
            if self._blind:
                return {}
        try:
            video = self._executor.run(job_of(evaluation, episode, steps), out)
        except (UserError, WorkerFailed) as error:
            return self._give_up(str(error))
        assert isinstance(video, Video)  # the executor answers a job with its own kind of result
        if video.status != "ok":
            return self._give_up(video.cause or video.status)
        if video.length != episode.length:
            return self._give_up(f"the episode took {video.length} steps instead of {episode.length} when run again")
        with np.load(out / video.file, allow_pickle=False) as arrays:
            return {int(name): arrays[name].tobytes() for name in arrays.files}

    def _give_up(self, cause: str) -> dict[int, bytes]:
        """Say why there are no pictures, the first time."""
        with self._lock:
            told, self._blind = self._blind, True
        if not told:
            self._notice(f"models are shown no frames: {cause}")
        return {}


def job_of(evaluation: Path, episode: Episode, steps: tuple[int, ...]) -> RenderJob:
    """Return the job that films steps of an episode as its evaluation ran it.

    Raises:
        OSError: if the evaluation's job cannot be read.
    """
    evaluated = records.read(EvaluateJob, evaluation / "job.json")
    return RenderJob(
        env=evaluated.env,
        policy=evaluated.policy and str(evaluation.with_name(Path(evaluated.policy).name).resolve()),
        fitness=evaluated.fitness,
        seed=episode.seed,
        deterministic=evaluated.deterministic,
        width=SIZE[0],
        height=SIZE[1],
        overlay=False,
        stills=steps,
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
