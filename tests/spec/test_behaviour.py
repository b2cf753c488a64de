"""Behaviour descriptors: from a card and from the command line, and what is refused in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from rewardsmith.api import planning
from rewardsmith.contract.errors import FitnessError, TaskError, UserError
from rewardsmith.contract.records import BehaviourDescriptor, Signal
from rewardsmith.search.probe import check_task_signals
from rewardsmith.spec.behaviour import parse_descriptor, set_descriptors
from rewardsmith.spec.task_cards import find_card_file, load_card, load_task

SPEED = BehaviourDescriptor("speed", "mean(x_velocity)", 0.0, 5.0, 10)


def write_card(folder: Path, section: str) -> Path:
    source = find_card_file("hopper")
    assert source is not None
    card = folder / "card.toml"
    card.write_text(source.read_text(encoding="utf-8").replace("[signals]", f"{section}\n\n[signals]", 1))
    return card


def test_a_card_names_the_descriptors_and_they_are_measured_as_metrics_are(tmp_path):
    section = '[behaviour]\nspeed = { expression = "mean(x_velocity)", low = 0, high = 5 }'
    task = load_card(write_card(tmp_path, section))
    assert task.behaviour == (SPEED,)
    assert task.metric_expressions["speed"] == "mean(x_velocity)"
    assert load_task(None, "hopper").behaviour == ()


@pytest.mark.parametrize(
    ("text", "descriptor"),
    [
        ("speed=mean(x_velocity):0:5:10", SPEED),
        ("speed=mean(x_velocity):0:5", SPEED),
        ("late = last(x[10:20]):-1e2:.5:4", BehaviourDescriptor("late", "last(x[10:20])", -100.0, 0.5, 4)),
        ("high=mean(z == 1):0:1", BehaviourDescriptor("high", "mean(z == 1)", 0.0, 1.0, 10)),
    ],
)
def test_the_command_line_names_one_with_its_range(text, descriptor):
    assert parse_descriptor(text) == descriptor


def test_the_command_line_replaces_what_the_card_says(tmp_path):
    section = '[behaviour]\nspeed = { expression = "max(x_velocity)", low = 0, high = 1 }'
    card = load_card(write_card(tmp_path, section))
    assert set_descriptors(card, ["speed=mean(x_velocity):0:5"]).behaviour == (SPEED,)
    assert set_descriptors(card, ()) == card


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (["speed"], r"--behaviour 'speed': write NAME=EXPRESSION:LOW:HIGH"),
        (["speed=mean(x_velocity)"], r"write NAME=EXPRESSION:LOW:HIGH"),
        (["speed=mean(x_velocity):0:5:2.5"], r"BINS is '2.5'; a whole number from 2 to 50"),
        (["speed=mean(x_velocity):5:0"], r"'speed': low = 5 and high = 0; low must be below high"),
        (["speed=mean(x_velocity):0:inf"], r"both finite"),
        (["speed=mean(x_velocity):0:5:99"], r"'speed': bins = 99; 2 to 50 are allowed"),
        (["speed=mean(x_velocity:0:5"], r"'speed': "),
        (["2x=mean(x_velocity):0:5"], r"'2x': choose another name"),
        (["a=mean(x_velocity):0:5"] * 2, r"'a': choose another name"),
        (["a=length:0:5", "b=length:0:5", "c=length:0:5"], r"3 behaviour descriptors; 1 or 2 are allowed"),
    ],
)
def test_what_spans_no_archive_is_refused_in_one_line(texts, words):
    with pytest.raises(TaskError, match=words) as refused:
        set_descriptors(load_task(None, "hopper"), texts)
    assert "\n" not in str(refused.value)


def test_a_name_that_a_metric_has_already_is_refused(tmp_path):
    section = '[metrics]\nspeed = { expression = "max(x_velocity)", meaning = "m/s" }'
    section += '\n[behaviour]\nspeed = { expression = "mean(x_velocity)", low = 0, high = 5 }'
    with pytest.raises(TaskError, match=r"card.toml: behaviour 'speed': the task has a metric of this name"):
        load_card(write_card(tmp_path, section))


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("mean(x_velocit)", "behaviour 'a' = mean\\(x_velocit\\): no signal 'x_velocit'; near it: x_velocity"),
        ("x_velocity", "one number"),
        ("any(success)", "'success' is privileged, and the designer is told the descriptors"),
    ],
)
def test_signals_that_are_not_there_or_not_for_programs_are_refused_in_one_line(expression, words):
    task = set_descriptors(load_task(None, "hopper"), [f"a={expression}:0:5"])
    with pytest.raises(FitnessError, match=words) as refused:
        check_task_signals(task, task.env.signals, [Signal("success", (), "", "", "")])
    assert "\n" not in str(refused.value)


def test_a_search_that_nobody_can_propose_descriptors_to_is_refused_before_it_starts():
    settings = {"search": {"strategy": "map-elites", "designer": "symbolic"}}
    with pytest.raises(UserError, match=r"needs behaviour descriptors.*--behaviour NAME=EXPRESSION") as refused:
        planning.plan_search("Hop", "hopper", overrides=settings, variables={})
    assert "\n" not in str(refused.value)
    plan = planning.plan_search(
        "Hop", "hopper", overrides=settings, variables={}, behaviour=["speed=mean(x_velocity):0:5"]
    )
    assert plan.task.behaviour == (SPEED,)
    assert plan.calls == 0


def test_a_proposal_is_a_call_of_the_plan():
    settings = {"search": {"strategy": "map-elites", "designer": "llm"}, "llm": {"model": "small"}}
    plan = planning.plan_search("Hop", "hopper", overrides=settings, variables={})
    assert plan.calls == 4 * 3 + 1
