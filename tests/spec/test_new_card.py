"""New cards."""

from __future__ import annotations

from pathlib import Path

import pytest

from rewardsmith.contract.errors import TaskError
from rewardsmith.contract.fitness import Fitness
from rewardsmith.contract.records import EnvSpec, Probe, ProbeJob, Signal
from rewardsmith.spec import new_card
from rewardsmith.spec.task_cards import describe_unnamed_signals, find_card_file, find_env, load_card, load_task
from rewardsmith.worker import probe
from rewardsmith.worker.envs.make import make_envs

BARE_PROBE = Probe(
    (Signal("obs", (2,), "1", "all", "obs"),),
    (1,),
    (-1.0,),
    (1.0,),
    None,
    (2,),
    None,
    16,
    privileged_signals=(Signal("environment_reward", (), "1", "pay", "environment_reward"),),
)
"""What a probe finds in an environment that names nothing."""


@pytest.mark.parametrize("env_id", ["HalfCheetah-v5", "Humanoid-v5", "CartPole-v1", "Pendulum-v1", "Reacher-v5"])
def test_a_new_card_loads_and_everything_in_it_can_be_read(env_id, tmp_path):
    spec = EnvSpec(env_id, max_episode_steps=30)
    found = probe.run(ProbeJob(spec, 0, 16), tmp_path)
    new_card.write_card(new_card.render_card(spec, found), tmp_path / "card.toml")
    task = load_card(tmp_path / "card.toml")
    assert 2 <= len(task.env.signals) <= new_card.CARD_SIGNALS
    known = (*task.env.signals, *task.env.privileged_signals)
    Fitness.parse(task.fitness).try_on(known)
    names = [signal.name for signal in known]
    make_envs(task.env, 1, [signal.name for signal in task.env.signals], names).reset((0,))


def test_a_card_keeps_the_keyword_arguments(tmp_path):
    spec = EnvSpec("Some-v0", {"frame_skip": 4, "mode": 'a "b"', "fast": True})
    (tmp_path / "card.toml").write_text(new_card.render_card(spec, BARE_PROBE))
    assert load_card(tmp_path / "card.toml").env.kwargs == spec.kwargs


def test_an_existing_file_is_kept(tmp_path):
    path = tmp_path / "card.toml"
    path.write_text("mine")
    for write in (lambda: new_card.check_card_path(path), lambda: new_card.write_card("new", path)):
        with pytest.raises(TaskError, match="exists"):
            write()
    assert path.read_text() == "mine"


def test_a_card_s_file_names_an_environment(tmp_path):
    found = Probe((), (2,), (-1.0, -2.0), (1.0, 2.0), None, (2,), None, 16,
                  privileged_signals=(Signal("environment_reward", (), "1", "pay", "environment_reward"),))  # fmt: skip
    path = tmp_path / "mine.toml"
    path.write_text(new_card.render_card(EnvSpec("my_package:Mine-v0"), found))
    spec, card = find_env(str(path))
    assert (spec.env_id, card.name) == ("my_package:Mine-v0", "mine")


def test_only_a_bare_observation_is_remarked_on():
    obs, height = Signal("obs", (2,), "1", "all", "obs"), Signal("height", (), "m", "height", "obs[0]")
    assert "2 numbers" in describe_unnamed_signals([obs])
    assert describe_unnamed_signals([height, obs]) is None


def test_the_metrics_of_a_new_card_are_valid_once_they_are_uncommented(tmp_path):
    text = new_card.render_card(EnvSpec("Some-v0"), BARE_PROBE)
    assert "# [metrics]\n# fell = {" in text
    (tmp_path / "card.toml").write_text(text.replace("# [metrics]\n# fell", "[metrics]\nfell"))
    assert load_card(tmp_path / "card.toml").metric_expressions == {"fell": "1 - survived"}


ABOUT = """A ship \\d that docks, with \"\"\"quotes\"\"\" and {braces}.

## Rewards

The ship gets 3 for each berth.

And more of it.

## Starting State

Anywhere.

The score is the number of berths.
"""


def test_a_new_card_has_what_the_class_says_without_its_rewards(tmp_path):
    reward = Signal("environment_reward", (), "1", "pay", "environment_reward")
    low, high = (float("-inf"),), (float("inf"),)
    found = Probe((), (1,), low, high, None, (2,), None, 16, privileged_signals=(reward,), about=ABOUT)
    spec = EnvSpec("Some-v0", {"config": {"lanes": [1, {"a b": None, "c": "x"}]}}, pass_env=("SUMO_HOME",))
    new_card.write_card(new_card.render_card(spec, found), tmp_path / "card.toml")
    card = load_card(tmp_path / "card.toml")
    said = card.env_about.partition("edit it, or delete it):\n\n")[2]
    assert said == 'A ship \\d that docks, with """quotes""" and {braces}.\n\n## Starting State\n\nAnywhere.'
    assert card.env.kwargs == {"config": {"lanes": [1, {"c": "x"}]}}
    assert card.env.pass_env == ("SUMO_HOME",)
    assert card.action.startswith("1 number without bounds.")


def test_a_card_made_from_another_keeps_its_signals_and_drops_what_was_measured(tmp_path: Path) -> None:
    card = load_task(None, "half_cheetah_backward")
    file = find_card_file("half_cheetah_backward")
    assert file is not None
    new_card.write_card(new_card.adapt_card(file.read_text(encoding="utf-8"), card.name), tmp_path / "mine.toml")
    made = load_task(None, str(tmp_path / "mine.toml"))
    assert made.env == card.env
    assert (made.text, made.fitness, made.settings) == (card.text, card.fitness, card.settings)
    assert made.anchors == ()
    assert "main" not in (tmp_path / "mine.toml").read_text()
