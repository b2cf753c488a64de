"""What other people's environments say of themselves reaches describe, card and prompt; cards name code around them."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
from fakes.foreign_envs import registered

from rewardsmith.contract.errors import TaskError
from rewardsmith.contract.records import EnvSpec, EnvWrapper, Probe, ProbeJob, TrainJob, TrainSettings
from rewardsmith.contract.reward_program import parse_program
from rewardsmith.report.export.exporter import export_program, spell_make_call
from rewardsmith.spec.class_docs import describe_class
from rewardsmith.spec.new_card import render_card
from rewardsmith.worker import probe
from rewardsmith.worker.envs.catalogue import survey_environment
from rewardsmith.worker.envs.make import make_envs
from rewardsmith.worker.envs.open_env import open_env
from rewardsmith.worker.training import train

FAKES = "fakes.foreign_envs"
OBSERVE_PIXELS = EnvWrapper("rewardsmith.worker.envs.wrappers:ObserveEntry", {"key": "pixels"})


@pytest.fixture(scope="module", autouse=True)
def envs():
    with registered():
        yield


def spec(name: str, *wrappers: EnvWrapper, **options: Any) -> EnvSpec:
    return EnvSpec(f"foreign/{name}-v0", wrappers=wrappers, **options)


def probed(env: EnvSpec, folder) -> Probe:
    return probe.run(ProbeJob(env, 0, 64), folder)


# ---------------------------------------------------------------- nested info


def test_nested_info_is_taken_apart_under_dotted_keys():
    survey = survey_environment(spec("NestedInfo"))
    assert {signal.name: signal.shape for signal in survey.signals if signal.name != "obs"} == {
        "ship_fuel": (),
        "ship_place": (2,),
        "ship_crew_size": (),
        "pair_1": (),
        "side": (),
        "ship_fuel_max": (),
    }
    left_out = {entry.key: entry.reason for entry in survey.info if entry.decision == "left out"}
    assert set(left_out) == {"ship.name", "pair.0", "names", "crowd"}
    assert "0 SHORT, 1 LONG" in next(signal.meaning for signal in survey.signals if signal.name == "side")


def test_a_part_whose_path_tells_the_reward_is_privileged():
    survey = survey_environment(spec("NestedInfo"))
    assert {signal.source for signal in survey.privileged_signals} == {
        "environment_reward",
        'info["rewards.collision"]',
        'info["rewards.speed"]',
    }


def test_nested_parts_are_read_in_training_and_in_an_exported_file_alike():
    env_spec = spec("NestedInfo")
    signals = survey_environment(env_spec).signals
    names = ("ship_fuel", "ship_place", "pair_1", "side", "ship_fuel_max")
    env = make_envs(env_spec, 1, names)
    env.reset((3,))
    terms = [f"'{name}': np.sum(after.{name}.reshape(len(after.{name}), -1), axis=1)" for name in names]
    source = f"def reward(after):\n    return {{{', '.join(terms)}}}\n"
    space: dict[str, Any] = {}
    exec(compile(export_program(parse_program(source), signals, env_spec), "exported", "exec"), space)
    theirs = space["make"]()
    theirs.reset(seed=3)
    for step in range(1, 4):
        after = env.step(np.full((1, 2), 0.5)).after
        values = env.layout.unpack_signals(after)
        paid = theirs.step(np.full(2, 0.5, np.float32))[4]["reward_terms"]
        assert {name: float(values[name].sum()) for name in names} == pytest.approx(paid)
        assert values["ship_fuel"][0] == 1.0 - 0.01 * step
        assert values["side"][0] == step % 2


# ---------------------------------------------------------------- names of actions and numbers, bounds


@pytest.mark.parametrize(
    ("name", "names"),
    [
        ("EnumActions", ("left", "right", "wait")),
        ("MeaningActions", ("NOOP", "FIRE")),
        ("Rows", ("LEFT", "IDLE", "RIGHT")),
        ("FailingMeanings", ()),
        ("OtherCount", ()),
        ("Point", ()),
    ],
)
def test_actions_have_the_environment_s_own_names(name, names, tmp_path):
    found = probed(spec(name), tmp_path)
    assert found.action_names == names
    for place, action in enumerate(names):
        assert f"{place} {action}" in found.action_about
        assert f"{place} {action}" in render_card(spec(name), found)


def test_named_columns_of_an_observation_are_signals_with_the_numbers_of_every_row():
    env = make_envs(spec("Rows"), 1, ("presence", "x", "y"))
    env.reset((0,))
    values = env.layout.unpack_signals(env.step(np.zeros((1, 1))).after)
    np.testing.assert_array_equal(values["x"][0], np.arange(12.0).reshape(4, 3)[:, 1] + 1)
    assert "Rows of things around the point" in survey_environment(spec("Rows")).about
    assert [signal.name for signal in survey_environment(spec("OtherCount")).signals] == ["obs", "spread"]


def test_bounds_that_differ_are_said_one_by_one():
    assert survey_environment(spec("Bounded")).signals[0].meaning.endswith("between [-9, 0, -1, -1] and [9, inf, 1, 1]")


def test_what_a_class_says_about_its_reward_stays_out_of_card_and_prompt(tmp_path):
    about = probed(spec("Point"), tmp_path).about
    assert "negative" in about
    assert (
        describe_class(about)
        == "A point in the plane that is to reach the origin.\n\n## Start\nAnywhere in the square."
    )


def test_actions_far_from_zero_get_a_remark_with_the_wrapper_that_scales_them(tmp_path):
    [remark] = [remark for remark in probed(spec("Pixels"), tmp_path).remarks if "RescaleAction" in remark]
    assert "2 numbers, each in [0, 512]" in remark
    kwargs = {"min_action": -1.0, "max_action": 1.0}
    scaled = probed(spec("Pixels", EnvWrapper("gymnasium.wrappers:RescaleAction", kwargs)), tmp_path)
    assert (scaled.action_low, scaled.action_high, scaled.remarks) == ((-1.0, -1.0), (1.0, 1.0), ())


# ---------------------------------------------------------------- images beside numbers


def test_an_image_beside_numbers_is_read_by_convolutions_and_a_remark_says_so(tmp_path):
    found = probed(spec("ImageBeside"), tmp_path)
    assert found.observation_shape == (4802,)
    [remark] = [remark for remark in found.remarks if "is an image" in remark]
    assert "'pixels' is an image (40, 40, 3); a policy of PPO reads it by convolutions beside the other" in remark
    assert "training.observation" in remark


def test_a_wrapper_observes_the_image_alone_and_reports_the_rest(tmp_path):
    env_spec = spec("ImageBeside", OBSERVE_PIXELS)
    found = probed(env_spec, tmp_path)
    assert found.observation_shape == (40, 40, 3)
    assert "place" in [signal.name for signal in found.signals]
    settings = TrainSettings(trainer="sb3", n_envs=2, n_steps=8, batch_size=16, n_epochs=1, net_arch=(8,))
    program = "def reward(after):\n    return {'near': -np.abs(after.place[:, 0])}\n"
    result = train.run(TrainJob(env_spec, program, "length", 0, 16, settings), tmp_path)
    assert (result.status, result.cause) == ("ok", None)


def test_an_entry_that_is_not_there_is_named_with_those_that_are():
    with pytest.raises(TaskError, match="no entry 'screen'; it has pixels, place"):
        open_env(spec("ImageBeside", EnvWrapper(OBSERVE_PIXELS.name, {"key": "screen"})))


def test_a_grey_image_without_a_channel_axis_is_an_image(tmp_path):
    assert probed(spec("Grey"), tmp_path).observation_shape == (40, 40, 1)


# ---------------------------------------------------------------- imports and wrappers


def test_a_vector_reward_is_weighed_and_its_parts_are_for_the_fitness_alone(tmp_path):
    wrapper = EnvWrapper("rewardsmith.worker.envs.wrappers:WeightedReward", {"weights": [1.0, 10.0]})
    env = make_envs(spec("VectorReward", wrapper), 1, (), ("reward_parts",))
    env.reset((0,))
    assert env.step(np.zeros((1, 2))).environment_reward[0] == 21.0
    assert "reward_parts" in {
        signal.name for signal in probed(spec("VectorReward", wrapper), tmp_path).privileged_signals
    }
    short = EnvWrapper(wrapper.name, {"weights": [1.0]})
    with pytest.raises(TaskError, match="1 weights are given, the reward has 2 parts"):
        survey_environment(spec("VectorReward", short))


def test_a_wrapper_of_a_card_acts_in_training_and_in_the_exported_file():
    env_spec = spec("Point", EnvWrapper(f"{FAKES}:Scaled", {"scale": 10.0}))
    env, plain = make_envs(env_spec, 2, ("obs",)), make_envs(spec("Point"), 2, ("obs",))
    np.testing.assert_allclose(env.reset((1, 2)), 10.0 * plain.reset((1, 2)))
    program = parse_program("def reward(after):\n    return {'a': after.obs[:, 0]}\n")
    space: dict[str, Any] = {}
    exec(compile(export_program(program, survey_environment(env_spec).signals, env_spec), "exported", "exec"), space)
    theirs = space["make"]()
    assert theirs.reset(seed=1)[0] == pytest.approx(10.0 * plain.read_signals()[0])
    assert spell_make_call(env_spec) == f"{FAKES}.Scaled(gymnasium.make('foreign/Point-v0'), scale=10.0)"


def test_a_wrapped_environment_of_gymnasium_keeps_no_names_that_the_wrapper_may_have_changed():
    wrapped = EnvSpec("CartPole-v1", wrappers=(EnvWrapper(f"{FAKES}:Scaled"),))
    assert [signal.name for signal in survey_environment(wrapped).signals] == ["obs"]
    hopper = EnvSpec("Hopper-v5", wrappers=(EnvWrapper(f"{FAKES}:Scaled"),))
    assert not probe_is_batched(hopper)


def probe_is_batched(env: EnvSpec) -> bool:
    from rewardsmith.worker.envs.mujoco_env import MujocoEnv

    return isinstance(make_envs(env, 1), MujocoEnv)


def test_an_import_registers_the_id_by_the_function_that_it_names():
    with pytest.raises(TaskError, match="late"):
        open_env(EnvSpec("late/Point-v0"))
    env_spec = EnvSpec("late/Point-v0", imports=(f"{FAKES}:register_late",))
    assert open_env(env_spec).spec.id == "late/Point-v0"
    gymnasium.registry.pop("late/Point-v0")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (
            {"imports": ("no_such_module",)},
            "imports names .no_such_module., and No module named .*; install",
        ),
        ({"imports": (f"{FAKES}:registre",)}, "has no 'registre'; did you mean 'register"),
        ({"wrappers": (EnvWrapper(f"{FAKES}:make_number"),)}, "make_number returns int, not a Gymnasium environment"),
        ({"wrappers": (EnvWrapper(f"{FAKES}:fail_to_wrap"),)}, "cannot be wrapped in .*: ValueError: no such layout"),
        ({"wrappers": (EnvWrapper(f"{FAKES}:Scaled", {"size": 1}),)}, "unexpected keyword argument 'size'"),
    ],
)
def test_what_cannot_be_imported_or_wrapped_is_refused_in_one_line(options, says):
    with pytest.raises(TaskError, match=says) as refused:
        open_env(EnvSpec("foreign/Point-v0", **options))
    assert "\n" not in str(refused.value)


def test_several_agents_and_modules_that_register_nothing_are_refused_in_one_line():
    with pytest.raises(TaskError, match="several agents") as refused:
        open_env(EnvSpec("foreign/Several-v0"))
    assert "\n" not in str(refused.value)
    with pytest.raises(TaskError, match="importing 'json' registers nothing with Gymnasium"):
        open_env(EnvSpec("json:Mine-v0"))
