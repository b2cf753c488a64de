"""A fitness that the model proposes: asked once, shown with its values, and fixed by the user's yes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from fakes.scripted_model import Script
from fakes.worker_calls import InProcessExecutor

from rewardsmith.api import fitness_proposals, planning, searches
from rewardsmith.contract import records
from rewardsmith.contract.errors import ConfigError, FitnessError, ModelRefused
from rewardsmith.contract.fitness import Fitness
from rewardsmith.contract.records import EvaluateJob
from rewardsmith.contract.records.fitness import FitnessProposal
from rewardsmith.llm import ledger
from rewardsmith.search import fitness_proposal, proposal_material
from rewardsmith.search.brief import build_brief
from rewardsmith.search.feedback import load_state
from rewardsmith.search.storage import Run
from rewardsmith.search.storage.journal_keys import FITNESS_KEY
from rewardsmith.spec.config import resolve_config
from rewardsmith.spec.task_cards import load_task
from rewardsmith.worker import evaluate

RECORDED = Path(__file__).parents[1] / "fixtures" / "fitness_ledger.jsonl"
"""Answers of a model to three sentences, and to one that no expression can say."""
EXPRESSION = "x_position[-1] - start.x_position"


class User:
    """Answers what it is told to, and remembers what it was shown."""

    def __init__(self, answer: bool = True) -> None:
        self.answer, self.shown = answer, list[FitnessProposal]()

    def __call__(self, proposal: FitnessProposal) -> bool:
        self.shown.append(proposal)
        return self.answer


def answer(expression: str | None, reason: str = "The distance in metres.") -> str:
    return f"Here it is:\n\n{json.dumps({'expression': expression, 'reason': reason})}"


def open_run(path: Path, env: str = "hopper", text: str = "Hop forward", **llm: object) -> Run:
    settings = {"search": {"designer": "llm"}, "llm": {"model": "small", **llm}}
    return Run.create(path / "run", load_task(text, env, "auto"), resolve_config(settings))


def settle(run: Run, model, user: User, executor: InProcessExecutor | None = None) -> FitnessProposal:
    journal = run.open_journal()
    try:
        return fitness_proposal.settle_fitness(run, journal, executor or InProcessExecutor(), model, user)
    finally:
        journal.close()


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proposal_material, "EPISODES", 1)


def test_the_proposal_is_measured_shown_and_fixed(tmp_path):
    run, model, user, executor = open_run(tmp_path), Script([answer(EXPRESSION)]), User(), InProcessExecutor()
    proposal = settle(run, model, user, executor)
    assert user.shown == [proposal]
    assert (proposal.expression, proposal.reason, proposal.model) == (EXPRESSION, "The distance in metres.", "small")

    # The values are those of evaluations, of which no one had a policy.
    jobs = {job.motion: job for job in executor.jobs if isinstance(job, EvaluateJob)}
    assert set(jobs) == {None, "none", "largest", "sine"} and all(job.policy is None for job in jobs.values())
    again = evaluate.run(jobs["sine"], tmp_path)
    assert proposal.motions["sine"] == again.fitness != proposal.random

    # It is the task's fitness from now on, also for whoever opens the run.
    assert run.task.fitness == Run.open(run.path).task.fitness == EXPRESSION
    assert [event.key for event in run.read_events() if event.key == FITNESS_KEY]


def test_the_model_is_asked_with_the_signals_and_the_language(tmp_path):
    model = Script([answer(EXPRESSION)])
    settle(open_run(tmp_path), model, User())
    [(role, sample, (system, request))] = model.asked
    assert (role, sample) == ("fitness", 0)
    assert "rotations(angle, when)" in system.content and "start.name" in system.content
    assert "<task>\nHop forward\n</task>" in request.content
    assert "torso_height | scalar | m" in request.content
    assert "environment_reward | scalar" in request.content.partition("Privileged signals")[2]
    assert "at most" not in request.content and "after 1000 steps" in request.content


def test_a_resumed_run_asks_neither_the_model_nor_the_user_again(tmp_path):
    run = open_run(tmp_path)
    settle(run, Script([answer(EXPRESSION)]), User())
    # Killed between the journal and the task's file: the journal counts.
    run.write_task(replace(run.task, fitness="auto"))
    reopened, user = Run.open(run.path), User()
    settle(reopened, Script([]), user)
    assert (reopened.task.fitness, user.shown) == (EXPRESSION, [])


def test_an_invalid_expression_is_asked_again_with_the_error(tmp_path):
    model = Script([answer("x_pos[-1]"), answer("mean(x_velocity)")])
    assert settle(open_run(tmp_path), model, User()).expression == "mean(x_velocity)"
    assert "no signal 'x_pos'" in model.asked[1][2][-1].content and "x_position" in model.asked[1][2][-1].content


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("x_position", "one number"),
        ("1 / (x_position[-1] - x_position[-1])", "the result is inf"),
        ("import os", "invalid syntax"),
    ],
)
def test_what_is_no_fitness_twice_ends_with_the_next_step(expression, said, tmp_path):
    model, user = Script([answer(expression), answer(expression)]), User()
    with pytest.raises(ModelRefused, match=r"asked twice.*write the --fitness yourself, or let a judge"):
        settle(open_run(tmp_path), model, user)
    assert said in model.asked[1][2][-1].content
    assert user.shown == []


def test_where_no_expression_can_say_it_a_judge_and_people_are_named(tmp_path):
    model = Script([answer(None, "Elegance is a matter of taste.")])
    run = open_run(tmp_path, text="Hop elegantly")
    with pytest.raises(FitnessError, match=r"Elegance is a matter of taste.*--fitness judge.*--fitness people"):
        settle(run, model, User())
    assert run.task.fitness == "auto"


def test_a_no_trains_nothing_and_the_paid_answer_is_kept(tmp_path):
    run, user = open_run(tmp_path), User(answer=False)
    with pytest.raises(ConfigError, match=r"not accepted, and nothing was trained; write your own with --fitness"):
        settle(run, Script([answer(EXPRESSION)]), user)
    assert run.task.fitness == "auto"
    assert FITNESS_KEY not in [event.key for event in run.read_events()]


def test_no_program_is_told_the_fitness(tmp_path):
    run, executor = open_run(tmp_path), InProcessExecutor()
    settle(run, Script([answer(EXPRESSION)]), User(), executor)
    found = run.read_probe()
    assert found is not None
    brief = build_brief(run, found, 0, [], records.SlotAssignment("new"), load_state(run))
    assert EXPRESSION not in json.dumps(records.dump(brief))


def sentence_of(entry: ledger.LedgerEntry) -> str:
    return entry.request.messages[1].content.split("\n")[1]


@pytest.mark.parametrize("entry", ledger.read_ledger(RECORDED), ids=sentence_of)
def test_recorded_answers_are_fitnesses(entry, tmp_path):
    sentence = sentence_of(entry)
    env = next(env for env in ("Ant-v5", "Pusher-v5", "Hopper-v5") if env in entry.request.messages[1].content)
    file = tmp_path / "ledger.jsonl"
    file.write_text(json.dumps(records.dump(entry)) + "\n")
    run = open_run(tmp_path, env, sentence, replay=str(file), replay_by="position", model=None)
    user = User()
    if "elegance" in sentence:
        with pytest.raises(FitnessError, match="matter of taste"):
            fitness_proposals.settle_fitness(run, user, executor=InProcessExecutor())
        return

    proposal = fitness_proposals.settle_fitness(run, user, executor=InProcessExecutor())
    assert proposal is not None
    Fitness.parse(proposal.expression)
    assert run.task.fitness == proposal.expression
    # A standing robot does not spin, a pushed object is not there yet, and nothing hops.
    assert abs(proposal.motions["none"]) < 1.0
    # Whoever goes on is not asked again, and nothing is paid again.
    assert fitness_proposals.settle_fitness(Run.open(run.path), None) is None
    assert len(ledger.read_ledger(run.layout.ledger)) == 1


def test_without_a_model_the_plan_says_what_to_do():
    with pytest.raises(ConfigError, match=r"--fitness auto asks the designer's language model.*'symbolic'.*--model"):
        planning.plan_search("Hop", "hopper", "auto", overrides={"search": {"designer": "symbolic"}}, variables={})


def test_a_plan_counts_the_call_of_the_proposal():
    overrides = {"search": {"population": 2, "generations": 1}, "llm": {"model": "small"}}
    written = planning.plan_search("Hop", "hopper", None, overrides=overrides, variables={})
    proposed = planning.plan_search("Hop", "hopper", "auto", overrides=overrides, variables={})
    assert proposed.calls == written.calls + 1


def test_a_run_whose_fitness_nobody_accepted_is_not_searched(tmp_path):
    with pytest.raises(ConfigError, match="no terminal to ask at: say --yes"):
        searches.continue_run(open_run(tmp_path), executor=InProcessExecutor())
    with pytest.raises(ConfigError, match="no terminal to ask at: say --yes"):
        fitness_proposals.settle_fitness(replace_run(tmp_path), None)


def replace_run(path: Path) -> Run:
    run = Run.open(path / "run")
    run.task = replace(run.task, fitness="auto")
    return run


def test_without_a_terminal_and_without_yes_a_line_says_so_before_anything_is_paid(tmp_path):
    command = [sys.executable, "-m", "rewardsmith", "design", "Hop", "--env", "hopper", "--fitness", "auto"]
    # Nothing answers at this address: it is not asked.
    environment = os.environ | {"OPENAI_BASE_URL": "http://127.0.0.1:9/v1", "OPENAI_API_KEY": "unused"}
    options = ["--model", "small", "--out", "run"]
    refused = subprocess.run(
        [*command, *options], capture_output=True, text=True, cwd=tmp_path, env=environment, stdin=subprocess.DEVNULL
    )
    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1 and "no terminal to ask at: say --yes" in refused.stderr
    assert not (tmp_path / "run").exists()
