"""Comparison of programs: distances known in advance, and one line for what cannot be compared."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import rewardsmith
from rewardsmith.api.compare import ProgramComparison, compare_programs, find_program
from rewardsmith.cli.main import app
from rewardsmith.contract.errors import RunError

FORWARD = "def reward(after):\n    return {'speed': after.x_velocity}\n"
SCALED = "WEIGHTS = {'run': 3.0}\n\ndef reward(after):\n    return {'run': after.x_velocity}\n"
BACKWARD = "def reward(after):\n    return {'back': -after.x_velocity}\n"
HEIGHT = "def reward(after):\n    return {'up': after.torso_height}\n"
FAST = "def reward(after):\n    return {'speed': -after.x_velocity}\n"
FOREIGN = "def reward(after):\n    return {'pole': after.pole_angle}\n"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("programs")
    sources = {
        "forward": FORWARD,
        "scaled": SCALED,
        "backward": BACKWARD,
        "height": HEIGHT,
        "foreign": FOREIGN,
        "fast": FAST,
    }
    for name, source in sources.items():
        (folder / f"{name}.py").write_text(source, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def found(files: Path, tmp_path_factory: pytest.TempPathFactory) -> ProgramComparison:
    names = ("forward", "scaled", "backward", "height", "foreign")
    return compare_programs([str(files / f"{name}.py") for name in names], tmp_path_factory.mktemp("probe"), "hopper")


def test_a_positive_factor_makes_no_difference_and_a_sign_all(found: ProgramComparison) -> None:
    forward = found.distances[0]
    assert forward[:3] == pytest.approx((0.0, 0.0, 1.0), abs=1e-6)
    assert 0.1 < (forward[3] or 0.0) < 0.99


def test_a_program_of_another_environment_is_said_to_be_one(found: ProgramComparison) -> None:
    assert found.distances[0][4] is None
    assert "pole_angle" in (found.terms[4].problem or "")


def said(*arguments: str) -> tuple[int, str, str]:
    """Return what the command answers: its exit code, its output, its last line on stderr."""
    command = [sys.executable, "-m", "rewardsmith", "compare", *arguments]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=120)
    return answer.returncode, answer.stdout, answer.stderr.strip()


def test_opposite_rewards_are_said_to_be_opposite_whatever_their_terms_are_called(files: Path) -> None:
    names = ("forward", "backward", "fast", "scaled")
    code, text, _ = said(*(str(files / f"{name}.py") for name in names), "--env", "hopper")
    assert code == 0
    for line in ("A and B: opposite (STARC 1.00)", "A and D: equivalent up to scaling (STARC 0.00)",
                 "A's speed and B's back: opposite (r = -1.00)"):  # fmt: skip
        assert line in text.splitlines()
    code, text, _ = said(str(files / "forward.py"), str(files / "fast.py"), "--env", "hopper")
    assert "A's speed and B's speed: opposite (r = -1.00)" in text.splitlines()


def test_a_signal_that_does_not_exist_is_told_with_the_nearest_and_fails(files: Path, tmp_path: Path) -> None:
    (tmp_path / "typo.py").write_text("def reward(after):\n    return {'up': after.torso_hight}\n", encoding="utf-8")
    code, text, told = said(str(files / "forward.py"), str(tmp_path / "typo.py"), "--env", "hopper")
    assert code == 2
    assert "STARC distance" in text
    assert "typo.py: the environment has no signal 'torso_hight'; did you mean 'torso_height'" in told


@pytest.mark.parametrize("name", ["missing.py", "runs/missing", "missing:g0c01"])
def test_what_does_not_exist_is_no_file_and_no_run(tmp_path: Path, name: str) -> None:
    with pytest.raises(RunError, match="there is no reward file or run"):
        find_program(str(tmp_path / name))


def test_terms_are_told_with_what_pays_alike(found: ProgramComparison) -> None:
    (term,) = found.terms[1].terms
    assert (term.name, term.weight, term.share) == ("run", 3.0, pytest.approx(1.0))
    (like,) = found.correlations
    assert (like.first, like.second, like.correlation) == ("speed", "run", pytest.approx(1.0))


def test_files_alone_need_an_environment(files: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="--env"):
        compare_programs([str(files / "forward.py"), str(files / "backward.py")], tmp_path)


def test_a_run_brings_its_figures_and_its_transitions(files: Path, tmp_path: Path) -> None:
    settings = {
        "search.designer": "symbolic",
        "search.population": 2,
        "search.generations": 1,
        "search.env_steps": 2_048,
    }
    few = {"search.final_seeds": 2, "search.baseline": False, "evaluation.episodes": 1}
    result = rewardsmith.design("Hop.", "hopper", out=tmp_path / "run", settings=settings | few)
    best = find_program(str(tmp_path / "run"))
    assert best.reported == result.reported
    other = next(one.id for one in result.candidates if one.id != result.best.id)
    assert find_program(f"{tmp_path / 'run'}:{other}").reported is None
    with pytest.raises(RunError, match="g9c09"):
        find_program(f"{tmp_path / 'run'}:g9c09")
    answer = CliRunner().invoke(app, ["compare", str(tmp_path / "run"), str(files / "height.py"), "--diff"])
    assert answer.exit_code == 0, answer.output
    assert "STARC distance" in answer.output
    assert "torso_height" in answer.output
