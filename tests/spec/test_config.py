import tomllib

import pytest

from rewardsmith.contract.errors import ConfigError
from rewardsmith.spec import config, config_layers
from rewardsmith.spec.removed_settings import REMOVED_SETTINGS, drop_removed_settings


def test_later_layers_win_key_by_key():
    resolved = config.resolve_config(
        {"search": {"population": 8, "generations": 5}},
        config_layers.read_environment_layer({"REWARDSMITH_SEARCH__POPULATION": "6"}),
        config_layers.parse_assignments(["search.generations=2"]),
    )
    assert (resolved.search.population, resolved.search.generations) == (6, 2)


def test_a_written_configuration_reads_back_equal():
    resolved = config.resolve_config(
        config_layers.parse_assignments(["llm.temperature=none", "training.net_arch=[32]", "budget.calls=7"])
    )
    assert config.resolve_config(tomllib.loads(config.dump_config(resolved))) == resolved


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("serch.population=3", "did you mean 'search'"),
        ("search.poplation=3", "did you mean 'population'"),
        ("training.n_env=3", "did you mean 'n_envs'"),
        ("search.population=0", "search.population = 0: must be at least 1"),
        ("training.trainer=tpu", "'fast', 'sb3', 'sac' or 'td3'"),
        ("training.net_arch=3", r"training.net_arch = 3: must be a list"),
        ("llm.roles.reader.model=x", "no setting 'llm.roles.reader'; allowed are: analyzer, critic, designer, judge"),
        ("population", "write section.key=value"),
    ],
)
def test_a_wrong_setting_says_what_is_allowed(assignment, message):
    with pytest.raises(ConfigError, match=message):
        config.resolve_config(config_layers.parse_assignments([assignment]))


def test_an_unreadable_file_is_named(tmp_path):
    path = tmp_path / "broken.toml"
    path.write_text("search = [")
    with pytest.raises(ConfigError, match=r"broken\.toml is not TOML"):
        config_layers.read_layer(path)
    with pytest.raises(ConfigError, match=r"missing.toml.*No such file"):
        config_layers.read_layer(tmp_path / "missing.toml")


def test_every_wrong_setting_has_a_line_and_there_are_at_most_six():
    wrong = ["population", "generations", "seeds", "env_steps", "max_repairs", "final_seeds", "seed"]
    with pytest.raises(ConfigError) as error:
        config.resolve_config({"search": dict.fromkeys(wrong, "two")})
    lines = str(error.value).splitlines()
    assert lines[0] == "search.population = 'two': must be a whole number"
    assert (len(lines), lines[-1]) == (6, "and 2 more")


@pytest.mark.parametrize("name", REMOVED_SETTINGS)
def test_a_removed_setting_says_why_and_what_to_do(name):
    with pytest.raises(ConfigError, match=f"^{name} was removed: .+; delete it$"):
        config.resolve_config(config_layers.parse_assignments([f"{name}=1"]))


def test_an_earlier_version_s_configuration_loses_what_was_removed_and_says_so_where_it_was_in_use():
    written = {"gates": {"duplicates": False, "order": True}, "search": {"population": 3}, "jobs": 2}
    kept, notices = drop_removed_settings(written)
    assert kept == {"search": {"population": 3}, "jobs": 2}
    assert [notice.partition(" is ignored")[0] for notice in notices] == ["gates.order = True"]
    assert config.resolve_config(kept).search.population == 3


def test_a_setting_is_assigned_once():
    with pytest.raises(ConfigError, match=r"--set search\.seeds is given twice: 2 and 3; say it once"):
        config_layers.parse_assignments(["search.seeds=2", "search.seeds=3"])
    with pytest.raises(ConfigError, match=r"write section\.key=value"):
        config_layers.parse_assignments(["=3"])


@pytest.mark.parametrize(
    ("layer", "idle"),
    [
        ({"evolution": {"crossover": 1, "islands": 2}}, ("evolution.islands", "evolution.crossover")),
        ({"search": {"warm_start": "parent"}}, ("search.warm_start",)),
        ({"evolution": {"crossover": 1}, "search": {"generations": 2}}, ()),
        ({}, ()),
    ],
)
def test_settings_that_use_earlier_generations_are_idle_where_there_is_one(layer, idle):
    assert config.resolve_config(layer).idle_settings == idle
