"""Videos of a run: the list of episodes, videos that are rendered once, and one real video."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise

import av
import numpy as np
import pytest
from fakes.paths import make_folder
from typer.testing import CliRunner

from rewardsmith.api import planning
from rewardsmith.cli import doctor
from rewardsmith.cli.main import app
from rewardsmith.contract import opengl, records
from rewardsmith.contract.errors import ConfigError, RunError, UserError, WorkerFailed
from rewardsmith.contract.records import Candidate, EvaluateJob, Evaluation, Proposal, Video
from rewardsmith.report import video
from rewardsmith.search.storage import Run
from rewardsmith.worker import evaluate
from rewardsmith.worker.training import policy as policies
from rewardsmith.worker.training.policy import Policy, PolicySpec

PROGRAM = "WEIGHTS = {'up': 2.0}\ndef reward(action, after):\n"
PROGRAM += "    return {'up': after.torso_height, 'effort': -np.sum(action**2, axis=1)}\n"
SEEDS = (7, 8, 9)


def hopper_policy(folder, seed):
    """Save a policy for Hopper that has learnt nothing."""
    rng = np.random.default_rng(seed)
    tensors = {}
    for layer, (fan_in, fan_out) in enumerate(pairwise((11, 16, 3))):
        tensors[f"actor.{layer}.weight"] = rng.normal(0, 0.5, (fan_out, fan_in)).astype(np.float32)
        tensors[f"actor.{layer}.bias"] = rng.normal(0, 0.1, fan_out).astype(np.float32)
    tensors |= {"log_std": np.full(3, -0.5, np.float32), "obs_mean": np.zeros(11), "obs_var": np.ones(11)}
    policies.save(Policy(PolicySpec((16,), "box", (-1.0,) * 3, (1.0,) * 3), tensors), folder)


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A run with one evaluated candidate and one that was refused."""
    plan = planning.plan_search("Hop", "hopper", variables={})
    run = Run.create(tmp_path_factory.mktemp("video") / "run", plan.task, plan.config)
    home = make_folder(run.path, "candidates", "g0c00")
    hopper_policy(home / "train-s2000", 0)
    out = make_folder(run.path, "candidates", "g0c00", "eval-s2000")
    job = EvaluateJob(plan.task.env, str(home / "train-s2000"), plan.task.fitness, SEEDS)
    evaluation = evaluate.run(job, out)
    records.write(job, out / "job.json")
    records.write(evaluation, out / "result.json")
    program = Proposal(PROGRAM, "user")
    run.save_candidate(Candidate("g0c00", 0, 0, program, "ok", evaluations=(evaluation,), fitness=evaluation.fitness))
    run.save_candidate(Candidate("g0c01", 0, 1, program, "invalid", cause="no term"))
    return run


@pytest.fixture
def run(template):
    """The run, without videos."""
    for path in template.path.glob("candidates/*/videos/*"):
        path.unlink()
    return template


class Fake:
    """An executor that makes films of one byte."""

    slots = 1

    def __init__(self, run, status="ok"):
        (take, *_) = video.list_episodes(run, "g0c00")
        self.jobs, self.status, self.length, self.fitness = [], status, take.episode.length, take.episode.fitness

    def run(self, job, out, on_event=None, decide=None):
        self.jobs.append(job)
        (out / "video.mp4").write_bytes(b"f")
        (out / "worker.log").write_text("the driver's last words")
        return Video(self.status, "video.mp4", length=self.length, fitness=self.fitness, cause="the driver died")

    def close(self):
        pass


def fitnesses(*values):
    episode = records.Episode(0, 0.0, 1, False)
    return [
        video.RecordedEpisode("g0c00", 0, i, replace(episode, fitness=value), None) for i, value in enumerate(values)
    ]


def test_every_recorded_episode_can_be_filmed(run):
    takes = video.list_episodes(run, "g0c00")
    assert [(take.training, take.index, take.episode.seed) for take in takes] == [
        (2000, 0, 7),
        (2000, 1, 8),
        (2000, 2, 9),
    ]


def test_the_typical_episode_is_that_of_median_fitness():
    assert video.median_episode(fitnesses(0.0, 9.0, 5.0, 100.0, 4.0)) == 2


@pytest.mark.parametrize("owner", ["g0c09", "../../etc", "g0c00/../g0c00", "", "final"])
def test_owners_that_a_run_does_not_have_are_refused(run, owner):
    with pytest.raises(RunError, match="has no candidate"):
        video.render_video(run, owner, executor=Fake(run))


def test_a_candidate_that_was_not_evaluated_has_nothing_to_film(run):
    with pytest.raises(RunError, match=r"'g0c01' of .* has no evaluated policy"):
        video.list_episodes(run, "g0c01")
    assert video.list_filmable_candidates(run) == ("g0c00",)


def test_an_episode_that_was_not_recorded_is_refused(run):
    with pytest.raises(RunError, match="episodes 0 to 2, not 3"):
        video.render_video(run, "g0c00", 3, executor=Fake(run))


@pytest.mark.parametrize("size", [(481, 360), (480, 32), (4000, 360)])
def test_sizes_that_cannot_be_are_refused(run, size):
    with pytest.raises(ConfigError, match="even numbers from 64 to 1920"):
        video.render_video(run, "g0c00", size=size, executor=Fake(run))


def test_a_video_is_made_once(run):
    fake = Fake(run)
    first = video.render_video(run, "g0c00", 0, executor=fake)
    assert video.render_video(run, "g0c00", 0, executor=fake) == first
    assert len(fake.jobs) == 1
    assert video.list_clips(run, "g0c00") == (first,)
    assert first.file.parent == run.path / "candidates" / "g0c00" / "videos"
    assert {path.name for path in first.file.parent.iterdir()} == {first.file.name, first.track.name}


def test_another_policy_in_the_same_place_is_filmed_anew(run):
    fake, policy = Fake(run), run.path / "candidates" / "g0c00" / "train-s2000"
    first = video.render_video(run, "g0c00", 0, executor=fake)
    try:
        hopper_policy(policy, 1)
        assert video.render_video(run, "g0c00", 0, executor=fake).file != first.file
    finally:
        hopper_policy(policy, 0)
    assert len(fake.jobs) == 2


def test_a_video_whose_track_is_damaged_is_made_anew(run):
    fake = Fake(run)
    first = video.render_video(run, "g0c00", 0, executor=fake)
    first.track.write_text("{")
    assert video.list_clips(run, "g0c00") == ()
    video.render_video(run, "g0c00", 0, executor=fake)
    assert len(fake.jobs) == 2


def test_a_track_cannot_name_a_file_elsewhere(run):
    clip = video.render_video(run, "g0c00", 0, executor=Fake(run))
    clip.track.write_text(clip.track.read_text().replace(clip.file.name, "../reward.py", 1))
    assert video.list_clips(run, "g0c00") == ()


def test_an_episode_that_comes_out_otherwise_than_recorded_is_marked(run):
    fake = Fake(run)
    assert video.render_video(run, "g0c00", 0, executor=fake).video.note is None
    fake.length += 1
    assert "episode differs" in video.render_video(run, "g0c00", 0, size=(96, 64), executor=fake).video.note


def test_a_failure_leaves_the_process_s_log_and_no_video(run):
    with pytest.raises(WorkerFailed, match="no video of 'g0c00': the driver died"):
        video.render_video(run, "g0c00", 0, executor=Fake(run, "infrastructure"))
    (log,) = (run.path / "candidates" / "g0c00" / "videos").iterdir()
    assert (log.suffix, log.read_text()) == (".log", "the driver's last words")


def test_a_policy_that_is_gone_is_said(run):
    place = run.path / "candidates" / "g0c00" / "train-s2000"
    away = place.rename(place.with_name("away"))
    try:
        with pytest.raises(RunError, match="the policy of 'g0c00' is gone"):
            video.render_video(run, "g0c00", 0, executor=Fake(run))
    finally:
        away.rename(place)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--size", "big"], "--size 'big' is not a size"),
        (["--out", "x.gif"], "has to end in .mp4"),
        (["--all", "--candidate", "g0c00"], "--all films every candidate"),
    ],
)
def test_the_command_refuses_what_it_cannot_do(run, options, said):
    answer = CliRunner().invoke(app, ["video", str(run.path), *options])
    assert isinstance(answer.exception, UserError)
    assert said in str(answer.exception)


def test_doctor_says_which_kind_of_video_is_written(monkeypatch):
    assert doctor.check_video().ok
    monkeypatch.setattr(opengl, "choose_video_format", lambda: "webp")
    assert (doctor.check_video().ok, doctor.check_video().fix) == (False, "pip install 'rewardsmith[video]'")


def test_a_film_shows_the_evaluated_episode_as_it_was(run):
    """The whole way: a worker, a process that renders, the sealed reward process, a file."""
    try:
        clip = video.render_video(run, "g0c00", 1, size=(160, 120))
    except UserError as error:
        if "no frames can be rendered" not in str(error):
            raise
        pytest.skip(str(error))
    recorded, film = (
        records.read(Evaluation, run.path / "candidates/g0c00/eval-s2000/result.json").episodes[1],
        clip.video,
    )
    assert (film.seed, film.length, film.fitness, film.terminated) == (
        *(recorded.seed, recorded.length, recorded.fitness, recorded.terminated),
    )
    assert film.note is None
    assert film.fps == 25.0  # Hopper takes 125 steps a second
    assert film.steps == (*range(0, film.length, 5), film.length)[: film.frames]
    assert film.steps[-1] == film.length
    with np.load(run.path / "candidates/g0c00/eval-s2000/episodes.npz") as arrays:
        actions = arrays["1/action"]
    paid = [0.0, *(-np.sum(actions**2, axis=1))[[step - 1 for step in film.steps[1:]]]]
    assert film.terms["effort"] == pytest.approx(paid)
    assert (film.weights, film.fitness_so_far[-1]) == ({"up": 2.0, "effort": 1.0}, film.fitness)
    with av.open(str(clip.file)) as file:
        frames = [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]
    assert len(frames) == film.frames == len(film.steps)
    assert frames[0].shape == (120, 160, 3)
    scenes = [frame[60:] for frame in frames]  # below what is written
    assert all(scene.std() > 10 for scene in scenes)
    assert all((np.abs(a.astype(int) - b) > 40).any() for a, b in pairwise(scenes))
    assert json.loads(clip.track.read_text())["video"]["frames"] == len(frames)
