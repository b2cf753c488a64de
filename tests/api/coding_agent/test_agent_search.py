"""A search with a coding agent as its designer is the ordinary search, whatever the agent does."""

import threading

import pytest
from fakes.agent_case import Session, create_agent_run, read_field, write_by_candidate
from fakes.played_search import BROKEN, PROGRAM, PlayedExecutor

from rewardsmith.api import searches
from rewardsmith.api.coding_agent.tools import ToolCall
from rewardsmith.contract.errors import RunError, UserError
from rewardsmith.contract.records import TrainJob
from rewardsmith.llm import Ledger
from rewardsmith.search.storage import Run

HOSTILE = "import os\n\ndef reward(after):\n    os.system('touch /tmp/owned')\n    return {'up': after.height}\n"


def count_searched(executor: PlayedExecutor) -> int:
    """Return the trainings of candidates, without those of the report."""
    return sum(isinstance(job, TrainJob) and job.seed < 1_000 for job in executor.jobs)


def test_a_whole_search_by_a_scripted_agent(tmp_path, monkeypatch):
    run, session = create_agent_run(tmp_path / "run"), Session(monkeypatch)
    end = session.play(run.path, write_by_candidate)
    assert read_field(end, "state") == "done"
    assert "The best program is g1c01" in end
    assert "environment reward" in end

    result = Run.open(run.path).read_result()
    assert result.best.fitness == pytest.approx(4.0, abs=0.01)
    assert {candidate.proposal.author for candidate in result.candidates} == {"llm:coding-agent"}
    assert len(Ledger(run.layout.ledger).entries) == 4
    # A later call of a finished search answers with its result, and trains nothing.
    trained = len(session.executor.jobs)
    assert "The best program is g1c01" in Session(monkeypatch).ask(run.path)
    assert len(session.executor.jobs) == trained


def test_the_first_prompt_has_the_rules_and_later_ones_what_is_new(tmp_path, monkeypatch):
    run, session = create_agent_run(tmp_path / "run"), Session(monkeypatch)
    first = session.ask(run.path)
    assert "# What a reward program is" in first
    assert "Rise" in first
    session.submit(run.path, read_field(first, "prompt"), PROGRAM.format(worth=1.0))
    second = session.ask(run.path)
    assert read_field(second, "candidate") != read_field(first, "candidate")
    assert "# What a reward program is" not in second
    assert "full=true" in second
    assert "# What a reward program is" in session.ask(run.path, full=True)
    session.submit(run.path, read_field(second, "prompt"), PROGRAM.format(worth=2.0))
    # The next generation's prompt tells what the first one came to.
    later = session.ask(run.path)
    assert read_field(later, "candidate") in ("g1c00", "g1c01")
    assert "g0c01" in later
    session.jobs.cancel_all()


@pytest.mark.parametrize(
    ("program", "told"),
    [
        (BROKEN, "hight"),
        (HOSTILE, "import"),
        ("no program at all", "is refused; repair it"),
        ("def reward(after):\n    while True: pass\n", "is refused; repair it"),
    ],
    ids=["broken", "hostile", "words", "endless"],
)
def test_a_program_that_the_checks_refuse_comes_back_with_what_to_repair(tmp_path, monkeypatch, program, told):
    run, session = create_agent_run(tmp_path / "run", generations=1), Session(monkeypatch)
    first = session.ask(run.path)
    answer = session.submit(run.path, read_field(first, "prompt"), program)
    assert told in answer
    assert read_field(answer, "candidate") == read_field(first, "candidate")
    assert count_searched(session.executor) == 0
    accepted = session.submit(run.path, read_field(answer, "prompt"), PROGRAM.format(worth=1.0))
    assert "is accepted" in accepted or "has ended as ok" in accepted
    assert "state: done" in session.play(run.path, write_by_candidate)


def test_an_agent_that_only_sends_broken_programs_gets_one_message_and_the_others_go_on(tmp_path, monkeypatch):
    run, session = create_agent_run(tmp_path / "run", generations=1), Session(monkeypatch)

    def write(text: str) -> str:
        return BROKEN if read_field(text, "candidate") == "g0c00" else PROGRAM.format(worth=3.0)

    end = session.play(run.path, write)
    assert "state: done" in end
    by_id = {candidate.id: candidate for candidate in Run.open(run.path).read_candidates()}
    assert (by_id["g0c00"].status, by_id["g0c01"].status) == ("invalid", "ok")


def test_calls_out_of_order_are_one_line_each_and_lose_nothing(tmp_path, monkeypatch):
    run, session = create_agent_run(tmp_path / "run", generations=1), Session(monkeypatch)
    with pytest.raises(RunError, match="is not a run directory"):
        session.ask(tmp_path / "nowhere")
    prompt = read_field(session.ask(run.path), "prompt")
    with pytest.raises(UserError, match=r"there is no prompt 'other'; these wait: .*; next_prompt"):
        session.submit(run.path, "other", PROGRAM.format(worth=1.0))
    session.submit(run.path, prompt, PROGRAM.format(worth=1.0))
    with pytest.raises(UserError, match="was answered already"):
        session.submit(run.path, prompt, PROGRAM.format(worth=9.0))
    with pytest.raises(UserError, match="is running; wait_for_job follows it"):
        session.searches.continue_search(ToolCall(), str(run.path))
    with pytest.raises(UserError, match=r"there is no job 'x' in this session; its jobs: .*run"):
        session.programs.wait_for_job(ToolCall(), "x")
    with pytest.raises(RunError, match="has no candidate 'g9c99'"):
        session.programs.read_reflection(ToolCall(), str(run.path), "g9c99")
    assert "state: done" in session.play(run.path, lambda _: PROGRAM.format(worth=2.0))
    worths = {candidate.fitness for candidate in Run.open(run.path).read_candidates()}
    assert max(worths) < 3.0, "the second answer to one prompt was dropped"


def test_a_program_for_a_search_of_another_server_is_told_who_runs_it(tmp_path, monkeypatch):
    run, first, second = create_agent_run(tmp_path / "run"), Session(monkeypatch), Session(monkeypatch)
    prompt = read_field(first.ask(run.path), "prompt")
    with pytest.raises(RunError, match=r"is being run by another process.*continue_search tries again"):
        second.submit(run.path, prompt, PROGRAM.format(worth=1.0))
    first.jobs.cancel_all()


def test_an_agent_that_goes_away_loses_nothing(tmp_path, monkeypatch):
    run, first = create_agent_run(tmp_path / "run"), Session(monkeypatch)
    first.play(run.path, write_by_candidate, prompts=3)
    first.jobs.cancel_all()
    assert first.jobs.get(str(run.path)).state == "cancelled"
    trained = count_searched(first.executor)

    # Without an agent, the commands say whom the search waits for.
    with pytest.raises(RunError, match=r"written by a coding agent, and none is connected; .*next_prompt"):
        searches.continue_run(Run.open(run.path), executor=PlayedExecutor())

    # Another session goes on: only the prompt without an answer comes back.
    second = Session(monkeypatch)
    second.executor.worth = first.executor.worth
    asked = []
    end = second.play(run.path, lambda text: (asked.append(read_field(text, "candidate")), write_by_candidate(text))[1])
    assert "The best program is g1c01" in end
    assert len(asked) == 1
    assert trained + count_searched(second.executor) >= 4
    assert len(Ledger(run.layout.ledger).entries) == 4


def test_a_program_for_a_prompt_of_an_earlier_session_is_taken(tmp_path, monkeypatch):
    run, first = create_agent_run(tmp_path / "run", generations=1), Session(monkeypatch)
    prompt = read_field(first.ask(run.path), "prompt")
    first.jobs.cancel_all()
    second = Session(monkeypatch)
    answer = second.submit(run.path, prompt, PROGRAM.format(worth=1.0))
    assert "is accepted" in answer or "has ended as ok" in answer
    assert "state: done" in second.play(run.path, lambda _: PROGRAM.format(worth=2.0))
    fitnesses = sorted(round(candidate.fitness) for candidate in Run.open(run.path).read_candidates())
    assert fitnesses == [1, 2]


def test_a_cancelled_call_stops_the_search_and_continue_search_goes_on(tmp_path, monkeypatch):
    run, session = create_agent_run(tmp_path / "run", generations=1, population=1), Session(monkeypatch)
    release = threading.Event()
    train = session.executor.train

    def train_later(job, out):
        release.wait(60)
        return train(job, out)

    monkeypatch.setattr(session.executor, "train", train_later)
    monkeypatch.setattr(session.executor, "close", release.set)
    session.submit(run.path, read_field(session.ask(run.path), "prompt"), PROGRAM.format(worth=1.0))
    call = ToolCall()
    call.cancelled.set()
    with pytest.raises(UserError, match=r"the call was cancelled, and .*run stopped with it; continue_search goes on"):
        session.searches.next_prompt(call, str(run.path))
    assert not session.jobs.get(str(run.path)).is_running
    assert "state: running" in session.searches.continue_search(ToolCall(), str(run.path))
    assert "state: done" in session.ask(run.path)


def test_progress_is_passed_on_while_a_call_waits(tmp_path, monkeypatch):
    run, session = create_agent_run(tmp_path / "run", generations=1, population=1), Session(monkeypatch)
    session.submit(run.path, read_field(session.ask(run.path), "prompt"), PROGRAM.format(worth=1.0))
    end = session.ask(run.path)
    assert "g0c00 ok: fitness 1" in end
    job = session.jobs.get(str(run.path))
    assert job.progress.fraction == 1.0
    assert "100% of the environment steps done" in job.progress.describe()


def test_what_a_person_says_reaches_the_next_generation(tmp_path, monkeypatch):
    run, session = create_agent_run(tmp_path / "run", generations=1), Session(monkeypatch)
    session.play(run.path, write_by_candidate)
    assert "recorded (#" in session.searches.give_feedback(ToolCall(), str(run.path), "It should rise more slowly")
    session.searches.continue_search(ToolCall(), str(run.path), another_generation=True)
    prompt = session.ask(run.path)
    assert read_field(prompt, "candidate").startswith("g1")
    assert "It should rise more slowly" in prompt
    assert "The best program is g1c01" in session.play(run.path, write_by_candidate)


def test_a_search_of_another_designer_has_no_prompts_for_an_agent(tmp_path, monkeypatch):
    run, session = create_agent_run(tmp_path / "run", designer="symbolic"), Session(monkeypatch)
    with pytest.raises(RunError, match="is 'symbolic', not a coding agent; continue_search goes on with it"):
        session.ask(run.path)


def test_an_agent_may_not_name_endpoints_or_the_sandbox(tmp_path, monkeypatch):
    session = Session(monkeypatch)
    monkeypatch.chdir(tmp_path)
    for setting in (
        "llm.base_url=http://evil.example",
        "sandbox.memory_mib=9",
        "executor.kind=ray",
        "critic.review=true",
    ):
        with pytest.raises(UserError, match="is for the person at this machine"):
            session.searches.start_search(ToolCall(), "Hop", "Hopper-v5", settings=[setting])
    assert not (tmp_path / "runs").exists()


REACHED = 'reached = { provider = "subgoals", subgoals = [{ text = "up", condition = "cos_angle > 0.9" }] }'


def test_an_agent_gives_behaviours_and_learned_signals(tmp_path, monkeypatch):
    session, plans = Session(monkeypatch), []
    monkeypatch.setattr(
        searches, "create_run", lambda plan, **_: plans.append(plan) or create_agent_run(tmp_path / str(len(plans)))
    )
    speed, settings = "speed=mean(angular_velocity):-8:8:4", ["search.strategy=map-elites"]
    session.searches.start_search(
        ToolCall(), "Swing up", "Pendulum-v1", behaviour=[speed], signals=[REACHED], settings=settings
    )
    program = "def reward(before, after):\n    return {'news': after.reached - before.reached}\n"
    session.programs.train_program(ToolCall(), program, "Pendulum-v1", signals=[REACHED])
    session.jobs.cancel_all()
    assert [[signal.name for signal in plan.task.env.learned_signals] for plan in plans] == [["reached"], ["reached"]]
    assert [one.name for one in plans[0].task.behaviour] == ["speed"]
    assert session.programs.check_program(ToolCall(), program, "Pendulum-v1", [REACHED]).startswith("accepted")


@pytest.mark.parametrize(
    ("wrong", "told"),
    [({"behaviour": ["speed"]}, "LOW:HIGH"), ({"signals": ["reached = 3"]}, "is no signal with a table of keys")],
)
def test_a_wrong_behaviour_or_signal_of_an_agent_starts_nothing(tmp_path, monkeypatch, wrong, told):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=told):
        Session(monkeypatch).searches.start_search(ToolCall(), "Swing up", "Pendulum-v1", **wrong)
    assert not (tmp_path / "runs").exists()


def test_a_new_search_without_its_agent_is_refused_before_anything_is_done(tmp_path):
    run, executor = create_agent_run(tmp_path / "run"), PlayedExecutor()
    with pytest.raises(UserError, match="by start_search on the server `rewardsmith mcp`; without an agent take"):
        searches.continue_run(run, executor=executor)
    assert executor.jobs == []
