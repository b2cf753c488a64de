"""Arguments that a program uses and does not take are added without asking its author."""

from __future__ import annotations

import pytest
from fakes.designer_case import BRIEF, Script

from rewardsmith.contract.reward_program import parse_program
from rewardsmith.search.steps.designer.llm_designer import LlmDesigner
from rewardsmith.search.steps.designer.mend_arguments import add_missing_arguments

BEST = """MEMORY = {"best": 0.0}


def reward(after):  # only once
    memory.best = np.maximum(memory.best, after.speed)
    return {"best": memory.best}
"""


def test_memory_that_is_used_becomes_an_argument_and_the_rest_stays() -> None:
    assert add_missing_arguments(BEST) == BEST.replace("reward(after)", "reward(after, memory)")


def test_a_signature_without_arguments_gets_its_first() -> None:
    mended = add_missing_arguments("def reward():\n    return {'t': after.x}\n")
    assert mended == "def reward(after):\n    return {'t': after.x}\n"


@pytest.mark.parametrize(
    "source",
    [
        "def reward(after):\n    return {'t': after.x}\n",
        "start = 1.0\ndef reward(after):\n    return {'t': after.x - start}\n",
        "def reward(after):\n    action = 1.0\n    return {'t': after.x * action}\n",
        "def reward(*, after):\n    return {'t': before.x}\n",
        "def reward(after:\n",
    ],
    ids=["nothing missing", "a constant", "a variable", "unusual signature", "no Python"],
)
def test_what_is_not_missing_is_not_added(source: str) -> None:
    assert add_missing_arguments(source) == source


def test_the_designer_hands_in_the_mended_program_after_one_call() -> None:
    model = Script([f"Remember the best.\n\n```python\n{BEST}```"])
    proposal = LlmDesigner(model).propose(BRIEF, 0)
    assert parse_program(proposal.source).arguments == ("after", "memory")
    assert len(model.asked) == 1


def test_both_functions_of_sparse_and_dense_are_mended() -> None:
    source = "def sparse(after):\n    return after.x - start.x\n\ndef dense(after):\n    return after.x - before.x\n"
    mended = add_missing_arguments(source, ("sparse", "dense"))
    assert "def sparse(after, start)" in mended
    assert "def dense(after, before)" in mended
