"""A whole search with a language model's real answers, replayed from its ledger: sealing, training and all.

The ledger was recorded on 2026-11-22 against an OpenAI-compatible endpoint, with
`rewardsmith design "Run forward as fast as you can, on the feet and never on the back" --env HalfCheetah-v5
--population 4 --generations 3 --steps 300000`. The replays train for fewer steps, so that they end in seconds: prompts
of later generations then hold other figures, and their answers are taken by position.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from fakes.paths import FIXTURES

from rewardsmith.contract import records
from rewardsmith.contract.records import Result
from rewardsmith.llm.ledger import read
from rewardsmith.search.steps.designer.answer_parser import extract

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
    answer = replay(out, "--set", "llm.replay_by=position")
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
    answers = {extract(entry.answer.text).source for entry in read(LEDGER)}
    assert {candidate.proposal.source for candidate in result.candidates} == answers


def test_a_replay_costs_nothing(replayed):
    _, result = replayed
    assert (result.spent.calls, result.spent.cost_usd) == (0, 0.0)


def test_later_generations_build_on_earlier_ones(replayed):
    _, result = replayed
    assert all(candidate.proposal.parents for candidate in result.candidates if candidate.generation > 0)


def test_a_strict_replay_of_the_first_generation_needs_no_position(tmp_path):
    # Recorded when a prompt listed every signal.
    answer = replay(tmp_path / "run", "--generations", "1", "--set", "llm.catalogue_tokens=5000")
    assert answer.returncode == 0, answer.stderr


def test_a_strict_replay_of_another_task_says_what_is_missing(tmp_path):
    command = [sys.executable, "-m", "rewardsmith", "design", "Stand still", "--env", "HalfCheetah-v5", *SHORT]
    options = ["--llm-replay", str(LEDGER), "--out", str(tmp_path / "run")]
    answer = subprocess.run([*command, *options], capture_output=True, text=True, timeout=120)
    assert answer.returncode == 1
    assert "has no answer for this request of the designer" in answer.stderr
    assert "rewardsmith resume" in answer.stderr
