"""Task cards."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from rewardsmith.contract import records
from rewardsmith.contract.errors import FitnessError, TaskError
from rewardsmith.contract.fitness import RESERVED, AuxiliaryMetrics, Fitness
from rewardsmith.contract.package_data import find_data_folder
from rewardsmith.spec.config import resolve_config
from rewardsmith.spec.task_cards import Task, load_card, load_cards, load_task

HOPPER = find_data_folder("envs") / "gymnasium_mujoco" / "hopper.toml"


def test_the_seven_tasks_have_cards():
    assert {task.env.env_id for task in load_cards()} >= {
        "HalfCheetah-v5",
        "Hopper-v5",
        "InvertedDoublePendulum-v5",
        "Pendulum-v1",
        "Reacher-v5",
        "Swimmer-v5",
        "Walker2d-v5",
    }


@pytest.mark.parametrize("task", load_cards(), ids=lambda task: task.name)
def test_every_card_is_sound(task):
    named = (*task.env.signals, *task.env.privileged_signals)
    names = [signal.name for signal in named]
    assert len(set(names)) == len(names)
    assert not set(names) & set(RESERVED)
    assert all(signal.unit and signal.meaning and signal.source for signal in named)
    Fitness.parse(task.fitness).try_on(named)
    AuxiliaryMetrics.parse(task.metric_expressions).try_on(named)
    assert all(metric.meaning for metric in task.metrics)
    resolve_config(task.settings)  # every setting exists


def test_names_and_main_cards_are_unique():
    assert len({task.name for task in load_cards()}) == len(load_cards())
    for task in load_cards():
        assert load_task(None, task.name).name == task.name
        assert load_task(None, task.env.env_id).env.env_id == task.env.env_id


def test_no_signal_is_the_environment_s_own_reward():
    assert not [s.name for task in load_cards() for s in task.env.signals if "reward" in s.name or "reward" in s.source]


def test_text_and_fitness_replace_the_card_s():
    task = load_task("Crouch", "hopper", "-mean(torso_height)")
    assert (task.text, task.fitness, task.env.env_id) == ("Crouch", "-mean(torso_height)", "Hopper-v5")


def test_a_fitness_that_does_not_parse_is_refused():
    with pytest.raises(FitnessError):
        load_task("Crouch", "hopper", "mean(")


@pytest.mark.parametrize(
    ("text", "env", "fitness", "says"),
    [
        ("go", "hoper", None, "near it: hopper"),
        ("go", "nothing like it", "1", "`rewardsmith envs`"),
        ("go", "Hoper-v5", None, "near it: Hopper-v5"),
        ("go", "Mine-v0", None, "--fitness"),
        (None, "Mine-v0", "mean(x)", "in a sentence"),
    ],
)
def test_unknown_names_say_the_next_step(text, env, fitness, says):
    with pytest.raises(TaskError, match=says):
        load_task(text, env, fitness)


@pytest.mark.parametrize("env", ["Mine-v0", "my_package:Mine-v0", "my_package:Mine", "space/Mine-v3"])
def test_an_id_without_a_card_works_with_a_fitness(env):
    task = load_task("go", env, "mean(x)")
    assert task.env == records.EnvSpec(env)
    assert task.name == env


def test_a_task_travels_as_json(tmp_path):
    task = load_task(None, "swimmer")
    records.write(task, tmp_path / "task.json")
    assert records.read(Task, tmp_path / "task.json") == task


def card(tmp_path: Path, old: str, new: str) -> Path:
    text = HOPPER.read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "mine.toml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    return path


def line_of(part: str) -> int:
    return next(n for n, line in enumerate(HOPPER.read_text(encoding="utf-8").splitlines(), 1) if part in line)


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("fitness =", "fitnes =", "fitness =", "'fitnes'; did you mean 'fitness'"),
        ("[search]", "[serch]", "[search]", "'serch'; did you mean 'search'"),
        ('source = "qpos[rootz]", unit', 'source = "a", units', "torso_height =", "did you mean 'unit'"),
        ('text = "Hop', 'text = 3 #"Hop', "text =", "text = 3: must be text in quotes"),
        ("env_steps = 300_000", "env_steps =", "env_steps", "Invalid value"),
    ],
)
def test_a_mistake_in_a_card_names_the_file_and_the_line(tmp_path, old, new, line, says):
    path = card(tmp_path, old, new)
    with pytest.raises(TaskError) as error:
        load_card(path)
    assert says in str(error.value)
    assert str(path) in str(error.value)
    assert f":{line_of(line)}" in str(error.value) or f"line {line_of(line)}" in str(error.value)


def test_a_missing_key_is_named(tmp_path):
    with pytest.raises(TaskError, match="the key 'env_id' is missing"):
        load_card(card(tmp_path, "env_id =", "#"))


def test_a_signal_s_name_must_be_a_name(tmp_path):
    with pytest.raises(TaskError, match="'torso height' is no valid Python name"):
        load_card(card(tmp_path, "torso_height =", '"torso height" ='))


def test_privileged_signals_are_for_the_fitness_alone(tmp_path):
    added = '[privileged_signals]\nwon = { source = "info[success]", unit = "1", meaning = "it is there" }\n\n[search]'
    env = load_card(card(tmp_path, "[search]", added)).env
    assert [signal.name for signal in env.privileged_signals] == ["won"]
    assert "won" not in [signal.name for signal in env.signals]


@pytest.mark.parametrize(
    "source", ["info[is_success]", "environment_reward", "own_reward", "norm(qvel[0:2]) + info[reward_ctrl]"]
)
def test_a_signal_that_tells_the_reward_belongs_into_privileged_signals(tmp_path, source):
    with pytest.raises(TaskError, match=r"'torso_height' reads .*; move it to \[privileged_signals\]"):
        load_card(card(tmp_path, 'source = "qpos[rootz]"', f'source = "{source}"'))


def test_no_name_stands_in_both_sections_of_signals(tmp_path):
    added = '[privileged_signals]\ntorso_height = { source = "qpos[rootz]", unit = "m", meaning = "twice" }\n\n[search]'
    with pytest.raises(TaskError, match=r"'torso_height' stands in .* keep one"):
        load_card(card(tmp_path, "[search]", added))


def test_an_unreadable_card_is_named(tmp_path):
    with pytest.raises(TaskError, match="nowhere"):
        load_card(tmp_path / "nowhere.toml")


def test_importing_tasks_loads_no_simulator_and_no_numpy():
    code = (
        "import sys, rewardsmith.spec.task_cards; print({'numpy', 'torch', 'gymnasium', 'mujoco'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


FELL = '[metrics]\nfell = { expression = "1 - survived", meaning = "share of falls" }\n\n[search]'


def test_a_card_names_metrics_next_to_the_fitness(tmp_path):
    task = load_card(card(tmp_path, "[search]", FELL))
    assert task.metrics == (records.Metric("fell", "1 - survived", "share of falls"),)
    assert task.metric_expressions == {"fell": "1 - survived"}


def test_another_fitness_keeps_the_metrics(tmp_path):
    path = card(tmp_path, "[search]", FELL)
    assert load_task("Crouch", str(path), "-mean(torso_height)").metric_expressions == {"fell": "1 - survived"}


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("expression =", "expresion =", "there is no key 'metrics.fell.expresion'; did you mean 'expression'"),
        (', meaning = "share of falls"', "", "the key 'metrics.fell.meaning' is missing"),
        ("1 - survived", "1 - ", "metric 'fell': "),
        ("1 - survived", "meen(x_position)", "metric 'fell': no function 'meen'; there are "),
        ("fell =", '"it fell" =', "a metric cannot be called 'it fell'"),
        ("fell =", "fitness =", "a metric cannot be called 'fitness'"),
        ("[metrics]", "[metrisc]", "there is no key 'metrisc'; did you mean 'metrics'"),
    ],
)
def test_a_mistake_in_a_metric_names_the_file_and_the_line(tmp_path, old, new, says):
    path = card(tmp_path, "[search]", FELL.replace(old, new, 1))
    line = line_of("[search]") + (0 if new == "[metrisc]" else 1)
    with pytest.raises(TaskError) as error:
        load_card(path)
    assert any(message.startswith(f"{path}:{line}: {says}") for message in str(error.value).splitlines())


@pytest.mark.parametrize("field", ["metrics", "title"])
def test_a_task_from_before_a_field_existed_still_loads(field):
    old = records.dump(load_task(None, "swimmer"))
    del old[field]
    assert records.load(Task, old) == load_task(None, "swimmer")


def test_crafter_tells_of_deaths_by_lava():
    crafter = [task for task in load_cards() if task.env.env_id == "rewardsmith/Crafter-v1"]
    assert [task.metric_expressions for task in crafter] == [{"death_by_lava": "any(in_lava)"}] * 4


OLD_WORDS = """\
[measures]
own_reward = { source = "own_reward", unit = "1", meaning = "what the environment pays" }
[figures]
paid = { expression = "sum(own_reward)", meaning = "the environment's return" }

[[anchors]]
policy = "own-reward"
fitness = 3.0
versions = "none"

[search]"""


def test_a_card_in_the_words_of_earlier_versions_is_read(tmp_path):
    task = load_card(card(tmp_path, "[search]", OLD_WORDS))
    assert [signal.name for signal in task.env.privileged_signals] == ["environment_reward"]
    assert task.anchors[0].policy == "environment-reward"
    Fitness.parse(task.metric_expressions["paid"]).check_signals(["environment_reward"])


def test_a_section_in_both_spellings_is_refused(tmp_path):
    both = FELL.replace("[search]", '[figures]\nrose = { expression = "survived", meaning = "" }\n\n[search]')
    with pytest.raises(TaskError, match="'figures' is the old name of 'metrics'; keep 'metrics' alone"):
        load_card(card(tmp_path, "[search]", both))


def test_a_fitness_that_is_no_number_is_found_with_the_card():
    with pytest.raises(FitnessError, match=r"shape \(1000,\), not one number"):
        load_task("Hop", "hopper", "x_position")
    assert load_task("Hop", "hopper", "mean(x_position)").fitness == "mean(x_position)"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("length", "means something else in the fitness"),
        ("actions", "means something else in the fitness"),
        ("environment_reward", "means something else in the fitness"),
        ("class", "no valid Python name"),
        ("_state", "begins with _"),
    ],
)
def test_a_signal_s_name_is_one_that_programs_and_the_fitness_can_say(tmp_path, name, says):
    with pytest.raises(TaskError, match=says):
        load_card(card(tmp_path, "torso_height =", f"{name} ="))


@pytest.mark.parametrize("shape", ["[-1]", "[0]", "[1000000000000]"])
def test_a_shape_that_no_signal_has_is_refused(tmp_path, shape):
    with pytest.raises(TaskError, match="'torso_height' has the shape"):
        load_card(card(tmp_path, 'source = "qpos[rootz]",', f'source = "qpos[rootz]", shape = {shape},'))


def test_a_source_that_does_not_parse_names_the_file_and_the_signal(tmp_path):
    with pytest.raises(TaskError, match=r"mine\.toml: signal 'torso_height': signal source 'qpos"):
        load_card(card(tmp_path, 'source = "qpos[rootz]"', 'source = "qpos["'))


@pytest.mark.parametrize("text", ["", "  ", "x" * 10_001])
def test_a_sentence_says_something_and_is_no_book(tmp_path, text):
    with pytest.raises(TaskError, match=r"text (is empty|has 10,001 characters)"):
        load_card(card(tmp_path, "text = ", f'text = "{text}" #'))


@pytest.mark.parametrize("steps", [0, -1, 10**20])
def test_a_time_limit_is_a_number_of_steps(tmp_path, steps):
    with pytest.raises(TaskError, match=f"max_episode_steps = {steps}; 1 to"):
        load_card(card(tmp_path, "text = ", f"max_episode_steps = {steps}\ntext = "))


@pytest.mark.parametrize("fitness", ["3", "9 ** 9 ** 9", "1 / 0", "pi * limit"])
def test_a_fitness_that_reads_nothing_is_refused(fitness):
    with pytest.raises(FitnessError, match="the same for every episode"):
        load_task("Hop", "hopper", fitness)
    assert load_task("Hop", "hopper", "length").fitness == "length"


def test_a_card_may_begin_with_a_byte_order_mark(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("\ufeff" + HOPPER.read_text(encoding="utf-8"), encoding="utf-8")
    assert load_card(path).env.env_id == "Hopper-v5"


def test_all_missing_keys_of_a_card_are_one_line(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('text = "Hop"\n', encoding="utf-8")
    with pytest.raises(TaskError) as error:
        load_card(path)
    assert str(error.value) == f"{path}: the keys 'about', 'action', 'fitness' and 'signals' are missing"


def test_the_keys_of_a_wrapper_are_named(tmp_path):
    with pytest.raises(TaskError, match=r"there is no key 'wrappers\.0\.nam'; did you mean 'name'"):
        load_card(card(tmp_path, "text = ", 'wrappers = [{ nam = "x:Y", name = "x:Y" }]\ntext = '))


MANY_FAULTS = """
env_id = "Hopper-v5"
text = ""
about = "a leg"
action = "three torques"
fitness = "mean(height"
imports = ["1x"]

[signals]
height = { source = "qpos[rootz]", unit = "m", meaning = "h" }
"my h" = { source = "qpos[rootz]", unit = "m", meaning = "h" }
said = { provider = "labeled" }
"""


def test_all_faults_of_a_card_are_one_message_with_one_next_step(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(MANY_FAULTS, encoding="utf-8")
    with pytest.raises(TaskError) as error:
        load_card(path)
    *lines, next_step = str(error.value).splitlines()
    faults = ("text is empty", "'my h' is no valid", "imports holds '1x'", "no provider 'labeled'", "fitness: ")
    assert len(lines) == len(faults)
    for line, fault in zip(lines, faults, strict=True):
        assert line.startswith(str(path))
        assert fault in line
    assert next_step == f"mend the card, and `rewardsmith envs {path}` shows it"


def test_all_faults_of_a_card_s_keys_are_one_message_with_one_next_step(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(MANY_FAULTS.replace("unit", "units"), encoding="utf-8")
    with pytest.raises(
        TaskError, match=rf"(?s)no key 'signals.height.units'; .*\nmend the card, and .* {path}` shows it"
    ):
        load_card(path)
