from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from rewardsmith.contract.errors import TaskError
from rewardsmith.contract.records import EnvSpec, Signal
from rewardsmith.spec.env_options import read_env_options
from rewardsmith.spec.learned_signals import add_learned_signals, check_goals, parse_signal_options
from rewardsmith.spec.task_cards import adjust_environment, load_card, load_task

CARD = """
env_id = "CartPole-v1"
text = "Balance the pole."
about = "A cart with a pole."
action = "left or right"
fitness = "max(reached)"

[signals]
angle = { source = "obs[2]", unit = "rad", meaning = "angle of the pole" }

[signals.reached]
provider = "subgoals"
subgoals = [{ text = "the pole leans right", condition = "angle > 0.05" }]
"""
SUBGOALS = 'reached = { provider = "subgoals", subgoals = [{ text = "a", condition = "angle > 0" }] }'


def write_card(folder: Path, text: str) -> Path:
    path = folder / "cart.toml"
    path.write_text(text)
    return path


def test_a_card_s_entry_with_a_provider_is_a_learned_signal(tmp_path: Path) -> None:
    env = load_card(write_card(tmp_path, CARD)).env
    assert [signal.name for signal in env.signals] == ["angle"]
    (signal,) = env.learned_signals
    assert signal.provider == "subgoals"
    assert signal.options["subgoals"] == [{"text": "the pole leans right", "condition": "angle > 0.05"}]
    assert "1 the pole leans right" in signal.meaning
    assert env.list_learned()[0] == Signal("reached", (), "1", signal.meaning, "learned[reached]")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"subgoals"', '"subgoal"', r"cart\.toml:11: .*'reached': .* provider 'subgoal' .*; did you mean 'subgoals'"),
        ("subgoals = [", "subgaols = [", "signal 'reached': there is no option 'subgaols'; did you mean 'subgoals'"),
        (', condition = "angle > 0.05"', "", "signal 'reached': the option 'subgoals.*condition' is missing"),
        ("angle = {", "reached_angle = {", None),
        ('"subgoals"', "3", "provider is missing"),
        ("[signals.reached]", "[signals.survived]", "signal 'survived': choose another name"),
    ],
)  # fmt: skip
def test_a_wrong_entry_gives_one_line(tmp_path: Path, old: str, new: str, message: str | None) -> None:
    path = write_card(tmp_path, CARD.replace(old, new, 1))
    if message is None:
        load_card(path)
        return
    with pytest.raises(TaskError, match=message) as raised:
        load_card(path)
    assert "\n" not in str(raised.value)


def test_a_learned_signal_cannot_have_the_name_of_the_card_s() -> None:
    env = EnvSpec("CartPole-v1", signals=(Signal("reached", (), "1", "", "obs[0]"),))
    with pytest.raises(TaskError, match="--signal: 'reached' is a signal of the card already"):
        add_learned_signals(env, parse_signal_options([SUBGOALS]), "--signal")


def test_an_option_of_the_command_line_replaces_the_card_s_signal_of_that_name(tmp_path: Path) -> None:
    task = load_task(None, str(write_card(tmp_path, CARD)))
    changed = adjust_environment(task, read_env_options(None, signals=[SUBGOALS])).env
    assert [entry.options["subgoals"][0]["text"] for entry in changed.learned_signals] == ["a"]  # type: ignore[index,call-overload]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("reached = {", "is not TOML: .*; write --signal 'likeness"),
        ("reached = 3", "is no signal with a table of keys"),
        ("a = {}\nb = {}", "is no signal with a table of keys"),
        ('1a = { provider = "subgoals" }', "choose another name"),
        ('a = { provider = "image_text" }', "the option 'text' is missing"),
        ('a = { provider = "image_text", text = "x", alpha = 2 }', "alpha = 2: input should be less than"),
        ('a = { provider = "image_text", text = "x", shape = [2] }', "'image_text' gives one number"),
        ('a = { provider = "mine.module:Likeness" }', "meaning is missing"),
        ('a = { provider = "mine.module:", meaning = "x" }', "names nothing to import"),
    ],
)  # fmt: skip
def test_a_wrong_option_of_the_command_line_gives_one_line(text: str, message: str) -> None:
    with pytest.raises(TaskError, match=message) as raised:
        parse_signal_options([text])
    assert "\n" not in str(raised.value)


def test_a_user_s_provider_keeps_its_options_and_is_a_module_of_the_environment() -> None:
    (signal,) = parse_signal_options(
        ['a = { provider = "mine.module:Likeness", meaning = "x", shape = [2], deep = { k = 1 } }']
    )
    assert signal.options == {"deep": {"k": 1}}
    assert signal.shape == (2,)
    assert replace(EnvSpec("CartPole-v1"), learned_signals=(signal,)).modules == ("mine.module",)


def test_the_folder_of_a_model_is_relative_to_the_card(tmp_path: Path) -> None:
    (tmp_path / "clip").mkdir()
    entry = '[signals.seen]\nprovider = "image_text"\ntext = "a pole"\nmodel = "./clip"\n'
    env = load_card(write_card(tmp_path, f"{CARD}\n{entry}")).env
    assert [one.options["model"] for one in env.learned_signals if one.name == "seen"] == [str(tmp_path / "clip")]
    with pytest.raises(TaskError, match=r"signal 'seen': there is no folder './klip'"):
        load_card(write_card(tmp_path, f"{CARD}\n{entry.replace('clip', 'klip')}"))


def test_a_task_without_a_sentence_needs_the_goals_of_its_signals() -> None:
    told = 'told = { provider = "labelled", text = "message" }'
    own = 'own = { provider = "labelled", text = "message", goal = "Find gold." }'
    steps = 'steps = { provider = "subgoals" }'
    settled = add_learned_signals(EnvSpec("Room-v0"), parse_signal_options([own, SUBGOALS]), "--signal")
    check_goals(settled)
    for open_signal in (told, steps):
        env = add_learned_signals(settled, parse_signal_options([open_signal]), "--signal")
        with pytest.raises(TaskError, match=r": no task card says what 'Room-v0' is for; write the task .* goal = "):
            check_goals(env)
