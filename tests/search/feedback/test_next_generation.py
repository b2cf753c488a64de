"""The next generation after feedback: its prompts, its programs, and the earlier report."""

import pytest
from fakes.played_runs import PlayedExecutor, make_finished_run, make_run, write_program

from rewardsmith.api import searches
from rewardsmith.contract.errors import ProgramError, RunError
from rewardsmith.llm.ledger import read_ledger
from rewardsmith.search import feedback
from rewardsmith.search.steps.designer.term_expressions import split_terms
from rewardsmith.search.storage import Run

FIRST = [write_program(up=1.0, calm=0.1), write_program(up=2.0)]


def prompts_of(run: Run) -> list[str]:
    """Return the last message of every call, oldest first."""
    return [entry.request.messages[-1].content for entry in read_ledger(run.path / "llm.jsonl")]


def test_the_next_prompt_holds_what_was_said(tmp_path):
    run = make_finished_run(tmp_path / "run", [FIRST, [write_program(up=3.0), write_program(up=4.0)]])
    feedback.add_remark(run, "Rise slowly, it looks hasty", by="Ada")
    feedback.add_preference(run, "g0c0", "g0c1", reason="it keeps still at the top")
    result = searches.run_next_generation(run, executor=PlayedExecutor())
    asked = prompts_of(run)
    assert len(asked) == 4
    assert not any("hasty" in prompt for prompt in asked[:2])
    for prompt in asked[2:]:
        assert "Rise slowly, it looks hasty" in prompt
        assert "g0c00 is preferred to g0c01: it keeps still at the top" in prompt
    assert (result.best.id, result.best.generation) == ("g1c01", 1)
    assert result.reported.mean == pytest.approx(4.0)


def test_a_pinned_term_is_in_every_program_of_the_next_generation(tmp_path):
    answers = [FIRST, [write_program(up=3.0), write_program(up=4.0, calm=0.2)]]
    run = make_finished_run(tmp_path / "run", answers, search={"max_repairs": 0})
    feedback.pin_term(run, "calm")
    result = searches.run_next_generation(run, executor=PlayedExecutor())
    refused, kept = [one for one in result.candidates if one.generation == 1]
    assert (refused.status, kept.status) == ("invalid", "ok")
    assert "'calm'" in refused.cause
    assert "-np.sum(action ** 2, axis=1)" in refused.cause
    assert all("Every program keeps the term 'calm'" in prompt for prompt in prompts_of(run)[2:])


def test_a_banned_term_does_not_come_back_under_another_name(tmp_path):
    renamed = write_program(up=4.0, calm=0.2).replace('"calm"', '"quiet"')
    run = make_finished_run(
        tmp_path / "run", [FIRST, [write_program(up=3.0, calm=0.3), renamed]], search={"max_repairs": 0}
    )
    feedback.ban_term(run, "calm")
    with_ban = searches.run_next_generation(run, executor=PlayedExecutor())
    same, other = [one for one in with_ban.candidates if one.generation == 1]
    assert (same.status, other.status) == ("invalid", "invalid")
    assert [finding.code for finding in other.verdict.findings] == ["banned-term"]
    assert "'calm' renamed" in other.cause


def test_a_released_pin_binds_nobody(tmp_path):
    run = make_finished_run(tmp_path / "run", [FIRST, [write_program(up=3.0), write_program(up=4.0)]])
    feedback.pin_term(run, "calm")
    feedback.release_term(run, "calm")
    result = searches.run_next_generation(run, executor=PlayedExecutor())
    assert [one.status for one in result.candidates] == ["ok"] * 4


def test_the_symbolic_designer_carries_pins_and_drops_banned_terms(tmp_path):
    run = make_finished_run(tmp_path / "run")
    best = run.read_result().best
    pinned, banned = list(feedback.read_terms(best))[:2]
    feedback.pin_term(run, pinned, candidate=best.id)
    feedback.ban_term(run, banned, candidate=best.id)
    result = searches.run_next_generation(run, executor=PlayedExecutor())
    new = [one for one in result.candidates if one.generation == 1]
    assert [one.status for one in new] == ["ok", "ok"]
    for one in new:
        names = [term.name for term in split_terms(one.proposal.source)]
        assert pinned in names
        assert banned not in names


def test_the_users_programs_are_candidates_with_their_lineage(tmp_path):
    run = make_finished_run(tmp_path / "run", [FIRST, [write_program(up=3.0), write_program(up=4.0)]])
    feedback.submit_weights(run, "g0c0", {"up": 9.0})
    feedback.submit_program(run, "g0c1", write_program(up=7.0, fast=1.0))
    result = searches.run_next_generation(run, executor=PlayedExecutor())
    mine = [one for one in result.candidates if one.proposal.author == "user"]
    assert [(one.id, one.proposal.parents, one.fitness) for one in mine] == [
        ("g1c02", ("g0c00",), 9.0),
        ("g1c03", ("g0c01",), 7.0),
    ]
    assert result.best.id == "g1c02"
    assert "calm" in result.best.proposal.source


def test_a_users_program_is_tried_once(tmp_path):
    run = make_finished_run(
        tmp_path / "run",
        [FIRST, [write_program(up=3.0), write_program(up=4.0)], [write_program(up=3.5), write_program(up=4.5)]],
    )
    feedback.submit_weights(run, "g0c0", {"up": 9.0})
    searches.run_next_generation(run, executor=PlayedExecutor())
    result = searches.run_next_generation(run, executor=PlayedExecutor())
    assert [one.id for one in result.candidates if one.proposal.author == "user"] == ["g1c02"]
    assert len(result.candidates) == 7


def test_the_report_of_before_stays_in_the_journal(tmp_path):
    run = make_finished_run(tmp_path / "run", [FIRST, [write_program(up=3.0), write_program(up=4.0)]])
    before = run.read_result()
    searches.run_next_generation(run, executor=PlayedExecutor())
    kept = next(event.data for event in run.read_events() if event.key == "g0/loop/reported")
    assert (kept["best"], kept["reported"]["mean"]) == (before.best.id, before.reported.mean)
    assert run.read_result().best.id != before.best.id


def test_no_event_is_changed_by_what_is_said_later(tmp_path):
    run = make_finished_run(tmp_path / "run", [FIRST, [write_program(up=3.0), write_program(up=4.0)]])
    before = (run.path / "journal.jsonl").read_bytes()
    feedback.add_remark(run, "Slower")
    searches.run_next_generation(run, executor=PlayedExecutor())
    assert (run.path / "journal.jsonl").read_bytes().startswith(before)


def test_a_generation_that_is_killed_goes_on_with_what_it_had_heard(tmp_path):
    answers = [FIRST, [write_program(up=3.0), write_program(up=4.0)]]
    run = make_finished_run(tmp_path / "run", answers)
    feedback.add_remark(run, "Slower")
    feedback.submit_weights(run, "g0c0", {"up": 9.0})
    with pytest.raises(KeyboardInterrupt):
        searches.run_next_generation(run, executor=PlayedExecutor(stop_after=1))
    feedback.add_remark(run, "This comes too late for it")
    result = searches.continue_run(Run.open(run.path), executor=PlayedExecutor())
    assert [one.id for one in result.candidates] == ["g0c00", "g0c01", "g1c00", "g1c01", "g1c02"]
    assert all("Slower" in prompt and "too late" not in prompt for prompt in prompts_of(run)[2:])
    assert feedback.load_state(run).pending[-1].input.text == "This comes too late for it"


def test_a_resumed_run_that_is_whole_answers_at_once(tmp_path):
    run = make_finished_run(tmp_path / "run", [FIRST, [write_program(up=3.0), write_program(up=4.0)]])
    searches.run_next_generation(run, executor=PlayedExecutor())
    executor = PlayedExecutor()
    assert len(searches.continue_run(Run.open(run.path), executor=executor).candidates) == 4
    assert executor.jobs == []


def test_an_interrupted_search_hears_feedback_in_its_next_generation(tmp_path):
    answers = [FIRST, [write_program(up=3.0), write_program(up=4.0)], [write_program(up=5.0), write_program(up=6.0)]]
    run = make_run(tmp_path / "run", answers, search={"generations": 2})
    with pytest.raises(KeyboardInterrupt):
        searches.continue_run(run, executor=PlayedExecutor(stop_after=1))
    feedback.add_remark(run, "Slower")
    result = searches.run_next_generation(run, executor=PlayedExecutor())
    assert len(result.candidates) == 4
    assert ["Slower" in prompt for prompt in prompts_of(run)] == [False, False, True, True]


def test_a_reached_target_does_not_hinder_who_asks_for_more(tmp_path):
    answers = [FIRST, [write_program(up=3.0), write_program(up=4.0)]]
    run = make_finished_run(tmp_path / "run", answers, search={"target_fitness": 0.5})
    assert searches.run_next_generation(run, executor=PlayedExecutor()).best.id == "g1c01"


def test_a_run_that_is_being_run_takes_no_feedback(tmp_path):
    run = make_finished_run(tmp_path / "run", [FIRST])
    journal = run.open_journal()
    try:
        with pytest.raises(RunError, match="is being run by another process"):
            feedback.add_remark(run, "Slower")
        assert feedback.load_state(run).generations_started == 1
    finally:
        journal.close()


def test_a_run_of_an_older_version_is_refused_in_a_line(tmp_path):
    run = make_finished_run(tmp_path / "run", [FIRST])
    journal = run.path / "journal.jsonl"
    journal.write_text(journal.read_text().replace("g0/evolution/plan", "g0/evolution"))
    with pytest.raises(RunError, match="was made by an older rewardsmith"):
        feedback.add_remark(run, "Slower")


def test_nonsense_is_no_program_and_leaves_no_trace(tmp_path):
    run = make_finished_run(tmp_path / "run", [FIRST])
    before = (run.path / "journal.jsonl").read_bytes()
    for source, code in [
        ("def reward(:", "syntax"),
        ("", "no-function"),
        (write_program(up=1.0).replace("height", "hight"), ""),
    ]:
        with pytest.raises(ProgramError) as raised:
            feedback.submit_program(run, "g0c0", source)
        assert raised.value.findings
        assert not code or raised.value.findings[0].code == code
    assert (run.path / "journal.jsonl").read_bytes() == before


def test_the_step_budget_counts_the_programs_that_the_user_adds(tmp_path):
    answers = [FIRST, [write_program(up=3.0), write_program(up=4.0)]]
    run = make_finished_run(tmp_path / "run", answers, budget={"env_steps": 400})
    feedback.submit_weights(run, "g0c0", {"up": 9.0})
    result = searches.run_next_generation(run, executor=PlayedExecutor())
    assert len(result.candidates) == 2
    assert "200 of 400 environment steps are done, and a generation may take 300 more" in result.stopped
