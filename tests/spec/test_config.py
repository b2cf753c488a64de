import tomllib

import pytest

from rewardsmith.contract.errors import ConfigError
from rewardsmith.spec import config


def test_later_layers_win_key_by_key():
    resolved = config.resolve(
        {"search": {"population": 8, "generations": 5}},
        config.from_environment({"REWARDSMITH_SEARCH__POPULATION": "6"}),
        config.from_sets(["search.generations=2"]),
    )
    assert (resolved.search.population, resolved.search.generations) == (6, 2)


def test_a_written_configuration_reads_back_equal():
    resolved = config.resolve(config.from_sets(["llm.temperature=none", "training.net_arch=[32]", "budget.calls=7"]))
    assert config.resolve(tomllib.loads(config.to_toml(resolved))) == resolved


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("serch.population=3", "did you mean 'search'"),
        ("search.poplation=3", "did you mean 'population'"),
        ("training.n_env=3", "did you mean 'n_envs'"),
        ("search.population=0", "greater than or equal to 1"),
        ("training.trainer=tpu", "'fast', 'sb3', 'sac' or 'td3'"),
        ("population", "write section.key=value"),
    ],
)
def test_a_wrong_setting_says_what_is_allowed(assignment, message):
    with pytest.raises(ConfigError, match=message):
        config.resolve(config.from_sets([assignment]))


def test_an_unreadable_file_is_named(tmp_path):
    path = tmp_path / "broken.toml"
    path.write_text("search = [")
    with pytest.raises(ConfigError, match=r"broken\.toml is not TOML"):
        config.from_file(path)
    with pytest.raises(ConfigError, match=r"missing.toml.*No such file"):
        config.from_file(tmp_path / "missing.toml")
