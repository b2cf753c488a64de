"""The fitness language."""

from __future__ import annotations

import numpy as np
import pytest

from rewardsmith.contract.errors import FitnessError
from rewardsmith.contract.fitness import Fitness, Rollout, describe_measure, find_unwrapped_comparisons
from rewardsmith.contract.records import Signal

STEPS = 5
SIGNALS = {
    "x": np.array([0.0, 1.0, 2.0, 3.0, 4.0]),
    "angle": np.array([3.0, -3.0, -1.0, 1.0, 3.0]),
    "place": np.array([[0.0, 3.0, 4.0]] * STEPS),
    "near": np.array([0.0, 0.0, 1.0, 1.0, 0.0]),
}
START = {"x": np.array(-1.0), "angle": np.array(0.0), "place": np.zeros(3), "near": np.array(0.0)}


def evaluate(text, terminated=False):
    actions = np.arange(2.0 * STEPS).reshape(STEPS, 2)
    return Fitness.parse(text).evaluate(Rollout(SIGNALS, START, actions, terminated))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("x[-1] - start.x", 5.0),
        ("x[1:4][0]", 1.0),
        ("place[-1, 2]", 4.0),
        ("mean(x)", 2.0),
        ("sum(x) / length", 2.0),
        ("min(x) + max(x)", 4.0),
        ("min(x[3], 1, 2)", 1.0),
        ("max(max(x, 2.5))", 4.0),
        ("std(x)", np.sqrt(2.0)),
        ("abs(start.x)", 1.0),
        ("any(near)", 1.0),
        ("all(near)", 0.0),
        ("any(x > 9)", 0.0),
        ("count(x >= 1 and not near)", 2.0),
        ("count(x < 1 or near)", 3.0),
        ("count(0 < x < 3)", 2.0),
        ("(x > 1)[-1] + (x > 2)[-1]", 2.0),
        ("-(x > 2)[-1]", -1.0),
        ("first(x) + last(x)", 4.0),
        ("mean(diff(x))", 1.0),
        ("norm(place[-1])", 5.0),
        ("mean(norm(place))", 5.0),
        ("clip(x[-1], 0, 2)", 2.0),
        ("sqrt(x[-1])", 2.0),
        ("exp(0)", 1.0),
        ("7 // 2 + 7 % 4 + 2 ** 3", 14.0),
        ("mean(actions[:, 0])", 4.0),
        ("pi", np.pi),
    ],
)
def test_evaluates(text, value):
    assert evaluate(text) == pytest.approx(value, abs=1e-12)


def test_survived_tells_an_early_end():
    assert evaluate("survived") == 1.0
    assert evaluate("survived", terminated=True) == 0.0


def test_rotations_within_stretches_are_counted_one_by_one():
    signals = {"angle": np.linspace(0, 4 * np.pi, 9), "free": np.array([0, 1, 1, 1, 0, 0, 1, 1, 0])}
    turning = Rollout(signals, {}, np.ones((9, 1)), False)
    assert Fitness.parse("max(rotations(angle, free))").evaluate(turning) == pytest.approx(0.5)
    assert Fitness.parse("sum(rotations(-angle, free))").evaluate(turning) == pytest.approx(-0.75)
    assert Fitness.parse("count(rotations(angle, free > 0) > 0.2)").evaluate(turning) == 2
    assert Fitness.parse("max(rotations(angle, free > 1))").evaluate(turning) == 0
    with pytest.raises(FitnessError, match=r"when has shape \(3,\)"):
        Fitness.parse("max(rotations(angle, free[:3]))").evaluate(turning)


def test_rotations_are_signed_full_turns_however_the_angle_is_wrapped():
    turned = np.linspace(0.0, 6 * np.pi, 50)
    wrapped = (turned + np.pi) % (2 * np.pi) - np.pi
    for angle, turns in ((turned, 3.0), (wrapped, 3.0), (-wrapped, -3.0)):
        rollout = Rollout({"angle": angle}, {"angle": np.array(0.0)}, np.zeros((50, 1)), False)
        assert Fitness.parse("rotations(angle)").evaluate(rollout) == pytest.approx(turns)


def test_names_are_the_signals_in_their_order_without_the_language_s_own():
    assert Fitness.parse("mean(v) * survived - start.x + x[-1] / length + v[0] * pi").names == ("v", "x")


@pytest.mark.parametrize(
    ("text", "says", "marked"),
    [
        ("x[-1] - start.z", "no signal 'z'", "start.z"),
        ("mean(plac)", "near it: place", "plac"),
        ("x[-1] + mean(x", "was never closed", "("),
        ("avg(x)", "no function 'avg'", "avg"),
        ("mean(x, 2)", "takes 1 value", "mean(x, 2)"),
        ("mean", "write mean(...)", "mean"),
        ("x.real", "only `start` has attributes", "x.real"),
        ("start", "write start.<signal>", "start"),
        ("x[x]", "whole number", "x"),
        ("x[0.5]", "whole number", "0.5"),
        ("x[~1]", "whole number", "~1"),
        ("x[99]", "out of bounds", "x[99]"),
        ("1 + x", "shape (5,), not one number", "1 + x"),
        ("x + place", "broadcast", "x + place"),
        ("1 / mean(x - x)", "guard a division", "1 / mean(x - x)"),
        ("sqrt(start.x)", "the result is nan", "sqrt(start.x)"),
        ("mean(x) if x else 1", "no if/else", "mean(x) if x else 1"),
        ("[][0]", "an empty list is no vector", "[]"),
        ("atan2(x)", "takes 2 value(s): atan2(y, x)", "atan2(x)"),
        ("angle(place)", "2 components", "angle(place)"),
        ("limit - length", "no time limit", "limit"),
        ("length * dt", "does not say how long a step is", "dt"),
        ("mean(distance)", "distance is a function: distance(a, b)", "distance"),
        ("avg(x)", "there are abs, all, angle, any, arccos, arcsin, atan2, clip, cos, count, diff, distance", "avg"),
        ("'a' * 9", "only numbers", "'a'"),
        ("True", "only numbers", "True"),
        ("x @ x", "no operator MatMult", "x @ x"),
        ("x in x", "no operator In", "x in x"),
        ("__import__('os')", "no function '__import__'", "__import__"),
        ("(lambda: 1)()", "no function", "lambda: 1"),
        ("mean(*x)", "takes plain values", "mean(*x)"),
        ("mean(x=x)", "takes plain values", "mean(x=x)"),
    ],
)
def test_mistakes_point_into_the_expression(text, says, marked):
    with pytest.raises(FitnessError) as error:
        evaluate(text)
    message, line, marks = str(error.value).splitlines()
    assert says in message
    assert line == f"  {text}"
    place = marks.index("^")
    assert line[place : place + marks.count("^")] == marked


def test_an_expression_may_go_over_several_lines():
    assert evaluate("x[-1]\n  - start.x\n") == 5.0
    with pytest.raises(FitnessError) as error:
        evaluate("x[-1]\n  - start.z\n")
    _, line, marks = str(error.value).splitlines()
    assert line[marks.index("^") :] == "start.z"


def test_the_cause_of_an_error_is_its_line_without_the_quoted_expression():
    with pytest.raises(FitnessError) as error:
        evaluate("mean(plac)")
    assert str(error.value).startswith("fitness: no signal 'plac'; ")
    assert error.value.cause == str(error.value).splitlines()[0].removeprefix("fitness: ")


def test_a_success_flag_is_read_like_any_signal():
    assert evaluate("any(near) and not all(near)") == 1.0
    assert evaluate("count(near) / length * survived") == pytest.approx(0.4)
    assert evaluate("last(near)") == 0.0


def test_marks_stand_under_characters_not_bytes():
    with pytest.raises(FitnessError) as error:
        Fitness.parse("größe + foo(x)")
    _, line, marks = str(error.value).splitlines()
    assert line[marks.index("^") :][:3] == "foo"


@pytest.mark.parametrize(
    "text", ["", "   ", "x" * 3000, "(" * 300 + "x" + ")" * 300, "-" * 900 + "x", "x+" * 500 + "x", "x\0"]
)
def test_what_is_no_expression_is_refused(text):
    with pytest.raises(FitnessError):
        Fitness.parse(text)


def test_powers_of_constants_do_not_hang():
    with pytest.raises(FitnessError, match="the result is inf"):
        evaluate("9 ** 9 ** 9 ** 9")


def test_check_finds_signals_that_are_not_there():
    fitness = Fitness.parse("x_position[-1] - start.x_position")
    fitness.check_signals(["x_position", "y"])
    with pytest.raises(FitnessError, match="near it: x_pos"):
        fitness.check_signals(["x_pos"])


def test_a_trial_finds_shapes_that_do_not_lead_to_one_number():
    signals = (Signal("p", (3,), "m", "", ""), Signal("x", (), "m", "", ""))
    Fitness.parse("x[100] + p[-1, 0]").try_on(signals)
    with pytest.raises(FitnessError, match="shape \\(3,\\)"):
        Fitness.parse("mean(p)").try_on(signals)


def test_equal_expressions_are_equal():
    assert Fitness.parse("mean(x)") == Fitness.parse("mean(x)")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("sin(pi / 6)", 0.5),
        ("cos(pi)", -1.0),
        ("arccos(1.0000001)", 0.0),
        ("atan2(1, 1) / pi", 0.25),
        ("wrap(3 * pi / 2) / pi", -0.5),
        ("max(abs(wrap(angle)))", 3.0),
        ("distance(place[-1], [0.0, 0.0, 0.0])", 5.0),
        ("mean(distance(place, start.place))", 5.0),
        ("distance(x[-1], 1)", 3.0),
        ("angle([0.0, 2.0]) / pi", 0.5),
        ("angle(place[-1], [0.0, 1.0, 0.0])", np.arctan2(4.0, 3.0)),
        ("norm([3.0, x[4]])", 5.0),
    ],
)
def test_angles_vectors_and_lists(text, value):
    assert evaluate(text) == pytest.approx(value)


def test_a_signal_may_have_the_name_of_a_newer_function():
    assert evaluate("angle[0] + angle([1.0, 0.0])") == 3.0
    assert Fitness.parse("mean(angle)").names == ("angle",)


def test_the_time_limit_and_the_length_of_a_step_come_from_the_environment():
    rollout = Rollout(SIGNALS, START, np.zeros((STEPS, 1)), False)
    assert Fitness.parse("length / limit").bind_environment(10, None).evaluate(rollout) == 0.5
    assert Fitness.parse("length * dt").bind_environment(None, 0.02).evaluate(rollout) == pytest.approx(0.1)
    assert Fitness.parse("dt + limit").names == ()


def test_an_unknown_signal_is_answered_with_how_a_card_adds_one():
    with pytest.raises(FitnessError, match=r"under \[signals\]: z = \{ source"):
        Fitness.parse("mean(z)").check_signals(["x"])


@pytest.mark.parametrize(
    ("text", "measure"),
    [
        ("x[-1] - start.x", "in m"),
        ("mean(v) * survived", "in m/s"),
        ("mean(diff(x)) / dt", "in m/s"),
        ("rotations(tilt)", "in turns"),
        ("-mean(distance(place, [0.0, 0.0, 1.0]))", "in m"),
        ("mean(x > 1) * survived", "a share in [0, 1]"),
        ("count(x > 1)", "a number without a unit"),
        ("sum(clip(1 - abs(v - 0.5) / 0.5, 0, 1)) / 500", "a number without a unit"),
        ("clip(x[-1] - 0.025, 0, 0.15) / 0.15", "a share in [0, 1]"),
        ("clip(x[-1], 0, 0.3) / 0.15", "in m"),
        ("mean(x) * mean(v)", ""),
        ("sum(v) + mean(x)", ""),
    ],
)
def test_the_unit_of_a_fitness_follows_from_its_signals(text, measure):
    assert describe_measure(text, UNITS) == measure


UNITS = (
    Signal("x", (), "m", "", ""),
    Signal("v", (), "m/s", "", ""),
    Signal("place", (3,), "m", "", ""),
    Signal("tilt", (), "rad", "lean, not wrapped", ""),
    Signal("bend", (), "rad", "lean in [-pi, pi)", ""),
)


def test_an_angle_that_is_not_wrapped_and_is_compared_is_remarked_on():
    (remark,) = find_unwrapped_comparisons(Fitness.parse("mean(abs(tilt) < 0.2)"), UNITS)
    assert "wrap(tilt) is in [-pi, pi)" in remark
    for fine in ("mean(abs(wrap(tilt)) < 0.2)", "mean(bend < 0.2)", "rotations(tilt) > 1", "tilt[-1] - start.tilt > 6"):
        assert find_unwrapped_comparisons(Fitness.parse(fine), UNITS) == ()
