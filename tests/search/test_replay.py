"""A whole search with a language model's real answers, replayed from its ledger: sealing, training and all.

The ledger was recorded on 2026-11-22 against an OpenAI-compatible endpoint, with
`rewardsmith design "Run forward as fast as you can, on the feet and never on the back" --env HalfCheetah-v5
--population 4 --generations 3 --steps 300000`. The replays train for fewer steps, so that they end in seconds: prompts
of later generations then hold other figures, and the prompts have changed since: answers are taken by position.
A strict replay, by the text of the prompts, is of a small ledger that is recorded here from answers written beforehand.
"""

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from fakes.paths import FIXTURES
from fakes.raw_endpoint import build_completion, build_response, serve_raw

from rewardsmith.contract import records
from rewardsmith.contract.records import Result
from rewardsmith.llm.ledger import read_ledger
from rewardsmith.search.steps.designer.answer_parser import parse_answer

LEDGER = FIXTURES / "half_cheetah_ledger.jsonl"
TASK = "Run forward as fast as you can, on the feet and never on the back"
SHORT = ["--steps", "8192", "--set", "search.final_seeds=0", "--set", "evaluation.episodes=2", "--json"]


def replay(out: Path, *options: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "rewardsmith", "design", TASK, "--env", "HalfCheetah-v5", "--out", str(out)]
    return subprocess.run(
        [*command, "--llm-replay", str(LEDGER), *SHORT, *options], capture_output=True, text=True, timeout=300
    )


@pytest.fixture(scope="module")
def replayed(tmp_path_factory) -> tuple[Path, Result]:
    """Replay all three generations by position."""
    out = tmp_path_factory.mktemp("replay") / "run"
    answer = replay(out, "--population", "4", "--generations", "3", "--set", "llm.replay_by=position")
    assert answer.returncode == 0, answer.stderr
    last = json.loads(answer.stdout.splitlines()[-1])
    assert last.pop("event") == "result"
    return out, records.load(Result, last)


def test_every_recorded_program_is_checked_trained_and_measured(replayed):
    _, result = replayed
    assert len(result.candidates) == 12
    assert [candidate.status for candidate in result.candidates] == ["ok"] * 12
    assert all(candidate.fitness is not None and candidate.repairs == 0 for candidate in result.candidates)


def test_the_programs_are_those_of_the_models_answers(replayed):
    _, result = replayed
    answers = {parse_answer(entry.answer.text).source for entry in read_ledger(LEDGER)}
    assert {candidate.proposal.source for candidate in result.candidates} == answers


def test_a_replay_costs_nothing(replayed):
    _, result = replayed
    assert (result.spent.calls, result.spent.cost_usd) == (0, 0.0)


def test_later_generations_build_on_earlier_ones(replayed):
    _, result = replayed
    assert all(candidate.proposal.parents for candidate in result.candidates if candidate.generation > 0)


# ---------------------------------------------------------------- strict replay, by the prompts

BALANCE = "Keep the pole upright"
ANSWERS = [
    f"```python\ndef reward(after, terminated):\n    return {{'level': {term}, 'fall': -1.0 * terminated}}\n```\n"
    for term in ("-np.abs(after.obs[:, 2])", "np.exp(-after.obs[:, 2] ** 2)")
]
TINY = ["--generations", "1", "--population", "2", "--steps", "1024", *SHORT[2:]]


def design(task: str, out: Path, *options: str, **variables: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "rewardsmith", "design", task, "--env", "CartPole-v1", "--out", str(out)]
    environment = os.environ | variables
    return subprocess.run([*command, *TINY, *options], capture_output=True, text=True, env=environment, timeout=300)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory) -> Path:
    """Record a search with a scripted model; return its run."""
    out = tmp_path_factory.mktemp("recorded") / "run"
    answers = itertools.cycle(ANSWERS)
    with serve_raw(lambda _: [build_response(build_completion(next(answers)))]) as endpoint:
        answer = design(BALANCE, out, "--model", "small", OPENAI_BASE_URL=endpoint.url, OPENAI_API_KEY="none")
    assert answer.returncode == 0, answer.stderr
    return out


def test_a_strict_replay_finds_every_answer_by_its_prompt(recorded, tmp_path):
    out = tmp_path / "run"
    answer = design(BALANCE, out, "--model", "small", "--llm-replay", str(recorded / "llm.jsonl"))
    assert answer.returncode == 0, answer.stderr
    programs = [{path.read_text() for path in run.rglob("reward.py")} for run in (recorded, out)]
    assert programs[0] == programs[1]
    assert any("terminated" in program for program in programs[0])


def test_a_strict_replay_of_another_task_says_what_is_missing(recorded, tmp_path):
    ledger = str(recorded / "llm.jsonl")
    answer = design("Stand still", tmp_path / "run", "--model", "small", "--llm-replay", ledger)
    assert answer.returncode == 1
    assert "has no answer for this request of the designer" in answer.stderr
    assert "rewardsmith resume" in answer.stderr
