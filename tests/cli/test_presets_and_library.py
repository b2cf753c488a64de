"""`rewardsmith presets` and `library`, and `design` with a preset, with roles and with a user's program."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fakes.paths import REWARDS
from typer.testing import CliRunner

from rewardsmith.cli.main import app
from rewardsmith.contract.errors import UserError

GOOD = REWARDS / "hopper_good.py"
HOPPER = ("design", "Hop", "--env", "Hopper-v5")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REWARDSMITH_LIBRARY", str(tmp_path / "library"))
    monkeypatch.chdir(tmp_path)


def said(*arguments: str) -> str:
    result = CliRunner().invoke(app, arguments)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def test_presets_are_listed_the_default_first() -> None:
    rows = [line.split() for line in said("presets").splitlines()[1:]]
    assert [row[0] for row in rows] == ["smith", "auto-mc-reward", "calm", "eureka", "symbolic", "text2reward"]


def test_a_preset_is_shown_with_its_sources() -> None:
    assert "population = 16         # Eureka's paper" in said("presets", "show", "eureka")


def test_the_verbs_of_presets_may_be_left_out() -> None:
    assert said("presets", "eureka") == said("presets", "show", "eureka")
    assert said("presets") == said("presets", "list")


def test_two_presets_are_compared() -> None:
    rows = {row["key"]: row for row in json.loads(said("presets", "diff", "smith", "auto-mc-reward", "--json"))}
    assert rows["designer.form"] == {"key": "designer.form", "smith": "terms", "auto-mc-reward": "sparse-dense"}
    assert "critic.review" in said("presets", "diff", "smith", "auto-mc-reward")
    assert "no difference" in said("presets", "diff", "smith", "smith")


def test_a_plan_follows_the_preset_and_the_roles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    plan = json.loads(
        said(*HOPPER, "--preset", "auto-mc-reward", "--model", "m", "--model", "critic=z", "--dry-run", "--json")
    )
    assert plan["config"]["designer"]["form"] == "sparse-dense"
    assert plan["config"]["llm"]["model"] == "m"
    assert plan["config"]["llm"]["roles"] == {"critic": {"model": "z"}}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--preset", "erueka", "--dry-run"), "did you mean 'eureka'"),
        (("--preset", "none.toml", "--dry-run"), r"cannot read the configuration 'none\.toml'"),
        (("--preset", "eureka", "--designer", "symbolic", "--dry-run"), "reads no prompt"),
        (("--preset", "eureka"), "no language model is named for the designer"),
        (("--model", "crtic=z", "--dry-run"), "there is no role 'crtic'"),
        (("--model", "a", "--model", "b", "--dry-run"), "named twice"),
        (("--model", "critic=a", "--model", "critic=b", "--dry-run"), "critic is named twice"),
        (("--seed-reward", "none.py", "--designer", "symbolic"), "cannot read the reward file"),
        (("--seed-reward", "none.py", "--designer", "symbolic", "--dry-run"), "cannot read the reward file"),
        (("--seed-reward", "prose.py", "--designer", "symbolic"), "defines no function `reward`"),
    ],
)
def test_a_mistake_is_told_and_leaves_nothing(tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    (tmp_path / "prose.py").write_text("WEIGHTS = {'up': 1.0}\n")
    with pytest.raises(UserError, match=message):
        said(*HOPPER, *arguments)
    assert not (tmp_path / "runs").exists()


def test_a_program_is_added_found_and_removed() -> None:
    said("library", "add", str(GOOD), "--task", "Hop as far as you can", "--env", "Hopper-v5", "--name", "hop")
    found = json.loads(said("library", "search", "hopping far", "--json"))
    assert (found[0]["name"], found[0]["env_id"]) == ("hop", "Hopper-v5")
    assert "Hop as far as you can" in said("library")
    said("library", "remove", "hop")
    assert "Hop as far as you can" not in said("library", "list")


def test_words_of_no_task_find_nothing() -> None:
    assert "The library has no such program" in said("library", "search", "zzz")


def test_a_run_knows_its_own_task(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="a run knows its own"):
        said("library", "add", str(tmp_path), "--task", "x")
