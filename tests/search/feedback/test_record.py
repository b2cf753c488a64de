"""Inputs of people in the journal: recorded, refused, and in force."""

import json

import pytest
from fakes.played_runs import PlayedExecutor, make_finished_run, make_run, write_program

from rewardsmith.api import searches
from rewardsmith.contract.errors import RunError, UserError
from rewardsmith.search import feedback
from rewardsmith.search.feedback import Ban, Pin, Preference, UserRemark, WeightChange

FIRST = [write_program(up=1.0, calm=0.1), write_program(up=2.0)]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_finished_run(tmp_path_factory.mktemp("said") / "run", [FIRST])


def test_every_input_is_one_more_event_with_its_author(run):
    before = len(feedback.load_state(run).events)
    first = feedback.add_remark(run, "Slower", by="Ada", about="g0c1")
    second = feedback.add_preference(run, "g0c0", "g0c1", "equal")
    assert (first.input, second.input) == (UserRemark("Slower", "g0c01", "Ada"), Preference("g0c00", "g0c01", "equal"))
    assert [one.number for one in feedback.load_state(run).events[before:]] == [before + 1, before + 2]
    last = [json.loads(line) for line in (run.path / "journal.jsonl").read_text().splitlines()][-2:]
    assert [event["step"] for event in last] == ["feedback", "feedback"]
    assert feedback.load_state(run).events[before:] == (first, second)


def test_episodes_can_be_compared(run):
    said = feedback.add_preference(run, "g0c0/s0/3", "g0c1/s0/3", "b").input
    assert (said.a, said.b, said.candidates) == ("g0c00/s0/3", "g0c01/s0/3", ("g0c00", "g0c01"))


@pytest.mark.parametrize(
    ("a", "b", "answer", "why"),
    [
        ("g0c0", "g9c9", "a", "there is no candidate 'g9c9'; there are: g0c00, g0c01"),
        ("g0c0", "g0c00", "a", "compared with itself"),
        ("g0c0", "g0c1", "better", "is not an answer"),
        ("g0c0/s0/99", "g0c1", "a", "no episode s0/99; there are s0/0 to s0/9"),
        ("g0c0/s7/0", "g0c1", "a", "no episode s7/0"),
        ("../../etc/passwd", "g0c1", "a", "there is no candidate"),
        ("g0c0/../g0c1", "g0c1", "a", "there is no candidate"),
        ("g0c00\x1b[31m", "g0c1", "a", "there is no candidate 'g0c00'"),
        ("g99999999c0", "g0c1", "a", "there is no candidate"),
        ("", "g0c1", "a", "there is no candidate ''"),
    ],
)
def test_a_comparison_of_what_is_not_there_is_refused(run, a, b, answer, why):
    before = (run.path / "journal.jsonl").read_bytes()
    with pytest.raises(UserError, match=why):
        feedback.add_preference(run, a, b, answer)
    assert (run.path / "journal.jsonl").read_bytes() == before


@pytest.mark.parametrize(("text", "why"), [("", "empty"), (" \x00\u202e ", "empty"), ("x" * 4001, "at most 4,000")])
def test_a_remark_that_says_nothing_or_too_much_is_refused(run, text, why):
    with pytest.raises(UserError, match=why):
        feedback.add_remark(run, text)


def test_control_characters_are_not_kept(run):
    said = feedback.add_remark(run, "slow\x1b[2Jer\u202e", by="Ada\x07\nLovelace").input
    assert (said.text, said.by) == ("slower", "Ada Lovelace")


def test_a_long_name_is_refused(run):
    with pytest.raises(UserError, match="at most 60"):
        feedback.add_remark(run, "Slower", by="x" * 61)


def test_a_pin_knows_what_the_term_computes(run):
    assert feedback.pin_term(run, "calm").input == Pin("calm", "g0c00", "-np.sum(action ** 2, axis=1)", 0.1)


def test_an_unknown_term_cannot_be_pinned_and_can_be_banned(run):
    with pytest.raises(UserError, match="has a term 'grace'; there are: calm, up"):
        feedback.pin_term(run, "grace")
    assert feedback.ban_term(run, "grace").input == Ban("grace")


@pytest.mark.parametrize("name", ["", "a b", "up; import os", "ü" * 61, "__import__('os')"])
def test_what_is_no_name_is_no_term(run, name):
    with pytest.raises(UserError, match="is not a valid name of a term"):
        feedback.ban_term(run, name)


def test_the_last_word_about_a_term_counts(run):
    feedback.pin_term(run, "up")
    feedback.ban_term(run, "up")
    state = feedback.load_state(run)
    assert "up" in [wish.term for wish in state.bans]
    assert "up" not in [wish.term for wish in state.pins]
    feedback.release_term(run, "up")
    assert "up" not in [wish.term for wish in feedback.load_state(run).bans]
    with pytest.raises(UserError, match="neither pinned nor banned"):
        feedback.release_term(run, "up")


def test_other_weights_leave_the_rest_of_the_program_as_it_is(run):
    said = feedback.submit_weights(run, "g0c0", {"up": 4}).input
    assert isinstance(said, WeightChange)
    assert said.source == FIRST[0].replace('"up": 1.0', '"up": 4.0')


@pytest.mark.parametrize(
    ("weights", "why"),
    [({"grace": 1.0}, "g0c00 has no term 'grace'"), ({}, "at least one weight"), ({"up": float("nan")}, "finite")],
)
def test_weights_of_no_term_are_refused(run, weights, why):
    with pytest.raises(UserError, match=why):
        feedback.submit_weights(run, "g0c0", weights)


def test_an_unchanged_program_is_no_edit(run):
    with pytest.raises(UserError, match="nothing was changed"):
        feedback.submit_program(run, "g0c0", FIRST[0] + "\n")


def test_a_program_is_judged_without_a_trace(run):
    before = (run.path / "journal.jsonl").read_bytes()
    verdict = feedback.check_program(run, write_program(up=1.0).replace("height", "hight"))
    assert not verdict.accepted
    assert verdict.findings[0].line == 5
    assert (run.path / "journal.jsonl").read_bytes() == before


def test_a_run_that_has_not_begun_takes_nothing(tmp_path):
    with pytest.raises(RunError, match="has not started"):
        feedback.add_remark(make_run(tmp_path / "run", [FIRST]), "Slower")


def test_an_event_of_a_later_version_is_named(tmp_path):
    run = make_finished_run(tmp_path / "run", [FIRST])
    feedback.add_remark(run, "Slower")
    journal = run.path / "journal.jsonl"
    journal.write_text(journal.read_text().replace('"remark"', '"song"'))
    with pytest.raises(RunError, match="cannot read the feedback event 'user/feedback/0001'"):
        feedback.load_state(run)


# ---------------------------------------------------------------- people rank


def test_a_search_that_people_rank_waits_for_them_and_goes_on(tmp_path):
    answers = [FIRST, [write_program(up=3.0), write_program(up=4.0)]]
    run = make_run(tmp_path / "run", answers, search={"generations": 2}, feedback={"rank": "people"})
    result = searches.continue_run(run, executor=PlayedExecutor())
    assert "nobody has compared a program of generation 0 yet" in result.stopped
    assert (len(result.candidates), result.reported) == (2, None)
    feedback.add_preference(run, "g0c0", "g0c1", reason="it is calm")
    result = searches.continue_run(run, executor=PlayedExecutor())
    assert [one.proposal.parents[:1] for one in result.candidates[2:3]] == [("g0c00",)]
    assert "generation 1" in result.stopped
    feedback.add_preference(run, "g1c0", "g0c0")
    feedback.add_preference(run, "g1c0", "g1c1")
    result = searches.continue_run(run, executor=PlayedExecutor())
    assert (result.stopped, result.best.id) == (None, "g1c00")
    assert result.reported.mean == pytest.approx(3.0)
    assert searches.continue_run(run, executor=PlayedExecutor()) == run.read_result()


def test_people_can_take_over_the_ranking_of_a_run(tmp_path):
    run = make_finished_run(tmp_path / "run", [FIRST, [write_program(up=3.0), write_program(up=4.0)]])
    feedback.set_ranking(run, "people")
    feedback.add_preference(run, "g0c0", "g0c1")
    result = searches.run_next_generation(run, executor=PlayedExecutor())
    assert result.candidates[2].proposal.parents[0] == "g0c00"
    assert result.stopped is not None
    assert result.best.standing == max(one.standing for one in result.candidates)


def test_a_run_that_measures_one_program_is_no_search(tmp_path):
    run = make_finished_run(tmp_path / "run", [FIRST])
    (run.path / "train.py").write_text("def reward(action):\n    return {'a': 1.0}\n")
    with pytest.raises(RunError, match="is not a search"):
        feedback.add_remark(run, "Slower")


def test_undone_feedback_is_as_if_it_had_not_been_given(tmp_path):
    run = make_finished_run(tmp_path / "run", [FIRST])
    feedback.add_remark(run, "Slower")
    feedback.ban_term(run, "calm")
    undone, event = feedback.withdraw_feedback(run, by="Ada")
    assert (undone.input.term, event.number, event.input.by) == ("calm", 3, "Ada")
    state = feedback.load_state(run)
    assert (state.bans, [one.text for one in state.remarks]) == ((), ["Slower"])
    assert feedback.add_remark(run, "Calmer").number == 4, "a number is never used twice"

    # By its number; what was undone cannot be undone again.
    feedback.withdraw_feedback(run, 1)
    assert [one.text for one in feedback.load_state(run).remarks] == ["Calmer"]
    with pytest.raises(UserError, match="no feedback #1 to undo; what can be undone: #4"):
        feedback.withdraw_feedback(run, 1)


def test_a_program_that_was_trained_and_a_generation_cannot_be_undone(tmp_path):
    run = make_finished_run(tmp_path / "run", [FIRST, FIRST])
    feedback.submit_weights(run, "g0c0", {"up": 3.0})
    searches.run_next_generation(run, executor=PlayedExecutor())
    with pytest.raises(UserError, match="nothing to undo; what can be undone: none"):
        feedback.withdraw_feedback(run)
