"""The history in a prompt: outcome, cause, change and noise."""

from __future__ import annotations

from dataclasses import replace

from fakes.designer_case import BRIEF, candidate

from rewardsmith.contract.records import CurvePoint, EpisodeReading, Proposal, Reflection, Training
from rewardsmith.search.steps.designer.history_table import (
    describe_change,
    describe_noise,
    render_failure,
    render_history,
    summarize_idea,
)


def trained(id: str, weights: str, terms: tuple[str, ...], parents: tuple[str, ...] = (), **changes: object):
    source = f"WEIGHTS = {weights}\n\ndef reward(after):\n    return {{}}\n"
    point = CurvePoint(100, 1, 1.0, 10.0, 1.0, dict.fromkeys(terms, 1.0))
    training = Training("ok", 0, 100, (point,), 1.0, 1.0, 0.0)
    proposal = Proposal(source, "llm:small", parents, f"Idea of {id}. More.")
    return replace(candidate(id, 1.0), proposal=proposal, trainings=(training,), **changes)


PARENT = trained("g0c00", "{'speed': 1.0, 'effort': 0.05}", ("speed", "effort", "alive"))
CHILD = trained(
    "g1c00",
    "{'speed': 2.0, 'effort': 0.05, 'level': 0.3}",
    ("speed", "effort", "level"),
    ("g0c00",),
    reflection=Reflection(
        "Text.",
        ("the actions are near zero", "another alarm"),
        EpisodeReading(("it stands still because of effort",)),
        "7 of 10, 120 steps",
        {"height": 0.69, "speed": 1.234},
    ),
)
LATER = replace(BRIEF, generation=2, parents=(PARENT,), history=(PARENT, CHILD), incumbent="g0c00")


def test_a_row_says_what_changed_how_the_episodes_went_and_what_was_alarming() -> None:
    header, *_, row = (render_history(LATER, 4) or "").splitlines()
    assert header.split(" | ")[3] == "ended early; at the end height, speed"
    cells = row.split(" | ")
    assert cells[:3] == ["g1c00", "g0c00", "1"]
    assert cells[3] == "7 of 10, 120 steps; 0.69, 1.23"
    assert cells[4] == "+level, -alive, speed 1 to 2"
    assert cells[5] == "Idea of g1c00."
    assert cells[6].startswith("the actions are near zero; 1 more; a reader: it stands still")


def test_the_analysis_of_a_program_that_is_shown_in_full_stands_in_its_feedback_alone() -> None:
    assert "a reader:" not in (render_history(replace(LATER, parents=(CHILD,)), 4) or "")


def test_the_best_so_far_has_a_row_however_old_it_is() -> None:
    old = replace(LATER, generation=9, parents=(), incumbent="g0c00")
    rows = (render_history(old, 1) or "").splitlines()
    assert [row.split(" | ")[0] for row in rows[1:]] == ["g0c00"]


def test_a_child_with_the_same_terms_and_weights_is_told_as_such() -> None:
    assert describe_change(PARENT, PARENT) == "the same terms and weights, computed otherwise"


def test_a_program_that_is_no_python_has_no_change() -> None:
    broken = replace(CHILD, proposal=replace(CHILD.proposal, source="def reward(:"))
    assert describe_change(PARENT, broken) == ""


def test_the_idea_is_what_its_author_named_uncut_else_the_first_sentence() -> None:
    named = replace(CHILD.proposal, idea="Pay each metre once. And hold the torso level, e.g. by tolerance")
    assert summarize_idea(named) == "Pay each metre once. And hold the torso level, e.g. by tolerance"
    assert summarize_idea(CHILD.proposal) == "Idea of g1c00."


def test_noise_and_ties_are_told_as_far_as_they_are_known() -> None:
    assert describe_noise(LATER) is None
    told = describe_noise(replace(LATER, noise=0.214, ties=("g1c00", "g7c07")))
    assert told == (
        "A difference in fitness below 0.21 is within the noise of training. Not to be told apart from g0c00, the best "
        "so far: g1c00; any of them may hold the better idea."
    )


def test_a_failure_names_the_parent_whose_other_children_should_know_of_it() -> None:
    failed = replace(candidate("g1c01", status="failed", cause="not finite"), generation=1)
    assert render_failure(failed) == "g1c01 (from g0c00) failed while training: not finite"
