"""New cards."""

from __future__ import annotations

import pytest

from rewardsmith.contract.errors import TaskError
from rewardsmith.contract.fitness.expression import Fitness
from rewardsmith.contract.records import EnvSpec, Probe, ProbeJob, Signal
from rewardsmith.spec import new_card
from rewardsmith.spec.task_cards import find_env, load_card, unnamed
from rewardsmith.worker import probe
from rewardsmith.worker.envs.make import make


@pytest.mark.parametrize("env_id", ["HalfCheetah-v5", "Humanoid-v5", "CartPole-v1", "Pendulum-v1", "Reacher-v5"])
def test_a_new_card_loads_and_everything_in_it_can_be_read(env_id, tmp_path):
    spec = EnvSpec(env_id, max_episode_steps=30)
    found = probe.run(ProbeJob(spec, 0, 16), tmp_path)
    new_card.write_card(new_card.card_text(spec, found), tmp_path / "card.toml")
    task = load_card(tmp_path / "card.toml")
    assert 2 <= len(task.env.signals) <= new_card.CARD_SIGNALS
    known = (*task.env.signals, *task.env.measures)
    Fitness.parse(task.fitness).try_on(known)
    names = [signal.name for signal in known]
    make(task.env, 1, [signal.name for signal in task.env.signals], names).reset((0,))


def test_a_card_keeps_the_keyword_arguments(tmp_path):
    spec = EnvSpec("Some-v0", {"frame_skip": 4, "mode": 'a "b"', "fast": True})
    own = Signal("own_reward", (), "1", "pay", "own_reward")
    found = Probe(
        (Signal("obs", (2,), "1", "all", "obs"),), (1,), (-1.0,), (1.0,), None, (2,), None, 16, measures=(own,)
    )
    (tmp_path / "card.toml").write_text(new_card.card_text(spec, found))
    assert load_card(tmp_path / "card.toml").env.kwargs == spec.kwargs


def test_an_existing_file_is_kept(tmp_path):
    path = tmp_path / "card.toml"
    path.write_text("mine")
    for write in (lambda: new_card.check_free(path), lambda: new_card.write_card("new", path)):
        with pytest.raises(TaskError, match="exists"):
            write()
    assert path.read_text() == "mine"


def test_a_card_s_file_names_an_environment(tmp_path):
    found = Probe((), (2,), (-1.0, -2.0), (1.0, 2.0), None, (2,), None, 16,
                  measures=(Signal("own_reward", (), "1", "pay", "own_reward"),))  # fmt: skip
    path = tmp_path / "mine.toml"
    path.write_text(new_card.card_text(EnvSpec("my_package:Mine-v0"), found))
    spec, card = find_env(str(path))
    assert (spec.env_id, card.name) == ("my_package:Mine-v0", "mine")


def test_only_a_bare_observation_is_remarked_on():
    obs, height = Signal("obs", (2,), "1", "all", "obs"), Signal("height", (), "m", "height", "obs[0]")
    assert "2 numbers" in unnamed([obs])
    assert unnamed([height, obs]) is None


def test_the_figures_of_a_new_card_are_valid_once_they_are_uncommented(tmp_path):
    own = Signal("own_reward", (), "1", "pay", "own_reward")
    found = Probe(
        (Signal("obs", (2,), "1", "all", "obs"),), (1,), (-1.0,), (1.0,), None, (2,), None, 16, measures=(own,)
    )
    text = new_card.card_text(EnvSpec("Some-v0"), found)
    assert "# [figures]\n# fell = {" in text
    (tmp_path / "card.toml").write_text(text.replace("# [figures]\n# fell", "[figures]\nfell"))
    assert load_card(tmp_path / "card.toml").expressions == {"fell": "1 - survived"}
