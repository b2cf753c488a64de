"""Videos of a run's recorded episodes, kept beside the policy that acts in them.

list_episodes   the episodes of an owner that can be filmed     median_episode   the one that is shown by default
render_video    the video of one, made if it is missing         list_clips       the videos that exist

An owner is a candidate's id, or "final" (the best program retrained), "environment-reward" (policies trained on the
environment reward) or "random". A video `videos/e<episode>-<digest>.mp4` has a track beside it, the same name with
`.json`: the values shown in each frame. The digest covers everything that the video shows, the policy included.
"""

from __future__ import annotations

import hashlib
import json
import statistics
import tempfile
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import ValidationError

from rewardsmith.contract import opengl, records
from rewardsmith.contract.errors import ConfigError, RunError, WorkerFailed
from rewardsmith.contract.job_files import RESULT_FILE
from rewardsmith.contract.records import Episode, Evaluation, RenderJob, Video
from rewardsmith.contract.text import pluralize
from rewardsmith.executors.base import Executor
from rewardsmith.executors.render_job import POLICY_FILES, render_job_for_episode
from rewardsmith.search import setup, trusted_runs
from rewardsmith.search.storage import Run
from rewardsmith.search.storage.layout import BASELINE, final_owner, parse_candidate_id

FINAL_OWNER, ENVIRONMENT_REWARD, RANDOM_POLICY = "final", "environment-reward", "random"
"""Owners that are not candidates."""
FORMER_OWNERS = {"own-reward": ENVIRONMENT_REWARD}
"""Earlier names of owners, in the tracks of older videos and on the command line."""
SIZE = (480, 360)
"""Width and height of a video, in pixels."""
MIN_SIDE, MAX_SIDE = 64, 1920
"""Bounds of a video's width and height."""
LOOK_VERSION = 1
"""Increased whenever the same job looks different, so that older videos are made again."""


@dataclass(frozen=True)
class RecordedEpisode:
    """A recorded episode that can be filmed."""

    owner: str
    training: int | None
    """Training seed of the policy; None for random actions."""
    index: int
    """Place of the episode in its evaluation."""
    episode: Episode
    folder: Path
    """Folder of the evaluation."""


@dataclass(frozen=True)
class VideoTrack:
    """Data beside a video: its origin and the values shown in its frames."""

    owner: str
    training: int | None
    """Training seed of the policy; None for random actions."""
    episode: int
    """Its place in `list_episodes`."""
    file: str
    """The video's name in the same folder."""
    video: Video


@dataclass(frozen=True)
class VideoClip:
    """A video that exists."""

    file: Path
    track: Path
    """The JSON file beside it, a `VideoTrack`."""
    owner: str
    """As it is called now; an older track may have one of `FORMER_OWNERS`."""
    episode: int
    """Its place in `list_episodes`."""
    video: Video


def list_episodes(run: Run, owner: str) -> tuple[RecordedEpisode, ...]:
    """Return the recorded episodes of an owner, by training seed and in the order in which they were run.

    Raises:
        RunError: if there is no such owner, or none of its policies was evaluated.
    """
    owner = current_owner_name(owner)
    run_owner = _run_owner(run, owner)
    evaluations: list[tuple[int | None, Path]] = [*run.layout.list_evaluations(run_owner)]
    if owner == RANDOM_POLICY:
        evaluations = [(None, run.layout.evaluation_dir(run_owner, None))]

    recorded: list[RecordedEpisode] = []
    for training, folder in evaluations:
        for index, episode in enumerate(_load_evaluation(run, folder).episodes):
            recorded.append(RecordedEpisode(owner, training, index, episode, folder))
    if not recorded:
        raise RunError(f"{owner!r} of {run.path} has no evaluated policy, so there is nothing to film")
    return tuple(recorded)


def current_owner_name(owner: str) -> str:
    """Return the present name of an owner, for one of its earlier names.

    >>> current_owner_name("own-reward"), current_owner_name("g0c00")
    ('environment-reward', 'g0c00')
    """
    return FORMER_OWNERS.get(owner, owner)


def median_episode(recorded: Sequence[RecordedEpisode]) -> int:
    """Return the place of the episode whose fitness is nearest to the median; the first of several."""
    median = statistics.median(item.episode.fitness for item in recorded)
    return min(range(len(recorded)), key=lambda place: abs(recorded[place].episode.fitness - median))


def list_clips(run: Run, owner: str) -> tuple[VideoClip, ...]:
    """Return the videos that exist of an owner, by episode; no process is started.

    Raises:
        RunError: if there is no such owner.
    """
    owner = current_owner_name(owner)
    clips = []
    for path in sorted(run.layout.videos_dir(_run_owner(run, owner)).glob("*.json")):
        clip = _load_clip(path)
        if clip is not None and clip.owner == owner:
            clips.append(clip)
    return tuple(sorted(clips, key=lambda clip: clip.episode))


def render_video(
    run: Run,
    owner: str,
    episode: int | None = None,
    *,
    size: tuple[int, int] = SIZE,
    overlay: bool = True,
    fast: bool = True,
    executor: Executor | None = None,
) -> VideoClip:
    """Return the video of a recorded episode; if it does not exist, make it, which takes seconds to a minute.

    Args:
        run: the run.
        owner: whose policy acts.
        episode: its place in `list_episodes`; None takes the one of median fitness.
        size: width and height in pixels, even.
        overlay: write step, fitness so far and the program's terms over the picture.
        fast: without shadows, reflections and multisampling, where MuJoCo draws.
        executor: where it runs; None starts a worker here, for this video.

    Raises:
        ConfigError: if the size is not allowed.
        RunError: if there is no such owner or episode.
        UserError: if the environment draws no pictures, or this machine cannot render.
        RunFailed: if the machinery fails.
    """
    check_size(size)
    owner = current_owner_name(owner)
    recorded = list_episodes(run, owner)
    place = median_episode(recorded) if episode is None else episode
    if not 0 <= place < len(recorded):
        raise RunError(f"{owner!r} of {run.path} has the episodes 0 to {len(recorded) - 1}, not {place}")
    trusted_runs.check_trusted(run, executor_is_given=True)
    run.convert_if_old()

    # A video of the same content is made once.
    job = _make_job(run, recorded[place], place, size, overlay, fast)
    folder = run.layout.videos_dir(_run_owner(run, owner))
    name = f"e{place}-{_job_digest(job)}"
    existing = _load_clip(folder / f"{name}.json")
    if existing is not None:
        return existing
    opening = nullcontext(executor) if executor else setup.open_local_worker(run)
    with opening as opened:
        return _record_video(job, recorded[place], place, folder, name, opened)


def check_size(size: tuple[int, int]) -> None:
    """Make sure that a size is allowed.

    Raises:
        ConfigError: if a side is odd, which h264 does not take, or out of bounds.
    """
    if any(side % 2 or not MIN_SIDE <= side <= MAX_SIDE for side in size):
        text = f"{size[0]}x{size[1]}"
        raise ConfigError(f"a video cannot be {text}: width and height are even numbers from {MIN_SIDE} to {MAX_SIDE}")


def list_filmable_candidates(run: Run) -> tuple[str, ...]:
    """Return the ids of the candidates that have recorded episodes."""
    ids = []
    for candidate in run.read_candidates():
        if any(evaluation.episodes for evaluation in candidate.evaluations):
            ids.append(candidate.id)
    return tuple(ids)


def _run_owner(run: Run, owner: str) -> str:
    """Return the name of an owner in the run directory.

    Raises:
        RunError: if there is no such owner.
    """
    if owner in (ENVIRONMENT_REWARD, RANDOM_POLICY):
        return BASELINE
    result = run.read_result() if owner == FINAL_OWNER else None
    if result is not None:
        return final_owner(result.best.id)
    if parse_candidate_id(owner) is None or not run.layout.candidate_record(owner).is_file():
        ids = ", ".join(candidate.id for candidate in run.read_candidates()) or "no candidates yet"
        others = f"{FINAL_OWNER}, {ENVIRONMENT_REWARD}, {RANDOM_POLICY}"
        raise RunError(f"{run.path} has no candidate {owner!r}; it has: {ids}; also: {others}")
    return owner


def _owner_program(run: Run, owner: str) -> str | None:
    if owner in (ENVIRONMENT_REWARD, RANDOM_POLICY):
        return None
    result = run.read_result() if owner == FINAL_OWNER else None
    if result is not None:
        return result.best.proposal.source
    return next(candidate.proposal.source for candidate in run.read_candidates() if candidate.id == owner)


def _load_evaluation(run: Run, folder: Path) -> Evaluation:
    """Read an evaluation; one that still runs has no episodes.

    Raises:
        RunError: if it is damaged.
    """
    path = folder / RESULT_FILE
    if not path.is_file():
        return Evaluation("infrastructure", (), None, 0.0)
    return run.read_record(Evaluation, path)


def _make_job(
    run: Run, recorded: RecordedEpisode, place: int, size: tuple[int, int], overlay: bool, fast: bool
) -> RenderJob:
    """Return the job that films an episode as its evaluation ran it.

    Raises:
        RunError: if the evaluation's job cannot be read, or its policy is not there.
    """
    return replace(
        render_job_for_episode(recorded.owner, recorded.folder, recorded.episode.seed),
        program=_owner_program(run, recorded.owner),
        title=f"{recorded.owner} · episode {place}",
        width=size[0],
        height=size[1],
        overlay=overlay,
        fast=fast,
        limits=run.config.sandbox,
    )


def _job_digest(job: RenderJob) -> str:
    """Return eight hexadecimal digits that identify what a video shows: the policy by its content, not by its path."""
    shown = records.dump(replace(job, policy=None))
    # Videos have no stills; without these fields the digests of older videos stay valid.
    del shown["stills"], shown["evaluation"]
    shown |= {"look": LOOK_VERSION, "container": opengl.choose_video_format()}
    digest = hashlib.sha256(json.dumps(shown, sort_keys=True).encode())
    for name in POLICY_FILES if job.policy else ():
        digest.update((Path(job.policy or "") / name).read_bytes())
    return digest.hexdigest()[:8]


def _record_video(
    job: RenderJob, recorded: RecordedEpisode, place: int, folder: Path, name: str, executor: Executor
) -> VideoClip:
    """Film an episode in a temporary folder, and move the files into place, the track last.

    Raises:
        RunFailed: if the machinery fails; the output of its process is kept in `<name>.log`.
    """
    folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=f".{name}-") as work:
        out, log = Path(work), folder / f"{name}.log"
        try:
            video = executor.run(job, out)
            if video.status != "ok":
                raise WorkerFailed(f"no video of {recorded.owner!r}: {video.cause}")
        except WorkerFailed:
            if (out / "worker.log").is_file():
                (out / "worker.log").replace(log)
            raise
        log.unlink(missing_ok=True)
        file = folder / f"{name}{Path(video.file).suffix}"
        (out / video.file).replace(file)
    video = replace(video, file=file.name, note=_describe_notes(video, recorded.episode))
    records.write(VideoTrack(recorded.owner, recorded.training, place, file.name, video), file.with_suffix(".json"))
    return VideoClip(file, file.with_suffix(".json"), recorded.owner, place, video)


def _describe_notes(video: Video, expected: Episode) -> str | None:
    """Return notes for the viewer, such as that the episode differs from the recorded one; None without any."""
    notes = [video.note] if video.note else []
    if (video.length, video.fitness) != (expected.length, expected.fitness):
        shown = f"{pluralize(video.length, 'step')}, fitness {video.fitness}"
        notes.append(
            f"the episode differs ({shown}) from the recorded one ({pluralize(expected.length, 'step')}, "
            f"fitness {expected.fitness:g}): another machine, other versions, or an environment that ignores its seed"
        )
    return "; ".join(notes) or None


def _load_clip(track: Path) -> VideoClip | None:
    """Read a video; None if it or its track is missing, or of another version."""
    try:
        data = records.read(VideoTrack, track)
    except (OSError, ValidationError, ValueError):
        return None
    file = track.with_name(Path(data.file).name)
    if not file.is_file():
        return None
    return VideoClip(file, track, current_owner_name(data.owner), data.episode, data.video)
