"""The reviewer: its prompts, how its answers are used, and that a search never depends on it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import pytest
from fakes.scripted_model import Script

from rewardsmith.contract.errors import BudgetExhausted, ModelRefused, ModelUnavailable
from rewardsmith.contract.records import Brief, Finding, Proposal, Signal, TermStats, TrialScoring, Verdict
from rewardsmith.search.steps.critic.llm_reviewer import LlmReviewer

PROGRAM = """WEIGHTS = {"speed": 1.0, "effort": 0.1}

def reward(action, after):
    return {"speed": after.speed, "effort": np.sum(action**2, axis=1)}
"""
BRIEF = Brief(
    task="Run as fast as you can",
    env_id="Runner-v0",
    env_about="A runner with two legs.",
    signals=(
        Signal("tilt", (2,), "rad", "Tilt of the torso.", "obs[1:3]"),
        Signal("speed", (), "m/s", "Speed.", "obs[0]"),
    ),
    action="(2,) in [-1, 1]: torque of each joint",
    generation=0,
    population=4,
    seed=0,
    notes=("It should not hop.",),
)
DRY = TrialScoring(
    1024,
    0.7,
    (TermStats("speed", 1.0, 0.0123456, 0.5, -2.0, 2.25, 0.6), TermStats("effort", 0.1, 0.66, 0.3, 0, 2, 0.4)),
)
CHECKED = Verdict(True, (Finding("slow", "scoring costs 120 µs per transition", "warning"),), DRY)
SIGN = {"kind": "sign", "term": "effort", "line": 4, "message": "It pays for effort. Put a minus before it."}
REVISE = json.dumps({"verdict": "revise", "findings": [SIGN]})
ACCEPT = json.dumps({"verdict": "accept", "findings": []})


def review_with_answers(
    *answers: str | Exception, rounds: int = 2, earlier: Sequence[Verdict] = ()
) -> tuple[Verdict, Script]:
    model = Script(list(answers))
    verdict = LlmReviewer(model, rounds).review_program(BRIEF, 3, Proposal(PROGRAM, "llm:small"), CHECKED, earlier)
    return verdict, model


def test_an_accepted_program_stays_accepted() -> None:
    verdict, model = review_with_answers(ACCEPT)
    assert verdict == CHECKED
    assert model.asked[0][:2] == ("critic", 3)


@pytest.mark.parametrize(("form", "told"), [("terms", False), ("sparse-dense", True)])
def test_a_reviewer_of_signs_is_told_that_what_is_put_around_them_is_fixed(form: str, told: bool) -> None:
    model = Script([ACCEPT])
    LlmReviewer(model, 2, form).review_program(BRIEF, 3, Proposal(PROGRAM, "llm:small"), CHECKED, ())
    assert ("advise on what counts as an event" in model.asked[0][2][-1].content) is told


def test_an_objection_sends_it_back_but_leaves_it_trainable() -> None:
    verdict, _ = review_with_answers(REVISE)
    assert (verdict.accepted, verdict.trainable) == (False, True)
    message = "the term 'effort': It pays for effort. Put a minus before it."
    assert verdict.findings[-1] == Finding("review-sign", message, "objection", 4)


def test_remarks_with_an_acceptance_are_warnings() -> None:
    verdict, _ = review_with_answers(json.dumps({"verdict": "accept", "findings": [SIGN]}))
    assert verdict.accepted
    assert verdict.findings[-1].severity == "warning"


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ("It looks good to me!", "no JSON object"),
        (json.dumps({"verdict": "reject", "findings": [SIGN]}), "verdict: input should be 'accept' or 'revise'"),
        (json.dumps({"verdict": "revise", "findings": []}), "there is no finding"),
        (json.dumps({"verdict": "revise", "findings": [SIGN | {"line": 40}]}), "line 40; the program has lines 1 to 4"),
        (json.dumps({"verdict": "revise", "findings": [SIGN | {"term": "energy"}]}), "the terms are speed, effort"),
        (json.dumps({"verdict": "revise", "findings": [SIGN | {"kind": "style"}]}), "findings.0.kind"),
        (json.dumps({"verdict": "revise", "findings": [SIGN] * 7}), "at most 6 items"),
    ],
)
def test_an_answer_that_is_no_review_is_asked_for_again(answer: str, problem: str) -> None:
    verdict, model = review_with_answers(answer, ACCEPT)
    assert verdict.accepted
    assert problem in model.asked[1][2][-1].content


@pytest.mark.parametrize(
    "answers",
    [("no", "no"), (ModelRefused("the model declined"),), (BudgetExhausted("9 of 9 calls are spent"),)],
    ids=["no review", "declined", "budget"],
)
def test_where_no_review_is_to_be_had_the_program_goes_on_with_a_note(answers: tuple[str | Exception, ...]) -> None:
    verdict, _ = review_with_answers(*answers)
    assert verdict.accepted
    assert verdict.findings[-1].severity == "warning"
    assert "it was not reviewed" in verdict.findings[-1].message


def test_a_lost_endpoint_is_not_passed_over() -> None:
    with pytest.raises(ModelUnavailable):
        review_with_answers(ModelUnavailable("down"))


def test_a_reviewer_that_never_agrees_is_not_asked_beyond_its_rounds() -> None:
    objection, _ = review_with_answers(REVISE)
    verdict, model = review_with_answers(earlier=[Verdict(False, (Finding("syntax", "no"),)), objection, objection])
    assert model.asked == []
    assert verdict.accepted
    assert "objected 2 times" in verdict.findings[-1].message


def test_the_reviewers_prompts(snapshot: Callable[[str, str], None]) -> None:
    objection, _ = review_with_answers(REVISE)
    _, model = review_with_answers("Fine.", ACCEPT, earlier=[objection])
    told = "\n".join(f"===== {message.role}\n{message.content}" for message in model.asked[1][2])
    snapshot("critic-review", told)


def test_a_prompt_holds_nothing_that_was_measured_in_time() -> None:
    _, model = review_with_answers(ACCEPT)
    assert "µs" not in model.asked[0][2][-1].content
    assert "0.7" not in model.asked[0][2][-1].content
