"""The demo: its recorded answers are in the package, and a small demo runs from the replay to the videos."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rewardsmith.api import demo
from rewardsmith.cli.main import app
from rewardsmith.contract import opengl
from rewardsmith.llm.ledger import read_ledger
from rewardsmith.search.storage import Run

MAX_BYTES = 300_000
TINY = ("--steps", "2048")


def call_demo(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Call the demo in a folder, with a dead endpoint and settings that would need more model calls."""
    misleading = {"OPENAI_BASE_URL": "http://127.0.0.1:9/v1", "REWARDSMITH_CRITIC__REVIEW": "true"}
    command = [sys.executable, "-m", "rewardsmith", "demo", *options]
    return subprocess.run(
        command, capture_output=True, text=True, cwd=folder, env=os.environ | misleading, timeout=3600
    )


def test_the_answers_are_one_whole_recorded_generation() -> None:
    answers = demo.find_recorded_answers()
    entries = read_ledger(answers)
    assert [(entry.role, entry.sample) for entry in entries] == [("designer", n) for n in range(demo.POPULATION)]
    assert all("def reward(" in entry.answer.text and not entry.request.messages for entry in entries)
    assert answers.stat().st_size < MAX_BYTES


def test_a_dry_run_needs_no_key_and_writes_nothing(tmp_path: Path) -> None:
    answer = call_demo(tmp_path, "--dry-run")
    assert answer.returncode == 0, answer.stderr
    assert "Trainings  14 of 100,000 environment steps" in answer.stdout
    assert not list(tmp_path.iterdir())


def test_the_symbolic_demo_asks_no_model() -> None:
    plan = demo.plan_demo(symbolic=True, variables={})
    assert (plan.config.search.designer, plan.calls, plan.task.env.env_id) == ("symbolic", 0, "Hopper-v5")


def test_only_settings_of_the_machine_are_taken_from_the_environment() -> None:
    plan = demo.plan_demo(variables={"REWARDSMITH_JOBS": "1", "REWARDSMITH_SEARCH__SEEDS": "5"})
    assert (plan.config.jobs, plan.config.search.seeds) == (1, 1)


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """Run a demo with trainings of one rollout, in a folder of its own."""
    folder = tmp_path_factory.mktemp("demo")
    return folder, call_demo(folder, *TINY)


def test_a_demo_trains_every_recorded_program_and_the_baseline(played) -> None:
    folder, answer = played
    assert answer.returncode == 0, answer.stderr
    result = Run.open(folder / "runs" / "demo").read_result()
    assert [candidate.status for candidate in result.candidates] == ["ok"] * demo.POPULATION
    assert result.spent.calls == 0
    assert len(result.reported.values) == len(result.baselines.environment_reward.values) == demo.FINAL_SEEDS
    assert [metric.name for metric in result.metrics] == ["flips", "fell"]


def test_a_demo_ends_with_verdict_program_files_and_next_commands_in_this_order(played) -> None:
    _, answer = played
    end = answer.stdout[answer.stdout.index("environment reward") :]
    marks = (
        "this reward",
        "def reward(",
        "runs/demo/report.html",
        "rewardsmith export runs/demo",
        "rewardsmith design",
    )
    places = [end.index(mark) for mark in marks]
    assert places == sorted(places)
    assert "no film" in answer.stderr or end.count(f".{opengl.choose_video_format()}") == 2


def test_the_report_shows_the_films_that_were_made(played) -> None:
    folder, answer = played
    if "no film" in answer.stderr:
        pytest.skip("this machine cannot render")
    page = (folder / "runs" / "demo" / "report.html").read_text(encoding="utf-8")
    assert "environment-reward, episode" in page
    assert "final, episode" in page


def test_a_second_call_shows_the_same_result_and_trains_nothing(played) -> None:
    folder, first = played
    journal = folder / "runs" / "demo" / "journal.jsonl"
    before = journal.read_bytes()
    again = call_demo(folder, *TINY)
    assert again.returncode == 0, again.stderr
    assert "runs/demo is finished" in again.stderr
    assert "rewardsmith demo --seed 1" in again.stderr
    assert journal.read_bytes() == before
    assert first.stdout.endswith(again.stdout)


def test_a_folder_with_another_search_is_refused(played, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, _ = played
    monkeypatch.chdir(folder)
    answer = CliRunner().invoke(app, ["demo"])
    assert "runs/demo holds another search" in str(answer.exception)


@pytest.mark.slow
def test_the_demo_wins_against_the_environment_reward(tmp_path: Path) -> None:
    answer = call_demo(tmp_path)
    assert "Better than the environment reward" in answer.stdout, answer.stdout + answer.stderr
