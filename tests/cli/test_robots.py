"""Robots at the command line: a plan, a description, a card, and a whole run from a model's file."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from fakes.played_runs import make_finished_run
from fakes.robots import write_puppy
from typer.testing import CliRunner

from rewardsmith.api import randomisation_proposals
from rewardsmith.cli.main import app
from rewardsmith.contract.errors import ConfigError, RunError
from rewardsmith.contract.records.randomisation import ParameterSweep, RandomisationPrior, RandomisationProposal
from rewardsmith.report.export import trained_policy
from rewardsmith.search import trusted_runs
from rewardsmith.search.storage import Run
from rewardsmith.spec.task_cards import load_card


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store of robots, the confirmed runs and the current folder of each test are its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)


def invoke(*arguments: str) -> str:
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, (result.output, result.exception)
    return result.output


def test_ranges_of_randomisation_are_printed_as_a_section_of_the_card(tmp_path, monkeypatch):
    found = RandomisationPrior("final", 2.0, 0.0, 1.5, {"friction": ParameterSweep(0.5, 1.25, {"1": 2.0})})
    chosen = RandomisationProposal({"friction": (0.6, 1.2)}, "Floors differ.", "small")
    monkeypatch.setattr(randomisation_proposals, "check_robot", lambda run: None)
    monkeypatch.setattr(randomisation_proposals, "propose_randomisation", lambda *_: (found, chosen))
    monkeypatch.setattr(trained_policy, "choose_policy", lambda run, owner: owner)
    make_finished_run(tmp_path / "run")
    text = invoke("envs", "randomise", "run")
    assert "final: fitness 2, random actions 0; it performs with 1.5 or more" in text
    assert "friction   0.5 to 1.25  0.6 to 1.2" in text and "small: Floors differ." in text
    assert "[randomisation]\nfriction = [0.6, 1.2]" in text and "--env CARD.toml" in text


def test_a_run_without_a_robot_has_no_randomisation(tmp_path):
    make_finished_run(tmp_path / "run")
    result = CliRunner().invoke(app, ("envs", "randomise", "run"))
    assert isinstance(result.exception, ConfigError) and "is no robot from a model file" in str(result.exception)


def test_a_robot_is_described_and_its_new_card_describes_the_same_environment(tmp_path):
    write_puppy(tmp_path)
    text = invoke("envs", "describe", "--robot", "puppy.xml", "--action", "delta")
    assert "stepped:       together, on batched physics" in text
    assert "height" in text and "front_ground_force" in text and "It ends when height < 0.086 or upright < 0.5" in text
    invoke("envs", "new", "--robot", "puppy.xml", "--action", "delta", "--out", "card.toml")
    card = load_card(Path("card.toml"))
    assert card.env.kwargs["action"] == "delta"
    assert card.env.kwargs["end"] == "height < 0.086 or upright < 0.5"
    assert "robot/puppy" in invoke("envs", "describe", "card.toml")


def test_a_plan_of_a_robot_has_no_baseline(tmp_path):
    write_puppy(tmp_path)
    text = invoke("design", "Walk", "--robot", "puppy.xml", "--fitness", "last(height)", "--dry-run", "--seeds", "1")
    assert "robot/puppy" in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "name an environment or a robot .*neither is given"),
        (("--robot", "puppy.xml", "--env", "Hopper-v5"), "one of the two; both are given"),
        (("--env", "Hopper-v5", "--action", "torque"), "--action belongs to a robot"),
    ],
)
def test_a_robot_or_an_environment_is_named_and_one_of_the_two(tmp_path, arguments, said):
    write_puppy(tmp_path)
    result = CliRunner().invoke(app, ("design", "Walk", *arguments, "--dry-run"))
    assert isinstance(result.exception, ConfigError)
    with pytest.raises(ConfigError, match=said):
        raise result.exception


def test_a_run_trains_a_robot_from_its_file_and_another_machine_asks_before_it_goes_on(tmp_path, monkeypatch):
    write_puppy(tmp_path)
    program = tmp_path / "stand.py"
    program.write_text('def reward(after):\n    return {"up": after.upright}\n', encoding="utf-8")
    invoke(
        "train",
        str(program),
        "--env",
        "puppy.xml",
        "--fitness",
        "mean(upright)",
        "--steps",
        "4096",
        "--out",
        "run",
        "--set",
        "evaluation.final_episodes=4",
    )
    result = Run.open(Path("run")).read_result()
    assert result is not None and result.reported is not None and 0.5 < result.reported.mean <= 1.0
    assert Path("run/robot/puppy.xml").is_file()

    # The robot's own file is gone, and the run lies on another machine.
    Path("puppy.xml").unlink()
    shutil.copytree("run", "foreign")
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "other" / name))
    foreign = Run.open(Path("foreign"))
    with pytest.raises(RunError, match=r"simulates the robot in its folder robot/ with .*--trust"):
        trusted_runs.check_trusted(foreign)
    invoke("resume", "foreign", "--trust")
    trusted_runs.check_trusted(foreign)
    invoke("video", "foreign", "--size", "160x120")
    assert list(Path("foreign").rglob("*.mp4")) or list(Path("foreign").rglob("*.webp"))
