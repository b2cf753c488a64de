"""Videos of a run's recorded episodes, kept beside the policy that acts in them.

episodes   what can be filmed of a candidate          typical   which of them shows it best
render     the video of one, made where it is missing  clips     the videos that there are

An owner is a candidate's id, or "final" (the best program trained anew), "own-reward" (policies trained on the
environment's own reward) or "random". A video `videos/e<episode>-<digest>.mp4` has a track beside it, the same name
with `.json`: what there is to say about each frame. The digest is of all that the video shows, the policy included.
"""

from __future__ import annotations

import hashlib
import json
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import ValidationError

from rewardsmith.contract import opengl, records
from rewardsmith.contract.errors import ConfigError, RunError, WorkerFailed
from rewardsmith.contract.records import Episode, Evaluation, RenderJob, Video
from rewardsmith.contract.text import counted
from rewardsmith.executors.base import Executor
from rewardsmith.executors.local import LocalExecutor
from rewardsmith.executors.render_job import POLICY_FILES, retake
from rewardsmith.search.storage import Run
from rewardsmith.search.trial import BASELINE, FINAL

BEST, OWN_REWARD, RANDOM = "final", "own-reward", "random"
"""The owners beside the candidates."""
SIZE = (480, 360)
"""Width and height of a video, in pixels."""
SMALLEST, LARGEST = 64, 1920
"""Bounds of a video's width and height."""
LOOK = 1
"""Raised whenever the same job comes to look different, so that older videos are made anew."""


@dataclass(frozen=True)
class Take:
    """A recorded episode that can be filmed."""

    owner: str
    training: int | None
    """Training seed of the policy; None acts at random."""
    index: int
    """Of the episode in its evaluation."""
    episode: Episode
    folder: Path
    """Of the evaluation."""


@dataclass(frozen=True)
class Track:
    """What lies beside a video."""

    owner: str
    training: int | None
    """Training seed of the policy; None acts at random."""
    episode: int
    """Its place in `episodes`."""
    file: str
    """The video's name in the same folder."""
    video: Video


@dataclass(frozen=True)
class Clip:
    """A video that is there."""

    file: Path
    track: Path
    """The JSON beside it, a `Track`."""
    owner: str
    training: int | None
    episode: int
    """Its place in `episodes`."""
    video: Video


def episodes(run: Run, owner: str) -> tuple[Take, ...]:
    """Return the recorded episodes of an owner, by training seed and in the order in which they were run.

    Raises:
        RunError: if there is no such owner, or none of its policies was evaluated.
    """
    takes: list[Take] = []
    pattern = "eval-random" if owner == RANDOM else "eval-s*"
    for folder in sorted(_home(run, owner).glob(pattern), key=lambda folder: (len(folder.name), folder.name)):
        training = None if owner == RANDOM else int(folder.name.removeprefix("eval-s"))
        takes += [Take(owner, training, i, one, folder) for i, one in enumerate(_evaluation(folder).episodes)]
    if not takes:
        raise RunError(f"{owner!r} of {run.path} has no evaluated policy, so there is nothing to film")
    return tuple(takes)


def typical(takes: Sequence[Take]) -> int:
    """Return the place of the episode whose fitness is nearest to the median; the first of several."""
    middle = statistics.median(take.episode.fitness for take in takes)
    return min(range(len(takes)), key=lambda place: abs(takes[place].episode.fitness - middle))


def clips(run: Run, owner: str) -> tuple[Clip, ...]:
    """Return the videos that an owner has, by episode; starts no process.

    Raises:
        RunError: if there is no such owner.
    """
    found = []
    for path in sorted((_home(run, owner) / "videos").glob("*.json")):
        clip = _clip(path)
        if clip is not None and clip.owner == owner:
            found.append(clip)
    return tuple(sorted(found, key=lambda clip: clip.episode))


def render(
    run: Run,
    owner: str,
    episode: int | None = None,
    *,
    size: tuple[int, int] = SIZE,
    overlay: bool = True,
    fast: bool = True,
    executor: Executor | None = None,
) -> Clip:
    """Return the video of a recorded episode, and make it if it is not there; that takes seconds to a minute.

    Args:
        run: the run.
        owner: whose policy acts.
        episode: its place in `episodes`; None takes the typical one.
        size: width and height in pixels, even.
        overlay: write step, fitness so far and the program's terms over the picture.
        fast: without shadows, reflections and multisampling, where MuJoCo draws.
        executor: where it runs; None starts a worker here, for this video.

    Raises:
        ConfigError: if the size cannot be.
        RunError: if there is no such owner or episode.
        UserError: if the environment draws no pictures, or nothing renders on this machine.
        RunFailed: if the machinery fails.
    """
    check_size(size)
    takes = episodes(run, owner)
    place = typical(takes) if episode is None else episode
    if not 0 <= place < len(takes):
        raise RunError(f"{owner!r} of {run.path} has the episodes 0 to {len(takes) - 1}, not {place}")
    job = _job(run, takes[place], place, size, overlay, fast)
    folder = _home(run, owner) / "videos"
    name = f"e{place}-{_digest(job)}"
    known = _clip(folder / f"{name}.json")
    if known is not None:
        return known
    with _running(run, executor) as ready:
        return _make(job, takes[place], place, folder, name, ready)


def check_size(size: tuple[int, int]) -> None:
    """Make sure that a video can have a size.

    Raises:
        ConfigError: if a side is odd, which h264 does not take, or out of bounds.
    """
    if any(side % 2 or not SMALLEST <= side <= LARGEST for side in size):
        text = f"{size[0]}x{size[1]}"
        raise ConfigError(f"a video cannot be {text}: width and height are even numbers from {SMALLEST} to {LARGEST}")


def owners(run: Run) -> tuple[str, ...]:
    """Return the candidates of which something can be filmed."""
    return tuple(one.id for one in run.candidates() if any(evaluation.episodes for evaluation in one.evaluations))


def _home(run: Run, owner: str) -> Path:
    """Return the folder of an owner's trainings and evaluations.

    Raises:
        RunError: if there is no such owner.
    """
    if owner in (OWN_REWARD, RANDOM):
        return run.path / BASELINE
    result = run.result() if owner == BEST else None
    if result is not None:
        return run.path / FINAL / result.best.id
    home = run.path / "candidates" / owner
    if home.parent.name != "candidates" or home.name != owner or not (home / "candidate.json").is_file():
        known = [candidate.id for candidate in run.candidates()]
        there = f"{', '.join(known) or 'no candidates yet'}; beside them: {BEST}, {OWN_REWARD}, {RANDOM}"
        raise RunError(f"{run.path} has no candidate {owner!r}; it has {there}")
    return home


def _program(run: Run, owner: str) -> str | None:
    if owner in (OWN_REWARD, RANDOM):
        return None
    result = run.result() if owner == BEST else None
    if result is not None:
        return result.best.proposal.source
    return next(candidate.proposal.source for candidate in run.candidates() if candidate.id == owner)


def _evaluation(folder: Path) -> Evaluation:
    """Read an evaluation; one that is under way has no episodes yet.

    Raises:
        RunError: if it is damaged.
    """
    path = folder / "result.json"
    try:
        return records.read(Evaluation, path) if path.is_file() else Evaluation("infrastructure", (), None, 0.0)
    except (OSError, ValueError) as error:
        raise RunError(f"{path} is damaged: {str(error).partition(chr(10))[0]}") from error


def _job(run: Run, take: Take, place: int, size: tuple[int, int], overlay: bool, fast: bool) -> RenderJob:
    """Return the job that films an episode as its evaluation ran it.

    Raises:
        RunError: if the evaluation's job cannot be read, or its policy is not there.
    """
    return replace(
        retake(take.owner, take.folder, take.episode.seed),
        program=_program(run, take.owner),
        title=f"{take.owner} · episode {place}",
        width=size[0],
        height=size[1],
        overlay=overlay,
        fast=fast,
        limits=run.config.sandbox,
    )


def _digest(job: RenderJob) -> str:
    """Return eight hexadecimal digits of what a video shows: the policy counts by its content, not by its place."""
    shown = records.dump(replace(job, policy=None))
    del shown["stills"]  # a video has none, and those made before there were any stay what they are
    shown |= {"look": LOOK, "container": opengl.container()}
    digest = hashlib.sha256(json.dumps(shown, sort_keys=True).encode())
    for name in POLICY_FILES if job.policy else ():
        digest.update((Path(job.policy or "") / name).read_bytes())
    return digest.hexdigest()[:8]


def _make(job: RenderJob, take: Take, place: int, folder: Path, name: str, executor: Executor) -> Clip:
    """Film an episode in a folder of its own, and move what came of it into place, the track last.

    Raises:
        RunFailed: if the machinery fails; what its process printed lies in `<name>.log`.
    """
    folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=f".{name}-") as work:
        out, log = Path(work), folder / f"{name}.log"
        try:
            video = executor.run(job, out)
            assert isinstance(video, Video)  # the executor answers a job with its own kind of result
            if video.status != "ok":
                raise WorkerFailed(f"no video of {take.owner!r}: {video.cause}")
        except WorkerFailed:
            if (out / "worker.log").is_file():
                (out / "worker.log").replace(log)
            raise
        log.unlink(missing_ok=True)
        file = folder / f"{name}{Path(video.file).suffix}"
        (out / video.file).replace(file)
    video = replace(video, file=file.name, note=_notes(video, take.episode))
    records.write(Track(take.owner, take.training, place, file.name, video), file.with_suffix(".json"))
    return Clip(file, file.with_suffix(".json"), take.owner, take.training, place, video)


def _notes(video: Video, recorded: Episode) -> str | None:
    """Return what a viewer should know; an episode that came out otherwise than recorded among it."""
    notes = [video.note] if video.note else []
    if (video.length, video.fitness) != (recorded.length, recorded.fitness):
        shown = f"{counted(video.length, 'step')}, fitness {video.fitness}"
        notes.append(
            f"the episode came out otherwise ({shown}) than its evaluation recorded "
            f"({counted(recorded.length, 'step')}, fitness {recorded.fitness:g}): another machine, other versions, or "
            "an environment that ignores its seed"
        )
    return "; ".join(notes) or None


def _clip(track: Path) -> Clip | None:
    """Read a video that is there; None where it or its track is missing, or of another version."""
    try:
        about = records.read(Track, track)
    except (OSError, ValidationError, ValueError):
        return None
    file = track.with_name(Path(about.file).name)
    return Clip(file, track, about.owner, about.training, about.episode, about.video) if file.is_file() else None


@contextmanager
def _running(run: Run, executor: Executor | None) -> Iterator[Executor]:
    if executor is not None:
        yield executor
        return
    own = LocalExecutor(1, run.config.limits.job_s, run.config.limits.memory_mib)
    try:
        yield own
    finally:
        own.close()
