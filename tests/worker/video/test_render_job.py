"""The parts of the render job that need no OpenGL."""

from __future__ import annotations

import subprocess
from fractions import Fraction

import av
import gymnasium
import numpy as np
import pytest
from PIL import Image

from rewardsmith.contract import job_messages, opengl, records
from rewardsmith.contract.errors import TaskError, UserError, WorkerFailed
from rewardsmith.contract.fitness import Fitness
from rewardsmith.contract.records import EnvSpec, EvaluateJob, Limits, RenderJob, Video
from rewardsmith.worker import evaluate
from rewardsmith.worker.envs.make import make_envs
from rewardsmith.worker.video import camera, encoder, frame_annotations, overlay, render_job

JOB = RenderJob(EnvSpec("CartPole-v1"), None, "length", 0)
TWO_TERMS = frame_annotations.FrameAnnotations(
    (0, 2), 2, (None, 1.0), {"up": (0.0, 1.0), "effort": (0.0, -2.0)}, {"up": 1.0, "effort": 0.5}
)


def frames(count, height=64, width=96):
    rng = np.random.default_rng(0)
    still = rng.integers(0, 255, (height, width, 3), dtype=np.uint8)
    return [np.roll(still, 4 * i, axis=1) for i in range(count)]


# ---------------------------------------------------------------- backends


def backends(monkeypatch, answers, out):
    """Let each backend's process answer so; return those that were started."""
    started = []

    def film(_, backend):
        started.append(backend)
        code, said = answers[backend]
        if code == render_job.DONE:
            records.write(Video("ok", backend=backend), out / render_job.VIDEO_RECORD)
        return subprocess.CompletedProcess((), code, said, "Traceback\nValueError: odd\n")

    monkeypatch.setattr(render_job, "_run_render_process", film)
    monkeypatch.delenv(opengl.VARIABLE, raising=False)
    return started


def test_egl_is_tried_first_and_is_enough(monkeypatch, tmp_path):
    started = backends(monkeypatch, {"egl": (render_job.DONE, "")}, tmp_path)
    assert render_job.run(JOB, tmp_path).backend == "egl"
    assert started == ["egl"]


@pytest.mark.parametrize("failure", [(render_job.NO_FRAMES, "no device"), (-11, "")])
def test_osmesa_follows_where_egl_gives_no_frames_or_crashes(monkeypatch, tmp_path, failure):
    backends(monkeypatch, {"egl": failure, "osmesa": (render_job.DONE, "")}, tmp_path)
    assert render_job.run(JOB, tmp_path).backend == "osmesa"


def test_what_draws_itself_is_filmed_without_opengl(monkeypatch, tmp_path):
    missing = (render_job.NO_FRAMES, "no library")
    backends(monkeypatch, {"egl": missing, "osmesa": missing, "disable": (render_job.DONE, "")}, tmp_path)
    assert render_job.run(JOB, tmp_path).backend == "disable"


def test_a_machine_without_opengl_is_told_what_was_tried_and_what_to_install(monkeypatch, tmp_path):
    answers = {
        "egl": (render_job.NO_FRAMES, "no device"),
        "osmesa": (-11, ""),
        "disable": (render_job.NO_FRAMES, "none"),
    }
    backends(monkeypatch, answers, tmp_path)
    with pytest.raises(UserError) as caught:
        render_job.run(JOB, tmp_path)
    assert str(caught.value) == (
        "no frames can be rendered on this machine (egl: no device; osmesa: crashed with signal 11). "
        "Debian and Ubuntu: apt-get install libegl1 libosmesa6"
    )


def test_a_refusal_is_raised_as_it_was_and_no_other_backend_is_tried(monkeypatch, tmp_path):
    said = job_messages.encode_message(job_messages.JobRefused("TaskError", "it draws nothing")).decode()
    started = backends(monkeypatch, {"egl": (render_job.REFUSED, f"a library's chatter\n{said}")}, tmp_path)
    with pytest.raises(TaskError, match="it draws nothing"):
        render_job.run(JOB, tmp_path)
    assert started == ["egl"]


def test_any_other_failure_is_the_machinery_s(monkeypatch, tmp_path):
    backends(monkeypatch, {"egl": (1, "")}, tmp_path)
    with pytest.raises(WorkerFailed, match="ValueError: odd"):
        render_job.run(JOB, tmp_path)


def test_the_user_s_own_backend_goes_first(monkeypatch, tmp_path):
    started = backends(monkeypatch, {"osmesa": (render_job.DONE, "")}, tmp_path)
    monkeypatch.setenv(opengl.VARIABLE, "osmesa")
    render_job.run(JOB, tmp_path)
    assert started == ["osmesa"]


# ---------------------------------------------------------------- the camera


class Counting(gymnasium.Env):
    """Ends after five steps; each picture is its step."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 50}  # noqa: RUF012 - Gymnasium's own spelling
    observation_space = gymnasium.spaces.Box(0, 9, (1,))
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, render_mode=None, blank=False):
        self.render_mode, self.blank, self.now = render_mode, blank, 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.now = 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.now += 1
        return np.full(1, self.now, np.float32), 0.0, self.now == 5, False, {}

    def render(self):
        picture = np.full((4, 4, 3), self.now, np.uint8)
        picture[0, 0] = 0 if self.blank else 255
        return picture


class Unseen(Counting):
    metadata = {"render_modes": ["ansi"]}  # noqa: RUF012 - Gymnasium's own spelling


@pytest.fixture(autouse=True)
def registered():
    for name, entry in {"Counting-v0": Counting, "Unseen-v0": Unseen}.items():
        gymnasium.register(name, entry_point=entry, max_episode_steps=100)
    yield
    for name in ("Counting-v0", "Unseen-v0"):
        gymnasium.registry.pop(name)


def test_the_last_frame_is_the_true_last_state_not_the_next_episode_s_start():
    spec = EnvSpec("Counting-v0")
    filmed = camera.Camera(camera.open_rendering_env(spec), stride=2)
    env = make_envs(spec, 1, (), (), filmed)
    filmed.film_next_episode()
    (trajectory,) = evaluate.record_trajectories(env, EvaluateJob(spec, None, "length", (0,)))
    assert filmed.reel.steps == [0, 2, 4, 5]
    assert [int(frame[1, 1, 0]) for frame in filmed.reel] == [0, 2, 4, 5]
    assert len(trajectory.actions) == 5


def test_an_environment_without_pictures_is_refused_in_one_line():
    with pytest.raises(TaskError) as caught:
        camera.open_rendering_env(EnvSpec("Unseen-v0"))
    assert str(caught.value) == (
        "environment 'Unseen-v0' cannot be filmed: it has no render mode 'rgb_array'; its render modes are: 'ansi'"
    )


def test_frames_of_one_colour_are_refused():
    env = camera.open_rendering_env(EnvSpec("Counting-v0", {"blank": True}))
    with pytest.raises(TaskError, match="its frames come out in one colour"):
        camera.configure_renderer(env, 96, 64, fast=True)


@pytest.mark.parametrize(
    ("fps", "limit", "stride", "played"),
    [(50, 100, 2, Fraction(25)), (20, 100, 1, Fraction(20)), (125, 100, 5, Fraction(25)), (20, 10_000, 5, Fraction(4))],
)
def test_films_play_at_the_simulation_s_speed_with_few_frames(fps, limit, stride, played):
    env = gymnasium.make("Counting-v0", max_episode_steps=limit, render_mode="rgb_array")
    env.unwrapped.metadata = {"render_fps": fps}
    assert camera.choose_frame_rate(env, 2000) == (stride, played)


# ---------------------------------------------------------------- the overlay


def test_an_overlay_changes_the_panel_and_leaves_the_scene():
    seen = list(overlay.draw_overlay(frames(2, 360, 480), TWO_TERMS, "g0c00", (480, 360), True))
    plain = list(overlay.draw_overlay(frames(2, 360, 480), TWO_TERMS, "g0c00", (480, 360), False))
    assert (seen[1][:60, :150] != plain[1][:60, :150]).any()
    assert (seen[1][120:] == plain[1][120:]).all()


def test_gains_and_losses_are_drawn_to_different_sides():
    dark = [np.zeros((360, 480, 3), np.uint8)] * 2
    _, last = overlay.draw_overlay(dark, TWO_TERMS, "", (480, 360), True)
    gain = np.argwhere((last == overlay.GAIN).all(axis=2))
    loss = np.argwhere((last == overlay.LOSS).all(axis=2))
    assert gain[:, 1].min() >= loss[:, 1].max()
    assert np.ptp(gain[:, 1]) == pytest.approx(np.ptp(loss[:, 1]), abs=2)  # 1.0 * 1 and 0.5 * -2


def test_pictures_of_other_proportions_get_margins():
    small = Image.fromarray(np.full((64, 64, 3), 200, np.uint8))
    seen = np.asarray(overlay.fit_to_size(small, (480, 360)))
    assert (seen[:, 60:420] == 200).all()
    assert (seen[:, :60] == overlay.BACKDROP).all()


# ---------------------------------------------------------------- annotations


def annotate_episode(source):
    spec = EnvSpec("CartPole-v1")
    env = make_envs(spec, 1, ("obs",), ())
    (trajectory,) = evaluate.record_trajectories(env, EvaluateJob(spec, None, "length", (0,)))
    return trajectory, frame_annotations.annotate_frames(
        trajectory, env.layout, (0, 3, len(trajectory.actions)), Fitness.parse("length"), source, Limits()
    )


def test_terms_are_what_the_step_that_led_to_a_frame_was_paid():
    source = "WEIGHTS = {'a': 2.0}\ndef reward(before, after, start):\n"
    source += "    return {'a': after.obs[:, 0] - before.obs[:, 0], 'b': after.obs[:, 2] - start.obs[:, 2]}"
    trajectory, annotations = annotate_episode(source)
    x, pitch = trajectory.after[:, 0], trajectory.after[:, 2] - trajectory.start[2]
    assert annotations.terms["a"] == pytest.approx((0.0, x[2] - x[1], x[-1] - x[-2]))
    assert annotations.terms["b"] == pytest.approx((0.0, pitch[2], pitch[-1]))
    assert annotations.weights == {"a": 2.0, "b": 1.0}
    assert annotations.fitness == (None, 3.0, float(len(trajectory.actions)))


def test_a_program_with_memory_is_walked_through_the_episode():
    source = "MEMORY = {'n': 0.0}\ndef reward(memory):\n    memory.n = memory.n + 1\n    return {'count': memory.n}"
    trajectory, annotations = annotate_episode(source)
    assert annotations.terms["count"] == (0.0, 3.0, float(len(trajectory.actions)))


def test_the_last_frame_shows_what_the_end_was_paid():
    trajectory, annotations = annotate_episode("def reward(terminated):\n    return {'fall': -5.0 * terminated}")
    assert trajectory.terminated
    assert annotations.terms["fall"] == (0.0, 0.0, -5.0)


def test_a_program_that_fails_leaves_a_film_without_terms_that_says_why():
    _, annotations = annotate_episode("def reward(after):\n    return {'a': after.obs[:, 99]}")
    assert annotations.terms == {}
    assert annotations.note.startswith("without the program's terms: ")


# ---------------------------------------------------------------- files


def test_an_mp4_is_h264_with_every_frame_and_the_asked_speed(tmp_path):
    assert encoder.write_video(iter(frames(9)), Fraction(200, 9), tmp_path) == "video.mp4"
    with av.open(str(tmp_path / "video.mp4")) as film:
        stream = film.streams.video[0]
        assert (stream.codec_context.name, stream.average_rate) == ("h264", Fraction(200, 9))
        seen = [frame.to_ndarray(format="rgb24") for frame in film.decode(stream)]
    assert len(seen) == 9
    assert seen[0].shape == (64, 96, 3)
    assert (seen[0] != seen[8]).any()


def test_without_pyav_the_film_is_an_animated_webp(tmp_path, monkeypatch):
    monkeypatch.setattr(encoder, "choose_video_format", lambda: "webp")
    assert encoder.write_video(iter(frames(5)), Fraction(25), tmp_path) == "video.webp"
    with Image.open(tmp_path / "video.webp") as film:
        assert (film.format, film.n_frames, film.size) == ("WEBP", 5, (96, 64))
        film.seek(4)
        film.load()
        assert film.info["duration"] == 40
    assert encoder.most_frames() < encoder.MOST_FRAMES["mp4"]
