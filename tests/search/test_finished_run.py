"""The directory of a finished run: its values follow from the recordings, and it holds no secret."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fakes.paths import FIXTURES

from rewardsmith.contract import records
from rewardsmith.contract.fitness import Fitness, Rollout
from rewardsmith.contract.records import EvaluateJob, Evaluation, Result
from rewardsmith.report.tables import render_svg

KEY = "sk-planted-9f8e7d6c5b4a"
LEDGER = FIXTURES / "half_cheetah_ledger.jsonl"
TASK = "Run forward as fast as you can, on the feet and never on the back"
SMALL = ["--generations", "1", "--population", "4", "--steps", "4096", "--set", "search.final_seeds=1"]
AS_RECORDED = ["--set", "llm.replay_by=position"]


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A replayed search, run with a key in the environment."""
    out = tmp_path_factory.mktemp("finished") / "run"
    command = [sys.executable, "-m", "rewardsmith", "design", TASK, "--env", "HalfCheetah-v5", "--out", str(out)]
    replay = ["--llm-replay", str(LEDGER), "--set", "evaluation.episodes=3", "--set", "evaluation.final_episodes=3"]
    secrets = {"OPENAI_API_KEY": KEY, "AWS_SECRET_ACCESS_KEY": KEY, "OPENAI_BASE_URL": f"http://u:{KEY}@127.0.0.1:9/v1"}
    answer = subprocess.run(
        [*command, *SMALL, *AS_RECORDED, *replay], capture_output=True, text=True, env=os.environ | secrets, timeout=300
    )
    assert answer.returncode == 0, answer.stderr
    assert KEY not in answer.stdout + answer.stderr
    return out


def test_no_file_of_a_run_holds_the_key(run):
    files = [path for path in run.rglob("*") if path.is_file()]
    assert len(files) > 30
    assert [path for path in files if KEY.encode() in path.read_bytes()] == []


def test_every_reported_fitness_follows_from_the_recorded_episodes(run):
    folders = sorted(path.parent for path in run.rglob("episodes.npz"))
    assert len(folders) >= 6
    for folder in folders:
        job = records.load(EvaluateJob, json.loads((folder / "job.json").read_text()))
        evaluation = records.read(Evaluation, folder / "result.json")
        fitness = Fitness.parse(job.fitness)
        with np.load(folder / "episodes.npz", allow_pickle=False) as arrays:
            recomputed = [
                fitness.evaluate(
                    Rollout(
                        signals={name: arrays[f"{index}/{name}"] for name in fitness.names},
                        start={name: arrays[f"{index}/start/{name}"] for name in fitness.names},
                        actions=arrays[f"{index}/action"],
                        terminated=episode.terminated,
                    )
                )
                for index, episode in enumerate(evaluation.episodes)
            ]
        assert recomputed == [episode.fitness for episode in evaluation.episodes]
        assert evaluation.fitness == pytest.approx(float(np.mean(recomputed)), rel=1e-12)


def test_a_candidates_fitness_is_the_mean_of_its_evaluations(run):
    result = records.read(Result, run / "result.json")
    for candidate in result.candidates:
        figures = [evaluation.fitness for evaluation in candidate.evaluations]
        assert candidate.fitness == pytest.approx(float(np.mean(figures)))


def test_a_program_cannot_smuggle_markup_into_the_picture(run):
    result = records.read(Result, run / "result.json")
    hostile = "<script>alert(1)</script>\x1b[2J"
    candidate = replace(result.best, cause=hostile, proposal=replace(result.best.proposal, source=hostile))
    drawn = render_svg(replace(result, best=candidate, candidates=(candidate,), task=hostile))
    assert "<script>" not in drawn
    assert "alert(1)" in drawn
    assert "\x1b" not in drawn


def test_the_evaluator_is_told_no_program(run):
    for job in run.rglob("eval-*/job.json"):
        told = json.loads(job.read_text())
        assert "program" not in told
        assert "def reward" not in job.read_text()
