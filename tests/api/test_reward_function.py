"""A reward file as a function: it scores transitions in the sandbox, and says in a line what is missing."""

from __future__ import annotations

import types
from pathlib import Path

import numpy as np
import pytest

import rewardsmith
from rewardsmith.contract.errors import ProgramError, RewardFailed

PROGRAM = """
WEIGHTS = {"up": 2.0, "effort": 0.5}

def reward(before, action, after):
    return {"up": after.height - before.height, "effort": -np.sum(action**2, axis=1)}
"""
MEMORY = """
MEMORY = {"best": 0.0}

def reward(after, memory):
    gain = np.maximum(after.height - memory.best, 0.0)
    memory.best = np.maximum(memory.best, after.height)
    return {"gain": gain}
"""


def load(folder: Path, text: str) -> rewardsmith.RewardFunction:
    file = folder / "reward.py"
    file.write_text(text)
    return rewardsmith.load_reward(file)


def test_many_transitions_are_scored_in_one_call(tmp_path: Path) -> None:
    with load(tmp_path, PROGRAM) as reward:
        total = reward({"height": [0.0, 1.0]}, [[1.0, 1.0], [0.0, 2.0]], {"height": [1.0, 3.0]})
        assert total.tolist() == [2.0 - 0.5 * 2.0, 4.0 - 0.5 * 4.0]
        scores = reward.score({"height": [0.0]}, [[1.0, 0.0]], {"height": [1.0]})
        assert {name: values.tolist() for name, values in scores.terms.items()} == {"up": [1.0], "effort": [-1.0]}


def test_one_transition_needs_no_axis_and_a_state_may_be_an_object(tmp_path: Path) -> None:
    with load(tmp_path, PROGRAM) as reward:
        before, after = types.SimpleNamespace(height=0.5), types.SimpleNamespace(height=1.5)
        assert reward(before, [1.0], after).tolist() == [1.5]
        # Another length of the action is another process.
        assert reward(before, [1.0, 1.0], after).tolist() == [1.0]


def test_memory_is_handed_on_by_the_caller(tmp_path: Path) -> None:
    with load(tmp_path, MEMORY) as reward:
        first = reward.score(after={"height": [2.0]})
        second = reward.score(after={"height": [3.0]}, memory=first.memory)
        assert (first.total.tolist(), second.total.tolist()) == ([2.0], [1.0])


def test_what_the_program_reads_must_be_given(tmp_path: Path) -> None:
    with load(tmp_path, PROGRAM) as reward:
        assert reward.signals == ("height",)
        assert repr(reward).startswith("<reward(before, action, after) of height, weights {'up': 2.0")
        with pytest.raises(ProgramError, match=r"reads before\.height, and it was not given; before has: speed"):
            reward({"speed": [1.0]}, [[1.0]], {"height": [1.0]})
        with pytest.raises(ProgramError, match="takes action, and none was given"):
            reward({"height": [1.0]}, None, {"height": [1.0]})
        with pytest.raises(ProgramError, match=r"differ in their number of transitions: \[1, 2\]"):
            reward({"height": [1.0]}, [[1.0], [1.0]], {"height": [1.0, 2.0]})


def test_the_program_runs_in_the_sandbox(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("x")
    with load(
        tmp_path, f"def reward(after):\n    return {{'up': after.height * len(open({str(secret)!r}).read())}}\n"
    ) as reward:
        with pytest.raises(RewardFailed):
            reward(after={"height": np.ones(2)})
