"""Presets: files that are read or refused as a whole, each key with its source, below all settings of the user."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rewardsmith.api import planning
from rewardsmith.contract.errors import ConfigError
from rewardsmith.spec import presets
from rewardsmith.spec.config import Config, resolve_config

TASK = ("Hop", "Hopper-v5")


@pytest.mark.parametrize("name", presets.list_preset_names())
def test_every_key_of_a_preset_says_where_it_comes_from(name: str) -> None:
    keys = [line for line in presets.load_preset(name).text.splitlines() if re.match(r"\w+ *=", line)]
    assert keys[0].startswith("about")
    assert [line for line in keys[1:] if not re.search(r"# \S.{6,}", line)] == []


def test_the_default_preset_changes_nothing() -> None:
    assert resolve_config(presets.load_preset("smith").layer) == Config()


@pytest.mark.parametrize("name", ["eureka", "text2reward", "auto-mc-reward"])
def test_a_preset_that_imitates_a_publication_has_no_finalists(name: str) -> None:
    assert resolve_config(presets.load_preset(name).layer).search.finalist_trainings == 0


def test_eureka_is_sixteen_by_five_in_one_conversation_from_the_best_of_the_last() -> None:
    config = resolve_config(presets.load_preset("eureka").layer)
    search, told = config.search, config.designer
    assert (search.population, search.generations, search.max_repairs) == (16, 5, 0)
    assert (told.conversation, told.history, told.emphasis, told.tips) == (True, 1, False, True)
    assert (config.evolution.selection, config.llm.temperature) == ("greedy-last", 1.0)


def test_text2reward_shows_a_class_and_an_example_of_another_environment() -> None:
    config = resolve_config(presets.load_preset("text2reward").layer)
    assert (config.search.population, config.designer.view, config.designer.examples) == (1, "class", 1)
    assert not config.designer.examples_same_env
    assert config.designer.conversation


def test_auto_mc_reward_has_three_roles_and_counts_signs() -> None:
    config = resolve_config(presets.load_preset("auto-mc-reward").layer)
    assert config.roles == ("designer", "critic", "analyzer")
    assert (config.critic.rounds, config.search.max_repairs) == (3, 3)
    assert (config.designer.form, config.designer.sparse_weight, config.designer.dense_weight) == (
        "sparse-dense",
        1.0,
        0.1,
    )


def test_a_preset_lies_over_the_defaults_and_under_everything_else(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("[search]\npopulation = 7\n")
    options = {"preset": "eureka", "llm": {"model": "m"}}
    config = planning.plan_search(*TASK, file=file, overrides=options, variables={}).config
    assert (config.preset, config.search.population, config.search.generations) == ("eureka", 7, 5)
    assert config.search.env_steps != Config().search.env_steps  # the card's


def test_a_preset_is_named_by_file_environment_or_option_the_last_one_winning(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('preset = "eureka"\n')
    environment = {"REWARDSMITH_PRESET": "text2reward"}
    model = {"llm": {"model": "m"}}
    assert planning.plan_search(*TASK, file=file, overrides=model, variables={}).config.search.population == 16
    assert planning.plan_search(*TASK, file=file, overrides=model, variables=environment).config.designer.examples == 1
    smith = planning.plan_search(*TASK, file=file, overrides={"preset": "smith"}, variables=environment).config
    assert (smith.preset, smith.search.population) == ("smith", 4)


def test_a_preset_of_ones_own_is_a_file(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text('about = "two at a time"\n[search]\npopulation = 2\n')
    assert presets.load_preset(str(file)).about == "two at a time"
    config = planning.plan_search(*TASK, overrides={"preset": str(file)}, variables={}).config
    assert config.search.population == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[search]\npoplation = 2\n", "did you mean 'population'"),
        ('preset = "eureka"\n', "names no other preset"),
        ("about = 3\n", "`about` is a line of text"),
        ("[designer]\nconversation = true\nhistory = 0\n", "designer.history must be 1 or more"),
        ("[designer]\nreflection = false\n[analyzer]\nmodel_reads = true\n", "designer.reflection = false leaves it"),
    ],
)
def test_a_file_that_is_no_preset_is_told_in_a_line(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "own.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=message):
        presets.load_preset(str(file))


def test_a_preset_that_does_not_exist_is_told_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"no preset 'erueka' .*; did you mean 'eureka'"):
        presets.load_preset("erueka")


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ({"search": {"designer": "symbolic"}}, r"'symbolic' reads no prompt, so designer\.history"),
        ({"evolution": {"crossover": 1}}, r"evolution\.crossover must be 0"),
        ({"designer": {"history": 0}}, r"designer\.history must be 1 or more"),
        ({"designer": {"edits": "diff"}}, r"designer\.edits was removed: .*; delete it"),
        ({"designer": {"dense_weight": 0.5}}, r"belong to designer\.form = 'sparse-dense'"),
        ({"critic": {"review": True}}, "search.max_repairs of 1 or more"),
    ],
)
def test_what_contradicts_a_preset_is_refused_in_a_line(layer: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        resolve_config(presets.load_preset("eureka").layer, layer)
    assert "\n" not in str(caught.value)


def test_a_prompts_setting_without_any_model_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"designer\.view changes nothing"):
        planning.plan_search(*TASK, overrides={"designer": {"view": "class"}}, variables={})


def test_the_differences_of_two_presets_are_their_settings() -> None:
    smith, eureka = presets.load_preset("smith"), presets.load_preset("eureka")
    found = {one.key: (one.left, one.right) for one in presets.compare_presets(smith, eureka)}
    assert found["search.population"] == (6, 16)
    assert found["evolution.selection"] == ("incumbent", "greedy-last")
    assert "designer.view" not in found
    assert presets.compare_presets(smith, smith) == ()
