"""Keyword arguments and environment variables that a command or a card gives to an environment."""

from __future__ import annotations

import json

import pytest

from rewardsmith.contract import records
from rewardsmith.contract.errors import TaskError
from rewardsmith.contract.records import EnvSpec, EnvWrapper, Probe, Signal
from rewardsmith.spec.env_options import check_pass_env, check_variables_set, read_env_options
from rewardsmith.spec.new_card import render_card
from rewardsmith.spec.task_cards import adjust_environment, load_card, load_task

CARD = """
env_id = "Hopper-v5"
text = "Hop"
about = "A one-legged robot"
action = "torques"
fitness = "x_position[-1] - start.x_position"
{lines}

[signals]
x_position = {{ source = "qpos[rootx]", unit = "m", meaning = "position" }}
"""
NESTED = {"healthy_z_range": [0.5, 2.0], "config": {"lanes": [1, {"name": "a"}], "on": True}}


def write_card(folder, lines):
    path = folder / "hop.toml"
    path.write_text(CARD.format(lines=lines), encoding="utf-8")
    return path


def test_a_card_takes_lists_and_tables_as_arguments(tmp_path):
    lines = 'kwargs = { healthy_z_range = [0.5, 2.0], config = { lanes = [1, { name = "a" }], on = true } }'
    card = load_card(write_card(tmp_path, lines))
    assert card.env.kwargs == NESTED
    assert records.load(EnvSpec, json.loads(json.dumps(records.dump(card.env)))) == card.env


def test_a_card_names_imports_and_wrappers(tmp_path):
    lines = """imports = ["my_envs", "my_envs:register"]
wrappers = ["my_envs.wraps:Named", { name = "my_envs:Scaled", kwargs = { by = [2.0], deep = { on = true } } }]"""
    env = load_card(write_card(tmp_path, lines)).env
    assert env.imports == ("my_envs", "my_envs:register")
    scaled = EnvWrapper("my_envs:Scaled", {"by": [2.0], "deep": {"on": True}})
    assert env.wrappers == (EnvWrapper("my_envs.wraps:Named"), scaled)
    assert env.modules == ("my_envs", "my_envs.wraps")
    assert records.load(EnvSpec, json.loads(json.dumps(records.dump(env)))) == env


def test_a_new_card_keeps_imports_and_wrappers(tmp_path):
    env = EnvSpec("my_envs:A-v0", imports=("my_envs:go",), wrappers=(EnvWrapper("my_envs:W", {"a": [1]}),))
    reward = Signal("environment_reward", (), "1", "", "environment_reward")
    probe = Probe((), (1,), (-1.0,), (1.0,), None, (2,), None, 16, privileged_signals=(reward,))
    (tmp_path / "card.toml").write_text(render_card(env, probe), encoding="utf-8")
    card = load_card(tmp_path / "card.toml")
    assert (card.env.imports, card.env.wrappers) == (env.imports, env.wrappers)


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ('imports = ["my envs"]', "imports holds 'my envs', which names nothing to import"),
        ('wrappers = ["my_envs.Named"]', 'wrappers holds .*write "my_package.wrappers:MyWrapper"'),
        ('wrappers = ["a:B:C"]', "wrappers holds 'a:B:C'"),
        ('wrappers = [{ name = "a:B", kwargs = { far = inf } }]', "wrapper a:B: kwargs.far holds inf"),
        ("kwargs = { day = 2020-01-01 }", "kwargs.day holds a date"),
        ("kwargs = { config = { far = [inf] } }", "kwargs.config holds inf"),
        ('pass_env = ["OPENAI_API_KEY"]', "OPENAI_API_KEY looks like a key"),
    ],
)
def test_a_card_s_wrong_arguments_are_refused_in_one_line(lines, says, tmp_path):
    with pytest.raises(TaskError, match=says) as refused:
        load_card(write_card(tmp_path, lines))
    assert str(refused.value).startswith(str(tmp_path))
    assert "\n" not in str(refused.value)


def test_the_command_line_s_arguments_replace_a_card_s_and_drop_its_anchors():
    card = load_task(None, "hopper")
    changed = adjust_environment(card, read_env_options(json.dumps(NESTED), ["SUMO_HOME"]))
    assert changed.env.kwargs == {**card.env.kwargs, **NESTED}
    assert changed.env.pass_env == ("SUMO_HOME",)
    assert card.anchors
    assert not changed.anchors
    assert adjust_environment(card, read_env_options(None)) == card


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[1]", "must be a JSON object, not list"),
        ("{a: 1}", "is not JSON: .* at character 2"),
        ('{"a": NaN}', "kwargs.a holds nan"),
        ('{"a": {"b": Infinity}}', "kwargs.a holds inf"),
        ("", "is not JSON"),
    ],
)
def test_wrong_env_kwargs_are_refused_in_one_line(text, says):
    with pytest.raises(TaskError, match=says) as refused:
        read_env_options(text)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "name",
    ["OPENAI_BASE", "MY_API_KEY", "my_apikey", "HF_TOKEN", "DB_PASSWORD", "AWS_PROFILE", "CLIENT_SECRET", "SSH_KEY",
     "GITHUB_ACTOR", "WANDB_MODE", "TOKEN", "X_CREDENTIALS"],
)  # fmt: skip
def test_no_key_is_passed_on(name):
    with pytest.raises(TaskError, match="looks like a key"):
        check_pass_env([name], "--pass-env")


@pytest.mark.parametrize("name", ["SUMO_HOME", "KEYBOARD", "TOKENIZERS_PARALLELISM", "MONKEY", "D4RL_DATASET_DIR"])
def test_other_variables_are(name):
    assert check_pass_env([name, name], "--pass-env") == (name,)


@pytest.mark.parametrize("name", ["A=B", "", "A B", "1A"])
def test_a_name_alone_is_given(name):
    with pytest.raises(TaskError, match="is no name of an environment variable"):
        check_pass_env([name], "--pass-env")


def test_a_variable_that_is_not_set_is_told():
    spec = EnvSpec("a:B-v0", pass_env=("SUMO_HOME",))
    check_variables_set(spec, {"SUMO_HOME": "/usr"})
    with pytest.raises(TaskError, match="SUMO_HOME, which is not set; set it first: export SUMO_HOME="):
        check_variables_set(spec, {})
