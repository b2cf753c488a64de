"""Learned signals in the jobs of a worker: probe, training, evaluation; the reward process gets them by name."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fakes.learned_providers import CountingProvider

from rewardsmith.contract.errors import WorkerFailed
from rewardsmith.contract.records import (
    EnvSpec,
    EvaluateJob,
    LearnedSignal,
    ProbeJob,
    RenderJob,
    TrainJob,
    TrainSettings,
)
from rewardsmith.sandbox.recorded import EpisodeFile, TransitionFile
from rewardsmith.worker import evaluate, probe
from rewardsmith.worker.training import train
from rewardsmith.worker.video import render_process

BRIGHTNESS = LearnedSignal("brightness", "fakes.learned_providers:FrameProvider", "a test")
SETTINGS = TrainSettings(n_envs=2, n_steps=32, batch_size=32, checkpoints=1)
PROGRAM = '"""Pay for each step."""\n\n\ndef reward(before, after):\n    return {"steps": after.told - before.told}\n'


def make_env(provider: str = "CountingProvider") -> EnvSpec:
    return EnvSpec("CartPole-v1", learned_signals=(LearnedSignal("told", f"fakes.learned_providers:{provider}", "x"),))


@pytest.fixture(autouse=True)
def _reset_counts():
    CountingProvider.opened = CountingProvider.calls = 0


def test_the_probe_records_learned_signals(tmp_path):
    result = probe.run(ProbeJob(make_env(), 0, 200), tmp_path)
    assert result.signals[0].name == "told"
    file = TransitionFile.in_folder(tmp_path)
    before, after, start = (file.read_signals(state, ["told"])["told"] for state in ("before", "after", "start"))
    np.testing.assert_array_equal(after - before, np.ones(200))
    assert not start.any() and (before == 0).sum() > 4


def test_a_program_is_paid_by_a_learned_signal(tmp_path):
    env = make_env()
    training = train.run(TrainJob(env, PROGRAM, "max(told)", 0, 256, SETTINGS), tmp_path)
    assert training.status == "ok", training.cause
    point = training.curve[-1]
    # One for each step: the return is the length, and so is the largest number of steps.
    assert point.terms == {"steps": 1.0}
    assert point.reward == point.length == point.fitness


def test_a_training_that_does_not_name_it_opens_no_provider(tmp_path):
    program = PROGRAM.replace("after.told - before.told", "0.0 * after.cart_position + 1.0")
    training = train.run(TrainJob(make_env(), program, "length", 0, 64, SETTINGS), tmp_path)
    assert training.status == "ok", training.cause
    assert CountingProvider.opened == CountingProvider.calls == 0


def test_an_evaluation_measures_and_records_it(tmp_path):
    result = evaluate.run(EvaluateJob(make_env(), None, "max(told)", tuple(range(20)), record=("told",)), tmp_path)
    assert [episode.fitness for episode in result.episodes] == [episode.length for episode in result.episodes]
    (columns, *_) = EpisodeFile.in_folder(tmp_path).read_columns([0], ["told"])
    assert columns.columns["told"].ravel()[-3:].tolist() == [result.episodes[0].length - left for left in (2, 1, 0)]
    assert CountingProvider.calls == 2


def test_a_provider_that_fails_fails_the_job_and_blames_no_program(tmp_path):
    env = replace(make_env("FailingProvider"))
    with pytest.raises(WorkerFailed, match="the learned signal 'told' failed: RuntimeError: the model is out of order"):
        train.run(TrainJob(env, PROGRAM, "length", 0, 64, SETTINGS), tmp_path)


def test_a_video_shows_terms_and_fitness_of_learned_signals(tmp_path):
    env = replace(make_env(), learned_signals=(*make_env().learned_signals, BRIGHTNESS))
    job = RenderJob(env, None, "mean(brightness)", 0, PROGRAM, width=160, height=120)
    video = render_process.film_episode(job, tmp_path)
    assert video.terms["steps"][:3] == (0.0, 1.0, 1.0) or video.terms["steps"][1] == 1.0
    assert video.fitness is not None and video.fitness > 0
