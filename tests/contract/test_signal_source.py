"""The language of a signal's source, and reading values by it."""

from __future__ import annotations

import numpy as np
import pytest

from rewardsmith.contract.errors import TaskError
from rewardsmith.contract.records import EnvSpec, Signal
from rewardsmith.contract.signal_source import (
    Constant,
    FieldReference,
    FunctionCall,
    SignedSum,
    list_field_references,
    parse,
)
from rewardsmith.worker.envs.base import SignalLayout
from rewardsmith.worker.envs.make import make_envs
from rewardsmith.worker.envs.signal_reader import SignalReader, refuse_row_name


@pytest.mark.parametrize(
    ("text", "node"),
    [
        ("obs", FieldReference("obs")),
        ("qpos[-1]", FieldReference("qpos", (-1,))),
        ("qvel[1:3]", FieldReference("qvel", (slice(1, 3),))),
        ("qvel[:]", FieldReference("qvel", (slice(None),))),
        ("xpos[torso, 2]", FieldReference("xpos", ("torso", 2))),
        ("sensordata['left foot']", FieldReference("sensordata", ("left foot",))),
        ("xpos[robot0:grip,0]", FieldReference("xpos", ("robot0:grip", 0))),
        ("qpos[0] + 0.7", SignedSum(FieldReference("qpos", (0,)), 1, Constant(0.7))),
        (
            "norm(xpos[a]-xpos[b])",
            FunctionCall("norm", SignedSum(FieldReference("xpos", ("a",)), -1, FieldReference("xpos", ("b",)))),
        ),
    ],
)
def test_parses(text, node):
    assert parse(text) == node


@pytest.mark.parametrize(
    ("text", "place"), [("", 0), ("qpos[", 5), ("qpos[0", 5), ("qpos[1.5]", 5), ("tan(qpos[0])", 0), ("qpos[0] * 2", 8)]
)
def test_marks_the_place_of_a_mistake(text, place):
    with pytest.raises(TaskError) as error:
        parse(text)
    assert str(error.value).splitlines()[-1] == f"  {' ' * place}^"


def test_refs_are_every_field_that_is_read():
    assert [ref.field for ref in list_field_references(parse("norm(xpos[a] - site_xpos[b]) + 1"))] == [
        "xpos",
        "site_xpos",
    ]


def reading(source, shape, **fields):
    signal = Signal("it", shape, "1", "", source)
    layout = SignalLayout((signal,))
    out = np.zeros((2, layout.width))
    SignalReader.from_layout(layout, refuse_row_name).bind_fields(lambda name: fields[name])(out)
    return layout.unpack_signals(out)["it"]


def test_functions_apply_to_each_row():
    angles = np.array([[0.0, 3.5], [0.0, -3.5]])
    np.testing.assert_allclose(reading("wrap(q[1])", (), q=angles), [3.5 - 2 * np.pi, 2 * np.pi - 3.5])
    np.testing.assert_allclose(reading("norm(q)", (), q=np.array([[3.0, 4.0], [0.0, 1.0]])), [5.0, 1.0])
    np.testing.assert_allclose(reading("q[0:2] - 1", (2,), q=np.ones((2, 3))), np.zeros((2, 2)))


def test_reading_follows_the_live_buffer():
    buffer = np.zeros((2, 3))
    layout = SignalLayout((Signal("it", (), "1", "", "q[1]"),))
    copy = SignalReader.from_layout(layout, refuse_row_name).bind_fields(lambda name: buffer)
    buffer[:, 1] = 5.0
    out = np.zeros((2, 1))
    copy(out)
    assert out.tolist() == [[5.0], [5.0]]


def test_names_of_the_model_stand_for_its_rows():
    by_name = Signal("a", (3,), "m", "", "xpos[foot]"), Signal("b", (), "rad", "", "qvel[leg_joint]")
    by_number = Signal("c", (3,), "m", "", "xpos[4]"), Signal("d", (), "rad", "", "qvel[4]")
    env = make_envs(EnvSpec("Hopper-v5", signals=by_name + by_number), 2, ("a", "b", "c", "d"))
    env.reset((0, 1))
    values = env.layout.unpack_signals(env.step(np.ones((2, 3))).after)
    np.testing.assert_array_equal(values["a"], values["c"])
    np.testing.assert_array_equal(values["b"], values["d"])


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("xpos[tors]", "no body 'tors'; did you mean 'torso'"),
        ("obs[torso]", "have no names"),
        ("time[torso]", "have no names"),
        ("xvelp[1:3]", "must name one body"),
        ("xpos[99]", "outside the field"),
    ],
)
def test_what_a_model_lacks_is_said(source, says):
    with pytest.raises(TaskError, match=says):
        make_envs(EnvSpec("Hopper-v5", signals=(Signal("it", (3,), "m", "", source),)), 1, ("it",))


def test_contact_forces_can_be_named_on_the_batched_path():
    signals = (Signal("force", (3,), "N", "", "cfrc_ext[foot,3:6]"), Signal("x", (), "m", "", "qpos[0]"))
    env = make_envs(EnvSpec("Hopper-v5", signals=signals), 2, ("force", "x"))
    env.reset((0, 1))
    # The robot of 3.7 kg lands on its foot: it bears at least a part of the weight.
    forces = [env.layout.unpack_signals(env.step(np.zeros((2, 3))).after)["force"][:, 2].copy() for _ in range(15)]
    assert np.max(forces) > 10.0
