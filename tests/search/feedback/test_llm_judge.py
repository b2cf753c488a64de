"""The LLM judge: both orders, its prompt, and its agreement with people."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from fakes.played_runs import PlayedExecutor, make_finished_run, make_run, write_program

from rewardsmith.contract.errors import BudgetExhausted, ModelRefused
from rewardsmith.contract.records import ModelUsage
from rewardsmith.llm import Completion
from rewardsmith.sandbox.recorded import EpisodeFile
from rewardsmith.search.callbacks import NullCallback
from rewardsmith.search.feedback import FeedbackEvent, FeedbackState, Preference
from rewardsmith.search.feedback.llm_judge import Judgement, LlmJudge, measure_calibration, reconcile_answers
from rewardsmith.search.feedback.state import build_state
from rewardsmith.search.loop import Search
from rewardsmith.search.steps.designer.symbolic import SymbolicDesigner
from rewardsmith.search.storage import Run

PROGRAMS = [[write_program(up=1.0, calm=0.1), write_program(up=2.0), write_program(up=3.0)]]


@dataclass
class Taste:
    """A model that prefers by a rule on the two shown texts."""

    rule: Callable[[str, str], str]
    asked: list[str] = field(default_factory=list)
    name: str = "small"

    def complete(self, messages, *, role, sample=0) -> Completion:
        assert role == "judge"
        prompt = messages[-1].content
        self.asked.append(prompt)
        first, second = prompt.split("The second agent:")
        answer = self.rule(first.split("The first agent:")[1], second)
        if answer == "refuse":
            raise ModelRefused("the model declined")
        text = json.dumps({"better": answer, "why": "It says so."})
        return Completion(text, "stop", 1, 1, None, "k.0", 0.1, False)


def height(text: str) -> float:
    """Return the height at the end of the first shown episode."""
    row = next(line for line in text.splitlines() if line.startswith("step 8"))
    return float(row.split(" | ")[1])


def higher(first: str, second: str) -> str:
    return "first" if height(first) > height(second) else "second"


@pytest.fixture
def judged(tmp_path):
    run = make_finished_run(tmp_path / "run", PROGRAMS, search={"population": 3})

    def judge(model: object) -> tuple[list[Judgement], FeedbackState]:
        journal = run.open_journal()
        try:
            LlmJudge(run, journal, model).compare_generation(0, run.read_candidates())
            found = [journal.get(f"g0/judge/{number}", Judgement) for number in range(9)]
            return [one for one in found if one], build_state(tuple(journal))
        finally:
            journal.close()

    return judge


def test_a_judge_with_eyes_sees_both_agents_at_the_same_steps(tmp_path):
    run = make_finished_run(tmp_path / "run", PROGRAMS, search={"population": 2})
    run = Run.open(run.path, {"feedback": {"judge_frames": 2, "rank": "judge"}})
    shown = []

    class Eyes(Taste):
        def complete(self, messages, *, role, sample=0):
            shown.append([picture.label for picture in messages[-1].pictures])
            assert "as far as the figures and frames show it" in messages[0].content
            return super().complete(messages, role=role, sample=sample)

    class Drawn:
        def render_frames(self, evaluation, episode, steps):
            files = {step: evaluation / f"{episode.seed}-{step}.png" for step in steps}
            for file in files.values():
                file.write_bytes(b"png")
            return files

    journal = run.open_journal()
    try:
        LlmJudge(run, journal, Eyes(higher), Drawn()).compare_generation(0, run.read_candidates())
    finally:
        journal.close()
    length = run.read_candidates()[0].evaluations[0].episodes[0].length
    assert shown
    for labels in shown:
        assert labels[:2] == [f"First agent, episode 1, step {step}:" for step in (1, length)]
        assert [label.replace("Second", "First") for label in labels[len(labels) // 2 :]] == labels[: len(labels) // 2]


@pytest.mark.parametrize("forward", ["first", "second", "equal", "neither"])
@pytest.mark.parametrize("backward", ["first", "second", "equal", "neither"])
def test_only_the_same_choice_in_both_orders_counts(forward, backward):
    consistent = {("first", "second"): "a", ("second", "first"): "b", ("neither", "neither"): "neither"}
    assert reconcile_answers(forward, backward) == consistent.get((forward, backward), "equal")


def test_a_model_that_takes_whatever_comes_first_prefers_nothing(judged):
    judgements, state = judged(Taste(lambda first, second: "first"))
    assert len(judgements) == 3
    assert {one.answers[0].answer for one in judgements} == {"equal"}
    assert "the two orders of showing gave different answers" in state.judge_preferences[0].reason


def test_every_pair_is_shown_in_both_orders_without_names_programs_or_fitness(judged):
    model = Taste(higher)
    judgements, _ = judged(model)
    assert len(model.asked) == 2 * len(judgements) == 6
    for prompt in model.asked:
        assert "g0c0" not in prompt
        assert "WEIGHTS" not in prompt
        assert "itness" not in prompt
        assert "Rise" in prompt
    assert all(one.answers[0].by == "judge:small" for one in judgements)


def test_what_is_judged_is_not_asked_again(judged):
    judged(Taste(higher))
    again = Taste(higher)
    judged(again)
    assert again.asked == []


def test_a_model_that_declines_leaves_its_pair_open(judged):
    judgements, state = judged(Taste(lambda first, second: "refuse"))
    assert [one.problem for one in judgements] == ["the model declined"] * 3
    assert state.judge_preferences == ()


def test_an_exhausted_budget_leaves_the_rest_open(judged):
    class Poor(Taste):
        def complete(self, messages, *, role, sample=0):
            if len(self.asked) == 2:
                raise BudgetExhausted("2 of 2 calls are spent")
            return super().complete(messages, role=role, sample=sample)

    judgements, _ = judged(Poor(higher))
    assert len(judgements) == 1


def test_a_judge_ranks_a_search_against_its_metric(tmp_path):
    lower = Taste(lambda first, second: "second" if higher(first, second) == "first" else "first")

    class Models:
        spent = ModelUsage()

        def for_role(self, role: str) -> Taste:
            return lower

    run = make_run(tmp_path / "run", feedback={"rank": "judge"}, search={"population": 3})
    journal = run.open_journal()
    try:
        result = Search(run, journal, Given(), PlayedExecutor(), NullCallback(), Models()).run_search()
    finally:
        journal.close()
    assert (result.best.id, result.best.fitness) == ("g0c00", 1.0)


class Given(SymbolicDesigner):
    """Proposes the programs of this test."""

    def propose(self, brief, slot):
        from fakes.played_runs import make_proposal

        return make_proposal(PROGRAMS[0][slot])


# ---------------------------------------------------------------- calibration


def state_of(people: list[tuple[str, str, str]], judge: list[tuple[str, str, str]]) -> FeedbackState:
    said = tuple(FeedbackEvent(n, "", "", Preference(a, b, answer)) for n, (a, b, answer) in enumerate(people, 1))
    return FeedbackState(
        said, judge_preferences=tuple(Preference(a, b, answer, by="judge:m") for a, b, answer in judge)
    )


def test_agreement_with_people_has_an_interval():
    people = [("g0c00", f"g0c{n:02d}", "a") for n in range(1, 11)]
    judge = [(b, a, "b" if n < 8 else "a") for n, (a, b, _) in enumerate(people)]
    found = measure_calibration(state_of(people, judge))
    assert (found.agreement, found.pairs) == (0.8, 10)
    assert (round(found.low, 3), round(found.high, 3)) == (0.49, 0.943)


def test_pairs_that_either_calls_equal_are_no_test_of_the_judge():
    people = [("g0c00", "g0c01", "equal"), ("g0c00", "g0c02", "a")]
    assert measure_calibration(state_of(people, [("g0c00", "g0c01", "a"), ("g0c00", "g0c02", "equal")])) is None


def test_the_recorded_table_is_of_the_tasks_signals(tmp_path: Path):
    from rewardsmith.search.feedback.episode_material import render_episode_table

    assert render_episode_table(EpisodeFile.in_folder(tmp_path), 0, ["height"]) == "(not recorded)"
