"""The loop with a reviewer: trainings are fake, the checks of programs are real."""

import json
from types import SimpleNamespace

import pytest
from fakes.played_search import TASK, PlayedExecutor, ScriptedDesigner

from rewardsmith.api import planning, searches
from rewardsmith.contract.errors import BudgetExhausted, ConfigError, ModelRefused
from rewardsmith.contract.records import ModelUsage
from rewardsmith.llm import Completion
from rewardsmith.search.callbacks import NullCallback
from rewardsmith.search.loop import Search
from rewardsmith.search.storage import Run
from rewardsmith.spec.config import resolve_config

PROGRAM = (
    "WEIGHTS = {{'up': {worth}}}\n\ndef reward(action, after):\n    return {{'up': after.height, 'push': {push}}}\n"
)
ACCEPT = json.dumps({"verdict": "accept"})
REVISE = json.dumps({"verdict": "revise", "findings": [{"kind": "goal", "message": "It pays for less than the task."}]})


def program(worth: float, push: float = 0.0) -> str:
    return PROGRAM.format(worth=worth, push=f"{push} * action[:, 0]")


class Answers:
    """The critic's model: what each call answers, or raises."""

    name = "small"

    def __init__(self, *answers: str | Exception) -> None:
        self.answers, self.asked = list(answers), 0

    def complete(self, messages, *, role, sample=0):
        self.asked += 1
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return Completion(answer, "stop", 1, 1, None, f"k.{sample}", 0.1, False)


def search(tmp_path, author, model=None, **sections):
    first = {"population": 1, "generations": 2, "final_seeds": 0, "env_steps": 100, "designer": "symbolic"}
    config = resolve_config({**sections, "search": first | sections.get("search", {})})
    path = tmp_path / "run"
    run = Run.open(path) if path.exists() else Run.create(path, TASK, config)
    journal = run.open_journal()
    executor = PlayedExecutor()
    executor.worth = {str(path / f"candidates/g{g}c{c:02d}/train-s0"): 1.0 for g in range(2) for c in range(2)}
    models = SimpleNamespace(for_role=lambda role: model, spent=ModelUsage()) if model else None
    try:
        return Search(run, journal, author, executor, NullCallback(), models).run_search(), executor
    finally:
        journal.close()


REVIEW = {"critic": {"review": True, "rounds": 2}}


def test_an_objection_is_answered_by_the_author_and_the_answer_is_trained(tmp_path):
    model = Answers(REVISE, ACCEPT, ACCEPT)
    designer = ScriptedDesigner([program(1.0), program(2.0, push=1.0)], repaired=program(7.0, push=-2.0))
    result, _ = search(tmp_path, designer, model, **REVIEW)
    assert result.candidates[0].fitness == 7.0
    assert designer.repairs[0][1][-1].code == "review-goal"
    assert model.asked == 3


def test_a_reviewer_that_never_agrees_ends_after_its_rounds_with_a_trained_program_and_a_note(tmp_path):
    class Author(ScriptedDesigner):
        def repair(self, brief, proposal, findings, round):
            super().repair(brief, proposal, findings, round)
            return type(proposal)(program(float(round), push=-float(round + 10 * brief.generation)), "test")

    model = Answers(*[REVISE] * 4)
    result, _ = search(tmp_path, Author([program(1.0), program(1.0, push=3.0)]), model, **REVIEW)
    first = result.candidates[0]
    assert (first.status, first.fitness, first.repairs) == ("ok", 2.0, 2)
    assert "objected 2 times" in first.verdict.findings[-1].message
    assert model.asked == 4


def test_a_program_that_comes_back_unchanged_is_trained_as_its_author_stands_by_it(tmp_path):
    model = Answers(REVISE, ACCEPT)
    result, _ = search(tmp_path, ScriptedDesigner([program(3.0), program(1.0, push=1.0)]), model, **REVIEW)
    assert result.candidates[0].fitness == 3.0
    assert "stands by it" in result.candidates[0].verdict.findings[-1].message


def test_a_broken_answer_to_an_objection_falls_back_to_the_program_that_could_be_trained(tmp_path):
    model = Answers(REVISE, ACCEPT)
    designer = ScriptedDesigner(
        [program(3.0), program(1.0, push=1.0)], repaired="def reward(after):\n    return after.hi\n"
    )
    result, _ = search(tmp_path, designer, model, **REVIEW)
    assert (result.candidates[0].fitness, result.candidates[0].repairs) == (3.0, 0)


@pytest.mark.parametrize("error", [BudgetExhausted("9 of 9 calls are spent"), ModelRefused("declined")])
def test_an_author_who_cannot_be_asked_any_more_stands_by_the_program_and_so_does_a_resumed_search(tmp_path, error):
    class Author(ScriptedDesigner):
        def repair(self, brief, proposal, findings, round):
            raise error

    programs = [program(3.0), program(1.0, push=1.0)]
    result, _ = search(tmp_path, Author(programs), Answers(REVISE, error), **REVIEW)
    assert [candidate.fitness for candidate in result.candidates] == [3.0, 1.0]
    again, executor = search(tmp_path, ScriptedDesigner([None, None]), Answers())
    assert [candidate.proposal for candidate in again.candidates] == [one.proposal for one in result.candidates]
    assert executor.jobs == []


def test_a_budget_that_ends_in_a_review_lets_the_program_go_on(tmp_path):
    model = Answers(BudgetExhausted("9 of 9 calls are spent"), ACCEPT)
    result, _ = search(tmp_path, ScriptedDesigner([program(3.0), program(1.0, push=1.0)]), model, **REVIEW)
    assert result.candidates[0].fitness == 3.0
    assert "not reviewed: 9 of 9 calls" in result.candidates[0].verdict.findings[-1].message


def test_no_review_is_paid_for_whose_objections_nobody_could_answer(tmp_path):
    model = Answers(REVISE, REVISE)
    designer = ScriptedDesigner([program(3.0), program(1.0, push=1.0)], repaired=program(5.0, push=-1.0))
    search(tmp_path, designer, model, search={"max_repairs": 1}, **REVIEW)
    assert model.asked == 2


def test_a_review_without_any_repair_is_a_contradiction(tmp_path):
    with pytest.raises(ConfigError, match=r"critic\.review = true needs search\.max_repairs of 1 or more"):
        resolve_config({"critic": {"review": True}, "search": {"max_repairs": 0}})


def planned(designer, **sections):
    sizes = {"designer": designer, "population": 2, "generations": 3}
    return planning.plan_search("Hop", "Hopper-v5", overrides={"search": sizes, **sections}, variables={})


def test_a_plan_counts_a_review_of_each_program_and_a_reading_of_its_episodes():
    assert planned("llm").calls == 6
    assert planned("llm", critic={"review": True}, analyzer={"model_reads": True}).calls == 16
    assert planned("symbolic", analyzer={"model_reads": True}).calls == 4


@pytest.mark.parametrize(
    ("sections", "role"), [({"critic": {"review": True}}, "critic"), ({"analyzer": {"model_reads": True}}, "analyzer")]
)
def test_without_a_model_the_parts_that_need_one_are_refused_in_a_line(tmp_path, sections, role):
    with pytest.raises(ConfigError, match=f"no language model is named for the {role}; .*--model {role}=NAME"):
        searches.create_run(planned("symbolic", **sections), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_reading_goes_into_the_feedback_and_is_not_asked_for_again_by_a_resumed_search(tmp_path):
    reads = {"analyzer": {"model_reads": True}}
    programs = [program(3.0), program(1.0, push=1.0)]
    result, _ = search(tmp_path, ScriptedDesigner(programs), Answers(), **reads)
    first = result.candidates[0].reflection
    assert first.reading.problem == "no episode was recorded with the signals that the program reads"
    again, _ = search(tmp_path, ScriptedDesigner([None, None]), Answers())
    assert again.candidates[0].reflection == first


def test_the_episodes_of_the_last_generation_of_several_are_not_read(tmp_path):
    reads = {"analyzer": {"model_reads": True}, "search": {"generations": 2}}
    designer = ScriptedDesigner([program(3.0), program(2.0)])
    result, _ = search(tmp_path, designer, Answers(), **reads)
    assert [candidate.reflection.reading is not None for candidate in result.candidates] == [True, False]


@pytest.mark.parametrize(("form", "told"), [("terms", True), ("sparse-dense", False)])
def test_a_term_that_drowns_the_others_is_told_where_its_author_sets_the_weights(tmp_path, form, told):
    author = ScriptedDesigner([program(1.0, push=0.001)] * 2)
    result, _ = search(tmp_path, author, search={"designer": "llm"}, designer={"form": form})
    codes = {finding.code for finding in result.candidates[0].verdict.findings}
    assert ("drowning-term" in codes) == told
