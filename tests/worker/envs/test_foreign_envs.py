"""Third-party environments work, or are refused in one line with the remedy."""

from __future__ import annotations

import types
from typing import Any

import numpy as np
import pytest
from fakes.foreign_envs import LIMIT, registered

from rewardsmith.contract import records
from rewardsmith.contract.errors import TaskError
from rewardsmith.contract.records import EnvSpec, EvaluateJob, Probe, ProbeJob, Signal, TrainJob, TrainSettings
from rewardsmith.contract.reward_program import parse_program
from rewardsmith.contract.signal_source import parse
from rewardsmith.report.export.exporter import export_program
from rewardsmith.worker import evaluate, probe
from rewardsmith.worker.envs import generic
from rewardsmith.worker.envs.catalogue import survey_environment
from rewardsmith.worker.envs.make import make_envs
from rewardsmith.worker.training import train

SETTINGS = TrainSettings(n_envs=2, n_steps=32, batch_size=32, n_epochs=1, net_arch=(8,), checkpoints=1)
PROGRAM = "def reward(after):\n    return {'near': -np.abs(after.obs[:, 0])}\n"


@pytest.fixture(scope="module", autouse=True)
def envs():
    with registered():
        yield


def spec(name: str, **kwargs: Any) -> EnvSpec:
    return EnvSpec(f"foreign/{name}-v0", kwargs)


def probed(name: str, folder, transitions: int = 256) -> Probe:
    return probe.run(ProbeJob(spec(name), 0, transitions), folder)


def trained(name: str, folder, program: str | None = PROGRAM, **settings: Any):
    options = TrainSettings(**{**SETTINGS.__dict__, **settings})
    return train.run(TrainJob(spec(name), program, "length", seed=0, env_steps=128, settings=options), folder)


# ---------------------------------------------------------------- observations


def test_the_entries_of_a_nested_observation_keep_their_names_shapes_and_meanings():
    signals = {signal.name: signal for signal in survey_environment(spec("Docking")).signals}
    assert {name: signal.shape for name, signal in signals.items()} == {
        "ship": (4,),
        "ship_docked": (2,),
        "ship_position": (2,),
        "lidar": (3, 2),
        "mode": (3,),
        "fuel": (),
        "obs": (14,),
        "spread": (),
    }
    assert "one-hot of 3" in signals["mode"].meaning
    assert "between 0 and 1" in signals["lidar"].meaning
    assert "docked (2), position (2)" in signals["ship"].meaning


def test_the_entries_of_a_nested_observation_are_read_from_their_places(tmp_path):
    env = make_envs(spec("Docking"), 1, ("ship_position", "lidar", "mode", "fuel"))
    env.reset((3,))
    step = env.step(np.zeros((1, 2)))
    values = env.layout.unpack_signals(step.after)
    np.testing.assert_array_equal(values["lidar"][0], np.arange(6, dtype=np.float32).reshape(3, 2) / 6)
    np.testing.assert_array_equal(values["mode"][0], [0, 1, 0])
    assert values["fuel"].shape == (1,)
    assert values["fuel"][0] == np.float32(0.99)
    assert probed("Docking", tmp_path).remarks == (
        "the observation's entry 'mission' (Mission) holds no numbers and is left out",
        "the observation's entry 'note' (Text) holds no numbers and is left out",
        "the observation's entry 'seen' (Sequence) holds no numbers and is left out",
    )


def test_an_environment_of_another_package_gets_no_names_of_gymnasium_s():
    assert [signal.name for signal in survey_environment(spec("LunarLander")).signals] == ["obs", "spread"]
    assert survey_environment(EnvSpec("CartPole-v1")).signals[0].name == "cart_position"


# ---------------------------------------------------------------- info


@pytest.mark.parametrize(
    ("name", "key", "fault"),
    [
        ("NoneInfo", "crash", "None"),
        ("InfInfo", "ttc", "inf"),
        ("LateNan", "ttc", "nan"),
        ("TextInfo", "phase", "text"),
        ("VaryingInfo", "contacts", r"an array of shape \(\d,\) instead of \(1,\)"),
    ],
)
def test_an_entry_that_is_not_always_a_number_is_left_out_and_named(name, key, fault, tmp_path):
    found = probed(name, tmp_path)
    assert key not in [signal.name for signal in found.signals]
    entry = next(entry for entry in found.info if entry.key == key)
    assert entry.decision == "left out"
    assert [remark for remark in found.remarks if f"info['{key}'] is left out: not always a number" in remark]
    import re

    assert re.search(fault, entry.reason)
    with np.load(tmp_path / "transitions.npz", allow_pickle=False) as file:
        assert not [array for array in file if key in array]
        assert np.isfinite(file["after/obs"]).all()


@pytest.mark.parametrize("name", ["NoneInfo", "InfInfo", "LateNan", "TextInfo", "VaryingInfo"])
def test_an_entry_that_is_no_number_ends_no_episode(name, tmp_path):
    result = trained(name, tmp_path)
    assert (result.status, result.cause) == ("ok", None)
    evaluation = evaluate.run(EvaluateJob(spec(name), str(tmp_path), "length", (1, 2)), tmp_path)
    assert [episode.length for episode in evaluation.episodes] == [LIMIT, LIMIT]


def test_a_program_that_names_such_an_entry_fails_with_the_entry_s_name(tmp_path):
    program = "def reward(after):\n    return {'slow': np.minimum(after.ttc, 5.0)}\n"
    result = trained("LateNan", tmp_path, program)
    assert result.status == "failed"
    assert "info['ttc'] is not always a number: in some steps it is nan" in result.cause


def test_a_fitness_that_names_such_an_entry_fails_with_the_entry_s_name(tmp_path):
    result = evaluate.run(EvaluateJob(spec("LateNan"), None, "sum(ttc)", (0,)), tmp_path)
    assert result.status == "failed"
    assert "info['ttc'] is not always a number" in result.cause


def test_lists_and_small_numbers_of_numpy_are_numbers():
    shapes = {signal.name: signal.shape for signal in survey_environment(spec("ListInfo")).signals}
    assert shapes == {"obs": (4,), "position": (2,), "f32": (), "tally": ()}


def test_pictures_and_empty_arrays_are_no_signals():
    surveyed = survey_environment(spec("PictureInfo"))
    assert [signal.name for signal in surveyed.signals] == ["obs", "spread"]
    reasons = {entry.key: entry.reason for entry in surveyed.info}
    assert reasons["screen"] == "an array of 12,288 numbers, such as a picture; at most 4,096 can be a signal"
    assert reasons["nothing"] == "an array without numbers"


def test_odd_keys_are_quoted_or_left_out_and_never_refuse_the_environment():
    surveyed = survey_environment(spec("OddKeys"))
    signals = [signal for signal in surveyed.signals if signal.name != "obs"]
    assert all(signal.name.isidentifier() and parse(signal.source) for signal in signals)
    assert "fit" in [signal.name for signal in signals]  # as Python normalises it in a program
    left_out = {entry.key: entry.reason for entry in surveyed.info if entry.decision == "left out"}
    assert left_out == {
        """both ' and \"""": "its key holds both kinds of quotes",
        "0": "its key is no text: int",
        "('a', 1)": "its key is no text: tuple",
    }
    env = make_envs(spec("OddKeys"), 1, [signal.name for signal in signals])
    env.reset((0,))
    np.testing.assert_array_equal(env.step(np.zeros((1, 2))).after[0], np.arange(11.0))


# ---------------------------------------------------------------- rewards


@pytest.mark.parametrize("name", ["NoneReward", "NanReward"])
def test_a_reward_that_is_no_number_ends_no_episode_and_is_told(name, tmp_path):
    assert trained(name, tmp_path).status == "ok"
    evaluation = evaluate.run(EvaluateJob(spec(name), None, "length", (1,)), tmp_path)
    assert evaluation.fitness == LIMIT
    assert [remark for remark in probed(name, tmp_path).remarks if "the environment's reward is not always" in remark]


def test_a_baseline_on_a_reward_that_is_no_number_fails_in_words(tmp_path):
    result = trained("NoneReward", tmp_path, program=None)
    assert result.status == "failed"
    assert result.cause.startswith("the environment reward cannot be trained on: it is nan in ")
    assert "the environment's reward is not always" in result.cause


def test_a_reward_of_one_number_in_an_array_is_that_number():
    env = make_envs(spec("Float32Reward"), 1, measured=("environment_reward",))
    env.reset((0,))
    assert env.step(np.zeros((1, 2))).environment_reward[0] < 0


# ---------------------------------------------------------------- seeds, actions, time limits


def test_seeds_are_below_two_to_the_31(tmp_path):
    env = make_envs(spec("SmallSeeds"), 2)
    first = env.reset((2**31 + 5, 5)).copy()
    np.testing.assert_array_equal(first[0], first[1])
    assert trained("SmallSeeds", tmp_path, n_envs=8, n_steps=16).status == "ok"


def test_gymnasium_s_own_environments_get_their_seeds_unchanged():
    import gymnasium

    seed = generic.SEED_RANGE + 5
    expected, _ = gymnasium.make("CartPole-v1").reset(seed=seed)
    np.testing.assert_array_equal(make_envs(EnvSpec("CartPole-v1"), 1).reset((seed,))[0], expected)


@pytest.mark.parametrize("name", ["Unbounded", "HalfBounded"])
def test_actions_without_bounds_are_trained_and_recorded(name, tmp_path):
    assert trained(name, tmp_path).status == "ok"
    assert evaluate.run(EvaluateJob(spec(name), str(tmp_path), "length", (1,)), tmp_path).status == "ok"
    found = probed(name, tmp_path)
    records.write(found, tmp_path / "result.json")
    assert records.read(Probe, tmp_path / "result.json") == found
    assert [remark for remark in found.remarks if remark.startswith("the actions have no bounds")]


def test_a_probe_that_lost_its_infinite_bounds_is_read():
    data = records.dump(Probe((), (1,), (-np.inf,), (np.inf,), None, (3,), None, 4))
    data["action_low"], data["action_high"] = [None], [None]
    assert records.load(Probe, data).action_high == (np.inf,)


def test_sac_refuses_actions_without_bounds_in_a_line(tmp_path):
    with pytest.raises(TaskError, match="scales its actions to bounds, and this environment has none; --trainer fast"):
        trained("Unbounded", tmp_path, trainer="sac")


def test_an_environment_without_a_time_limit_says_where_it_is_cut(tmp_path, monkeypatch):
    assert "after 10,000 steps" in probed("Endless", tmp_path).remarks[0]
    monkeypatch.setattr(evaluate, "MAX_STEPS", 20)
    result = evaluate.run(EvaluateJob(spec("Endless"), None, "length", (1, 2)), tmp_path)
    assert result.fitness == 20
    assert "cut after 20 steps were 2 of 2 episodes" in result.cause


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("OldReset", r"`reset` returns one value of type ndarray, not \(observation, info\)"),
        ("OldStep", r"`step` returns 4 values, not \(observation, reward, terminated, truncated, info\)"),
        ("VectorReward", "pays a vector of 2 numbers at each step.*WeightedReward"),
        ("FailsInReset", r"fails in `reset`: RuntimeError: no scene \(foreign_envs.py:\d+, reset\)$"),
        ("NeedsDisplay", r"cannot be made with \(\): OSError: .*; it draws images: set MUJOCO_GL=egl"),
        ("Assertive", r"AssertionError: give a level \(foreign_envs.py:\d+, __init__\)"),
        ("Configured", "cannot be made with.*missing 1 required positional argument: 'config'.*--env-kwargs JSON"),
        ("WantsVariable", "Please declare the environment variable 'FOREIGN_HOME'.*--pass-env NAME"),
        ("FailsLater", r"fails under random actions: RuntimeError: simulator crashed \(foreign_envs.py:\d+, step\)$"),
        ("Pictures", "an observation has 120,002 numbers, and a policy over a vector takes at most 100,000; a"),
        ("OnlyMission", "observations of Mission have no fixed length"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(name, says, tmp_path, monkeypatch):
    monkeypatch.delenv("FOREIGN_HOME", raising=False)
    with pytest.raises(TaskError, match=says) as refused:
        probed(name, tmp_path)
    assert "\n" not in str(refused.value)


def test_nested_arguments_reach_the_environment_and_stay_as_they_are():
    nested = spec("Configured", config={"lanes": [1, 2]})
    env = make_envs(nested, 2, ("lanes",))
    env.reset((0, 1))
    np.testing.assert_array_equal(env.step(np.zeros((2, 2))).after, [[3.0], [3.0]])
    assert nested.kwargs == {"config": {"lanes": [1, 2]}}


# ---------------------------------------------------------------- copies of the reward


@pytest.mark.parametrize(
    ("name", "privileged", "signals"),
    [
        ("Covered", {"coverage"}, {"obs", "distance", "spread"}),
        ("Flagged", {"docked"}, {"obs", "other"}),
        ("DictReward", {"progress", "obs"}, {"place", "spread"}),
        ("Runner", set(), {"obs", "x_velocity", "plain"}),  # a plain quantity of the state
        ("AlwaysOne", set(), {"obs", "alive", "spread"}),
        ("Point", set(), {"obs", "spread"}),
    ],
)
def test_a_copy_of_the_reward_is_privileged_unless_it_is_a_plain_quantity(name, privileged, signals, tmp_path):
    found = probed(name, tmp_path, 1024)
    assert {signal.name for signal in found.privileged_signals} == privileged | {"environment_reward"}
    assert {signal.name for signal in found.signals} == signals
    reasons = {entry.key: entry.reason for entry in found.info}
    assert all("equals the environment's reward" in reasons[key] for key in privileged & set(reasons))
    assert len([remark for remark in found.remarks if "privileged signal" in remark]) == len(privileged - {"obs"})
    with np.load(tmp_path / "transitions.npz", allow_pickle=False) as file:
        assert not [array for array in file if array.rpartition("/")[2] in privileged]


def test_a_card_s_signal_that_copies_the_reward_stays_with_a_remark(tmp_path):
    mine = Signal("cover", (), "1", "share of the place that is covered", "info[coverage]")
    card = EnvSpec("foreign/Covered-v0", signals=(mine,))
    found = probe.run(ProbeJob(card, 0, 1024), tmp_path)
    assert mine in found.signals
    assert [
        remark for remark in found.remarks if remark.startswith("signal 'cover' of the card, info['coverage'], equals")
    ]


# ---------------------------------------------------------------- export


@pytest.mark.parametrize(
    ("name", "expression", "signal"),
    [
        ("ResetEmpty", "after.odometer - before.odometer", "odometer"),
        ("Docking", "after.lidar[:, 2, 1] + after.ship_position[:, 0] - before.fuel", "lidar ship_position fuel"),
        ("OddKeys", "after.a_b + after.Distance_m_", "a_b Distance_m_"),
        ("InfInfo", "np.nan_to_num(after.ttc, nan=-1.0)", "ttc"),
    ],
)
def test_an_exported_reward_pays_what_training_pays_over_several_episodes(name, expression, signal, tmp_path):
    names = signal.split()
    catalogue = (*survey_environment(spec(name)).signals, Signal("ttc", (), "1", "time", "info[ttc]"))
    program = parse_program(f"def reward(before, after):\n    return {{'it': {expression}}}\n")
    module = types.ModuleType("exported")
    exec(export_program(program, catalogue, spec(name)), module.__dict__)
    card = EnvSpec(f"foreign/{name}-v0", signals=catalogue)
    env, wrapped = make_envs(card, 1, names), module.make(disable_env_checker=True)

    def view(packed):
        return types.SimpleNamespace(**env.layout.unpack_signals(packed.copy()))

    env.reset((0,))
    wrapped.reset(seed=0)
    rng = np.random.default_rng(0)
    for _ in range(3 * LIMIT + 2):
        action = env.actions.sample(rng)
        before = view(env.read_signals())
        after = view(env.step(action[None]).after)
        expected = eval(expression, {"np": np, "before": before, "after": after})[0]
        *_, terminated, truncated, info = wrapped.step(action.astype(np.float32))
        assert info["reward_terms"]["it"] == expected
        if terminated or truncated:
            wrapped.reset()
