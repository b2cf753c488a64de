"""Still frames of recorded episodes: frames of the chosen steps, rendered once, and one line if rendering fails."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from rewardsmith.cli import doctor
from rewardsmith.contract import records
from rewardsmith.contract.errors import RunError, UserError, WorkerFailed
from rewardsmith.contract.records import EnvSpec, EvaluateJob, Video
from rewardsmith.executors.frames import FrameRenderer
from rewardsmith.executors.local import LocalExecutor
from rewardsmith.executors.render_job import POLICY_FILES, render_job_for_episode
from rewardsmith.worker import evaluate

SEED = 3


@pytest.fixture
def recorded(tmp_path):
    """An evaluation of random actions on Hopper, and its one episode."""
    folder = tmp_path / "candidates" / "g0c00" / "eval-s0"
    folder.mkdir(parents=True)
    job = EvaluateJob(EnvSpec("Hopper-v5"), None, "length", (SEED,))
    evaluation = evaluate.run(job, folder)
    records.write(job, folder / "job.json")
    return folder, evaluation.episodes[0]


class Fake:
    """An executor that answers a render job with a prepared result."""

    slots = 1

    def __init__(self, answer):
        self.answer, self.jobs = answer, []

    def run(self, job, out, on_event=None, decide=None):
        self.jobs.append(job)
        if isinstance(self.answer, Exception):
            raise self.answer
        out.mkdir(parents=True, exist_ok=True)
        pictures = {str(step): np.frombuffer(f"png {step}".encode(), np.uint8) for step in job.stills}
        np.savez(out / "stills.npz", allow_pickle=False, **pictures)
        return replace(self.answer, steps=job.stills)

    def close(self):
        pass


def filmed(episode):
    return Fake(Video("ok", "stills.npz", length=episode.length, fitness=episode.fitness))


def test_frames_are_of_the_wanted_steps_and_no_two_are_alike(recorded):
    folder, episode = recorded
    check = next(check for check in doctor.run_checks() if check.name == "video")
    if not check.ok:
        pytest.skip(f"nothing renders on this machine: {check.detail}")
    executor, notices = LocalExecutor(1), []
    try:
        files = FrameRenderer(executor, notices.append).render_frames(folder, episode, [0, 5, episode.length])
    finally:
        executor.close()
    assert notices == []
    assert list(files) == [0, 5, episode.length]
    frames = [np.asarray(Image.open(io.BytesIO(file.read_bytes()))) for file in files.values()]
    assert {frame.shape for frame in frames} == {(240, 320, 3)}
    assert all(frame.std() > 5 for frame in frames)
    assert all((one != other).any() for one, other in [frames[:2], frames[1:], frames[::2]])


def test_a_frame_that_is_there_is_not_filmed_again(recorded):
    folder, episode = recorded
    executor = filmed(episode)
    first = FrameRenderer(executor, pytest.fail).render_frames(folder, episode, [0, 4])
    again = FrameRenderer(executor, pytest.fail).render_frames(folder, episode, [4, 7, 0])
    assert [job.stills for job in executor.jobs] == [(0, 4), (7,)]
    assert list(again) == [0, 4, 7]
    assert again[4] == first[4]
    assert again[7].read_bytes() == b"png 7"


def test_the_episode_is_run_as_its_evaluation_ran_it_with_the_policy_beside_it(recorded):
    folder, episode = recorded
    moved = replace(records.read(EvaluateJob, folder / "job.json"), policy="/elsewhere/g0c00/train-s0")
    records.write(moved, folder / "job.json")
    with pytest.raises(RunError, match="the policy of 'g0c00' is gone"):
        render_job_for_episode("g0c00", folder, episode.seed)
    policy = folder.parent / "train-s0"
    policy.mkdir()
    for name in POLICY_FILES:
        (policy / name).touch()
    executor = filmed(episode)
    FrameRenderer(executor, pytest.fail).render_frames(folder, episode, [1])
    (job,) = executor.jobs
    assert job.policy == str(policy.resolve())
    assert (job.seed, job.stills, job.overlay, job.program) == (SEED, (1,), False, None)


def test_an_evaluation_that_cannot_be_repeated_has_no_frames_and_ends_nothing(recorded):
    folder, episode = recorded
    (folder / "job.json").write_text("{")
    notices = []
    assert FrameRenderer(filmed(episode), notices.append).render_frames(folder, episode, [1]) == {}
    assert "damaged, so the episode cannot be repeated" in notices[0]


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (UserError("no frames can be rendered on this machine"), "no frames can be rendered"),
        (Video("infrastructure", cause="the driver died"), "the driver died"),
        (Video("ok", "stills.npz", length=1, fitness=0.0), "an episode came out otherwise"),
    ],
)
def test_where_nothing_can_be_filmed_it_is_said_once_and_there_are_no_frames(recorded, answer, cause):
    folder, episode = recorded
    notices, executor = [], Fake(answer)
    stills = FrameRenderer(executor, notices.append)
    assert stills.render_frames(folder, episode, [0, 4]) == {}
    assert stills.render_frames(folder, episode, [0, 5]) == {}
    (notice,) = notices
    assert cause in notice


@pytest.mark.parametrize("error", [WorkerFailed("the executor was closed"), RunError("the disk is full")])
def test_a_search_that_is_stopped_does_not_ask_without_the_frames(recorded, error):
    folder, episode = recorded
    with pytest.raises(type(error)):
        FrameRenderer(Fake(error), pytest.fail).render_frames(folder, episode, [0])
