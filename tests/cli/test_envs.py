"""`rewardsmith envs`: the description of any environment, and a new card for it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rewardsmith.cli.main import app
from rewardsmith.contract.errors import TaskError
from rewardsmith.spec.task_cards import load_card

PACKAGE = """
import gymnasium
import numpy as np


class Slide(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(-9.0, 9.0, (2,), np.float64)
    action_space = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place = self.np_random.uniform(-1.0, 1.0, 2)
        return self.place.copy(), {}

    def step(self, action):
        self.place = np.clip(self.place + 0.1 * float(action[0]), -9.0, 9.0)
        there = bool(abs(self.place[0]) < 0.1)
        return self.place.copy(), -abs(self.place[0]), False, False, self.told(there)

    def told(self, there):
        return {"is_success": there, "gap": abs(self.place[0]), "name": "slide"}


class Silent(Slide):
    def told(self, there):
        return {}


gymnasium.register("Slide-v0", Slide, max_episode_steps=20)
gymnasium.register("Silent-v0", Silent, max_episode_steps=20)
"""
SMALL = ["--population", "1", "--generations", "1", "--steps", "2048", "--designer", "symbolic"]
QUICK = ["--set", "search.final_seeds=0", "--set", "evaluation.episodes=2"]


def rewardsmith(folder: Path, *arguments: str, code: int = 0) -> str:
    command = [sys.executable, "-m", "rewardsmith", *arguments]
    answer = subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=120)
    assert answer.returncode == code, answer.stdout + answer.stderr
    return answer.stderr if code else answer.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder with a package of the user's own in it."""
    folder = tmp_path_factory.mktemp("envs")
    (folder / "my_package").mkdir()
    (folder / "my_package" / "__init__.py").write_text(PACKAGE)
    return folder


def test_describe_prints_all_that_an_environment_offers(folder):
    text = rewardsmith(folder, "envs", "describe", "Hopper-v5")
    for part in ("Box(-inf, inf, (11,)", "1,000 steps", "batched physics", "task card:     hopper", "thigh_velocity",
                 "xvelp[thigh]", "environment_reward", "reward_forward", "only a fitness may name it"):  # fmt: skip
        assert part in text


def test_describe_gives_programs_the_record(folder):
    probe = json.loads(rewardsmith(folder, "envs", "describe", "my_package:Slide-v0", "--json"))
    assert [signal["name"] for signal in probe["signals"]] == ["obs", "gap"]
    assert {entry["key"]: entry["decision"] for entry in probe["info"]} == {
        "is_success": "privileged",
        "gap": "signal",
        "name": "left out",
    }
    assert not probe["batched"]


def test_describe_says_what_is_near_an_unknown_id(folder):
    assert "near it: Hopper-v5" in rewardsmith(folder, "envs", "describe", "Hoper-v5", code=2)


def test_a_new_card_is_taken_as_the_environment_also_where_nothing_has_a_name(folder):
    told = rewardsmith(folder, "envs", "new", "my_package:Silent-v0")
    assert "the observation alone, `obs`, 2 numbers" in told
    unfilled = rewardsmith(folder, "design", "x", "--env", "silent.toml", "--model", "m", code=2)
    assert "its about and action still say 'FILL IN'; fill it in" in unfilled
    assert not (folder / "runs").exists()
    text = rewardsmith(folder, "design", "Go to the middle", "--env", "silent.toml", *SMALL, *QUICK, "--out", "run")
    assert "The best program" in text
    assert "the observation alone, `obs`" in text
    again = rewardsmith(folder, "envs", "new", "my_package:Silent-v0", code=2)
    assert "exists; choose another file" in again


def answer_here(*arguments: str):
    """Run a verb that needs no worker in this process."""
    return CliRunner().invoke(app, ["envs", *arguments])


@pytest.mark.parametrize("arguments", [[], ["list"], ["--json"]])
def test_without_a_name_the_cards_are_listed(arguments):
    assert "Hopper-v5" in answer_here(*arguments).stdout


@pytest.mark.parametrize("arguments", [["hopper"], ["show", "hopper"], ["hopper", "--json"]])
def test_a_name_shows_its_card(arguments):
    assert "torso_height" in answer_here(*arguments).stdout


def test_help_names_the_verbs():
    assert "describe" in answer_here("--help").stdout


def test_a_missing_card_s_file_is_named():
    error = answer_here("nowhere.toml").exception
    assert isinstance(error, TaskError)
    assert "cannot read the task card 'nowhere.toml'" in str(error)


def test_baseline_writes_the_random_figure_into_a_card(folder, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    rewardsmith(folder, "envs", "new", "my_package:Slide-v0", "--out", "slide.toml")
    assert 'fitness = "any(is_success)"' in (folder / "slide.toml").read_text()
    assert "100 episodes" in rewardsmith(folder, "baseline", "slide.toml", "--seeds", "0", "--write")
    anchor = load_card(folder / "slide.toml").anchors[0]
    assert anchor.policy == "random"
    assert 0.0 <= anchor.fitness <= 1.0


def test_figures_without_a_card_cannot_be_written():
    error = CliRunner().invoke(app, ["baseline", "Some-v0", "--fitness", "length", "--write"]).exception
    assert isinstance(error, TaskError)
    assert "no task card to write into" in str(error)


def test_a_card_s_figures_are_shown_with_it_and_in_the_plan():
    shown = answer_here("hopper_back_flip").stdout
    assert "any(torso_height < 0.3)" in shown
    assert "share of episodes in which the torso comes down" in shown
    plan = CliRunner().invoke(app, ["design", "Flip", "--env", "hopper_back_flip", "--dry-run"]).stdout
    assert "metric fell = any(torso_height < 0.3)" in plan
    assert "metric" not in answer_here("hopper").stdout


def test_baseline_tells_the_figures_beside_the_fitness(folder, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    rewardsmith(folder, "envs", "new", "my_package:Slide-v0", "--out", "beside.toml")
    card = folder / "beside.toml"
    beside = '[figures]\nfar = { expression = "max(gap)", meaning = "how far it came off" }\n\n[signals]'
    card.write_text(card.read_text().replace("[signals]", beside))
    text = rewardsmith(folder, "baseline", "beside.toml", "--seeds", "0")
    (line,) = (line for line in text.splitlines() if " far " in line)
    assert "100 episodes" in line
    assert "[" in line
    (measured,) = map(json.loads, rewardsmith(folder, "baseline", "beside.toml", "--seeds", "0", "--json").splitlines())
    assert len(measured["metrics"]["far"]["values"]) == 100


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--env-kwargs", "[1]"], "must be a JSON object"),
        (["--pass-env", "OPENAI_API_KEY"], "looks like a key"),
        (["--pass-env", "NOT_SET_ANYWHERE"], "NOT_SET_ANYWHERE, which is not set"),
    ],
)
@pytest.mark.parametrize(
    "command",
    [
        ["envs", "describe", "CartPole-v1"],
        ["design", "Go", "--env", "hopper", "--dry-run"],
        ["baseline", "hopper", "--seeds", "0"],
    ],
)
def test_wrong_options_of_an_environment_are_refused_before_a_worker_starts(command, options, says):
    result = CliRunner().invoke(app, [*command, *options])
    assert isinstance(result.exception, (TaskError, SystemExit))
    assert says in f"{result.exception}{result.output}"


def test_describe_gives_nested_arguments_to_the_environment(folder):
    text = rewardsmith(folder, "envs", "describe", "my_package:Slide-v0", "--env-kwargs", '{"a": {"b": [1]}}', code=2)
    assert "cannot be made with (a={'b': [1]})" in text


def test_results_of_another_environment_are_not_written_into_a_card():
    result = CliRunner().invoke(app, ["baseline", "hopper", "--write", "--env-kwargs", '{"frame_skip": 2}'])
    assert "leave --env-kwargs out" in str(result.exception)


def test_options_of_an_environment_need_the_environment_that_compare_uses(tmp_path):
    result = CliRunner().invoke(app, ["compare", "a.py", "b.py", "--env-kwargs", "{}"])
    assert "give --env too" in str(result.exception)
