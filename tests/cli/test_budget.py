"""`design --budget-steps` and `--budget-minutes`: the plan that a dry run shows, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rewardsmith.cli.main import app
from rewardsmith.contract.errors import ConfigError

COMMAND = ("design", "Hop", "--env", "Hopper-v5", "--designer", "symbolic", "--dry-run")


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work where no run says how fast trainings are."""
    monkeypatch.chdir(tmp_path)


def call(*options: str) -> str:
    """Return what a dry run prints.

    Raises:
        ConfigError: as the command does.
    """
    answer = CliRunner().invoke(app, [*COMMAND, *options])
    if isinstance(answer.exception, ConfigError):
        raise answer.exception
    return answer.stdout


def test_the_dry_run_shows_how_a_budget_is_divided() -> None:
    plan = json.loads(call("--budget-steps", "5400000", "--json"))
    assert (plan["trainings"], plan["env_steps"]) == (18, 5_400_000)
    text = call("--budget-steps", "5400000", "--set", "search.finalist_share=0.33")
    assert "Trainings  18 of 300,000 environment steps" in text
    assert "7 of new programs, 3 that choose between the best of them, 8 of the report" in text


def test_minutes_are_converted_by_the_speed_of_this_machine() -> None:
    few, many = (json.loads(call("--budget-minutes", minutes, "--json"))["trainings"] for minutes in ("4", "40"))
    assert 1 <= few < many


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--budget-steps", "1000"), "the least is --budget-steps 300000"),
        (("--budget-minutes", "0.1"), "the least is --budget-minutes 1.7"),
        (("--budget-steps", "5400000", "--population", "3"), "--population and --budget-steps contradict"),
        (("--budget-minutes", "30", "--steps", "3"), "--steps and --budget-minutes contradict"),
        (("--budget-steps", "5400000", "--budget-minutes", "3"), "give one of them"),
    ],
)
def test_a_budget_that_cannot_be_kept_is_refused_in_a_line(options: tuple[str, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as raised:
        call(*options)
    assert "\n" not in str(raised.value)


def test_the_dry_run_says_which_settings_need_earlier_generations() -> None:
    options = ("--set", "evolution.crossover=1")
    note = "Note: evolution.crossover: no effect, because this search has one generation"
    assert note in call("--generations", "1", *options)
    assert note not in call("--generations", "2", *options)
