"""A whole search that a judge scores, with a language model's real answers, replayed from its ledger.

The ledger was recorded on 2026-11-28 against an OpenAI-compatible endpoint, with
`rewardsmith design "Hop on the spot: leave the ground again and again, and do not travel forward or fall" --env
Hopper-v5 --fitness judge --set feedback.judge_mode=score --population 2 --generations 2 --steps 16384`, one final seed,
no baseline and three episodes. The replays train for fewer steps; answers are taken by position.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from fakes.paths import FIXTURES

from rewardsmith.api.planning import plan_search
from rewardsmith.contract import records
from rewardsmith.contract.records import Result
from rewardsmith.llm.ledger import read_ledger
from rewardsmith.search.storage import Run

LEDGER = FIXTURES / "judge_ledger.jsonl"
TASK = "Hop on the spot: leave the ground again and again, and do not travel forward or fall"
SUBTASKS = ["stay upright", "leave the ground", "hop repeatedly", "hop in place"]


def replay(out: Path, *options: str) -> tuple[Run, Result, str]:
    """Replay the search; return the run, its result and what was said meanwhile."""
    command = [sys.executable, "-m", "rewardsmith", "design", TASK, "--env", "Hopper-v5", "--out", str(out)]
    size = ["--population", "2", "--generations", "2", "--steps", "2048", "--llm-replay", str(LEDGER), "--json"]
    settings = ["--set=feedback.judge_mode=score"]
    settings += ["--set=search.final_seeds=1", "--set=search.baseline=false", "--set=llm.replay_by=position"]
    settings += ["--set=evaluation.episodes=3", "--set=evaluation.final_episodes=3"]
    answer = subprocess.run(
        [*command, *size, *settings, *options], capture_output=True, text=True, timeout=600, check=False
    )
    assert answer.returncode == 0, answer.stderr
    last = json.loads(answer.stdout.splitlines()[-1])
    assert last.pop("event") == "result"
    return Run.open(out), records.load(Result, last), answer.stdout


@pytest.fixture(scope="module")
def judged(tmp_path_factory) -> tuple[Run, Result, str]:
    return replay(tmp_path_factory.mktemp("judged") / "run", "--fitness", "judge")


def test_the_recorded_scores_are_the_fitness_of_the_search_and_the_report(judged):
    _, result, _ = judged
    assert [candidate.status for candidate in result.candidates] == ["ok"] * 4
    fitness = [candidate.fitness for candidate in result.candidates]
    assert sorted(fitness) == pytest.approx([0.0425, 0.04875, 0.075, 0.10875])
    assert result.best.fitness == max(fitness)
    assert (result.fitness, result.reported.mean, result.baselines.random) == ("judge", 0.26875, 0.01875)
    assert [one.name for one in result.best.evaluations[0].judge.subtasks] == SUBTASKS


def test_every_recorded_answer_is_used_once(judged):
    run, _, _ = judged
    used = read_ledger(run.layout.ledger)
    assert all(entry.replayed for entry in used)
    answers = [sorted(entry.answer.text for entry in entries) for entries in (used, read_ledger(LEDGER))]
    assert answers[0] == answers[1]
    assert len(used) == 17


def test_a_later_prompt_has_the_judges_reasons_and_says_what_fitness_is(judged):
    run, _, _ = judged
    entries = [entry for entry in read_ledger(run.layout.ledger) if entry.role == "designer"]
    prompts = [entry.request.messages[-1].content for entry in entries]
    later = [prompt for prompt in prompts if "What a judge makes of recorded episodes" in prompt]
    assert len(later) == 2
    for prompt in later:
        assert "- leave the ground: 0. " in prompt
        assert "What is called fitness of a program is a judge's score of recorded episodes" in prompt


def test_with_a_metric_the_same_answers_are_reasons_and_nothing_else(tmp_path):
    run, result, _ = replay(tmp_path / "run", "--fitness", "max(torso_height)")
    assert result.fitness == "max(torso_height)"
    assert all(candidate.fitness > 1.0 for candidate in result.candidates)
    assert all(candidate.evaluations[0].judge.by == "judge:desk" for candidate in result.candidates)
    assert "What a judge makes of recorded episodes" in run.read_candidates()[0].reflection.text
    assert len(read_ledger(run.layout.ledger)) == 17 - 2 * 2  # the retrained program and random actions are not judged


def test_the_plan_counts_the_calls():
    overrides = {"search": {"population": 2, "generations": 2, "final_seeds": 1, "baseline": False, "designer": "llm"}}
    overrides |= {"feedback": {"judge_mode": "score"}, "llm": {"model": "m"}}
    assert plan_search(TASK, "Hopper-v5", "judge", overrides=overrides, variables={}).calls == 17
    assert plan_search(TASK, "Hopper-v5", "max(torso_height)", overrides=overrides, variables={}).calls == 13
