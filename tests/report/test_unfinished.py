"""Candidates of an interrupted search, read from its journal."""

from __future__ import annotations

from pathlib import Path

from fakes.played_runs import make_finished_run, write_program
from typer.testing import CliRunner

from rewardsmith.cli.main import app
from rewardsmith.report.unfinished import load_unfinished_candidates
from rewardsmith.search.storage import Run


def interrupted(folder: Path) -> Run:
    """Return a run whose second candidate was never finished."""
    run = make_finished_run(folder, [[write_program(up=1.0), write_program(up=2.0)]])
    run.layout.result.unlink()
    run.layout.candidate_record("g0c01").unlink()
    return run


def test_a_candidate_without_a_status_is_listed_with_what_is_done(tmp_path):
    run = interrupted(tmp_path / "run")
    (candidate,) = load_unfinished_candidates(run)
    assert candidate.id == "g0c01"
    assert candidate.proposal is not None
    text = CliRunner().invoke(app, ["show", str(run.path)]).stdout
    assert "g0c00" in text
    assert f"g0c01       {candidate.describe(run.config.search.seeds)}" in text
    assert "resume it with: rewardsmith resume" in text


def test_its_program_can_be_shown(tmp_path):
    run = interrupted(tmp_path / "run")
    text = CliRunner().invoke(app, ["show", str(run.path), "--candidate", "g0c01"]).stdout
    assert "def reward" in text
