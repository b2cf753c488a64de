"""Probes, evaluations, films and exports of a task of mjlab, and its jobs in a process that stays."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fakes.lab_case import BALANCE, NEEDS_MJLAB, PROGRAM, SPEC, TO_THE_LAST_BIT, lab_job

from rewardsmith.contract import records
from rewardsmith.contract.errors import TaskError, WorkerFailed
from rewardsmith.contract.records import EnvSpec, EvaluateJob, ExportJob, ProbeJob
from rewardsmith.executors.local import LocalExecutor
from rewardsmith.executors.render_job import render_job_for_episode
from rewardsmith.sandbox.recorded import EpisodeFile, TransitionFile
from rewardsmith.spec.task_cards import load_cards
from rewardsmith.worker.mjlab import evaluate, probe, train
from rewardsmith.worker.training import policy

pytestmark = NEEDS_MJLAB
FITNESS = "mean(cos(angle))"
SEEDS = (5, 6, 7)


@pytest.fixture(scope="module")
def owner(tmp_path_factory):
    """Give the folder of a candidate with a trained policy and its evaluation."""
    folder = tmp_path_factory.mktemp("owner")
    (folder / "training").mkdir()
    (folder / "evaluation").mkdir()
    train.run(lab_job(), folder / "training")
    job = EvaluateJob(
        SPEC, str(folder / "training"), FITNESS, SEEDS, ("place", "pole"), metrics={"own": "sum(environment_reward)"}
    )
    records.write(job, folder / "evaluation/job.json")
    records.write(evaluate.run(job, folder / "evaluation"), folder / "evaluation/result.json")
    return folder


def read_evaluation(owner):
    return records.read(EvaluateJob, owner / "evaluation/job.json"), records.read(
        records.Evaluation, owner / "evaluation/result.json"
    )


def test_a_probe_lists_signals_and_records_episodes_in_order(tmp_path):
    found = probe.run(ProbeJob(replace(SPEC, signals=()), 0, 100), tmp_path)
    names = {signal.name: signal.source for signal in found.signals}
    assert names["cartpole_hinge_1_angle"] == "qpos[cartpole/hinge_1]" and "cartpole_pole_1_velocity" in names
    assert [signal.name for signal in found.privileged_signals] == ["environment_reward"]
    assert (found.max_episode_steps, found.observation_shape, found.action_shape) == (12, (5,), (1,))
    assert found.action_names == ("slider",)
    with np.load(tmp_path / "transitions.npz") as arrays:
        assert arrays["step"][:13].tolist() == [*range(12), 0] and len(arrays["step"]) == 100
        assert not arrays["terminated"].any()
        assert np.isfinite(arrays["after/cartpole_hinge_1_angle"]).all()
    assert TransitionFile.in_folder(tmp_path).read_action().shape == (100, 1)


@TO_THE_LAST_BIT
def test_the_same_seeds_give_the_same_episodes_on_the_cpu(owner, tmp_path):
    job, result = read_evaluation(owner)
    assert result.status == "ok" and [episode.length for episode in result.episodes] == [12, 12, 12]
    assert len({episode.fitness for episode in result.episodes}) == 3
    assert all(0.0 < episode.metrics["own"] < 12 * 0.05 for episode in result.episodes)
    assert evaluate.run(job, tmp_path).episodes == result.episodes
    assert evaluate.run(replace(job, seeds=(8, 9)), tmp_path).episodes[0].fitness != result.episodes[0].fitness


def test_the_recorded_signals_and_positions_belong_together(owner):
    with np.load(owner / "evaluation/states.npz") as states:
        for index in range(3):
            rollout = EpisodeFile.in_folder(owner / "evaluation").read_rollout(index, False)
            assert states[str(index)].shape == (13, 2)
            np.testing.assert_array_equal(rollout.signals["place"], states[str(index)][1:, 0])
            assert rollout.start["place"] == states[str(index)][0, 0]


def test_a_policy_of_another_environment_is_refused(owner, tmp_path):
    wide = policy.load(owner / "training")
    tensors = {**wide.tensors, "actor.0.weight": np.zeros((64, 9), np.float32)}
    policy.save(policy.Policy(wide.spec, tensors), tmp_path)
    with pytest.raises(WorkerFailed, match="the policy takes observations of 9 numbers"):
        evaluate.run(EvaluateJob(SPEC, str(tmp_path), FITNESS, SEEDS), tmp_path)


@pytest.mark.parametrize("motion", ["none", "largest"])
def test_a_scripted_motion_acts_in_place_of_a_policy(motion, tmp_path):
    job = EvaluateJob(SPEC, None, "mean(last_action[:, 0])", SEEDS, motion=motion)
    assert evaluate.run(job, tmp_path).fitness == (0.0 if motion == "none" else 1.0)


# Warp compiles the kernels of each robot for a minute.
CARDS = [
    pytest.param(task, id=task.name, marks=[] if "Cartpole" in task.env.env_id else pytest.mark.slow)
    for task in load_cards()
    if task.env.env_id.startswith("mjlab:")
]
UNMOVED = ("floor_force",)
"""Signals that random actions do not reach."""


@pytest.mark.parametrize("task", CARDS)
def test_the_signals_of_a_card_can_be_gathered_and_its_fitness_measured(task, tmp_path):
    probe.run(ProbeJob(task.env, 0, 80), tmp_path)
    with np.load(tmp_path / "transitions.npz") as arrays:
        for signal_ in task.env.signals:
            values = arrays[f"after/{signal_.name}"]
            assert values.shape == (80, *signal_.shape) and np.isfinite(values).all()
            assert np.ptp(values) > 0 or signal_.name in UNMOVED, signal_.name
    short = replace(task.env, max_episode_steps=10)
    result = evaluate.run(EvaluateJob(short, None, task.fitness, SEEDS, metrics=task.metric_expressions), tmp_path)
    assert result.status == "ok" and result.fitness is not None


def test_jobs_run_in_one_process_that_stays_and_a_crash_costs_one_of_them(owner, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    executor = LocalExecutor(2)
    try:
        job = lab_job()
        first = executor.run(job, tmp_path / "training")
        (pid,) = find_residents()
        assert first.status == "ok"
        with pytest.raises(TaskError, match="mjlab has no task"):
            executor.run(lab_job(env=EnvSpec(f"{BALANCE}d")), tmp_path / "unknown")
        evaluation = EvaluateJob(SPEC, "training", FITNESS, SEEDS)
        before = executor.run(evaluation, tmp_path / "before")
        assert find_residents() == [pid]

        os.kill(pid, signal.SIGKILL)
        after = executor.run(evaluation, tmp_path / "after")
        assert after.status == before.status == "ok"
        assert find_residents() != [pid]

        # What needs no GPU runs beside: a film from the recorded positions, and the policy as ONNX
        film = replace(render_job_for_episode("g0c00", owner / "evaluation", SEEDS[1]), program=PROGRAM)
        video = executor.run(film, tmp_path / "film")
        _, recorded = read_evaluation(owner)
        assert (video.length, video.fitness) == (12, recorded.episodes[1].fitness)
        assert (tmp_path / "film" / video.file).stat().st_size > 1_000 and set(video.terms) == {"upright", "centre"}
        assert executor.run(ExportJob(SPEC, str(tmp_path / "training"), "onnx"), tmp_path / "onnx").obs_dim == 5
    finally:
        executor.close()
    assert find_residents() == []

    import onnxruntime

    session = onnxruntime.InferenceSession(tmp_path / "onnx/policy.onnx")
    obs = np.random.default_rng(0).normal(size=(4, 5))
    expected = policy.load(tmp_path / "training").act(obs)
    np.testing.assert_allclose(session.run(None, {"observation": obs})[0], expected, atol=1e-5)


def find_residents():
    """Return the processes that stay, of the worker that this process started."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            command = (path / "cmdline").read_bytes()
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            grandparent = int(Path(f"/proc/{parent}/stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, IndexError, ValueError):
            continue
        if b"rewardsmith.worker.residents" in command and grandparent == os.getpid():
            found.append(int(path.name))
    return found
