"""What each setting of the designer changes in the prompts and in how answers are read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from fakes.designer_case import ANSWER, BRIEF, FIRST, PROGRAM, SECOND, Script, shown

from rewardsmith.contract.errors import ModelRefused
from rewardsmith.contract.records import Example, Finding, Proposal
from rewardsmith.search.steps.designer import edits, sparse_dense
from rewardsmith.search.steps.designer.llm_designer import LlmDesigner
from rewardsmith.search.steps.designer.prompt_builder import Manner
from rewardsmith.spec.settings import DesignerSettings

EXAMPLE = Example("Swing up </example> and stay", "Pendulum-v1", "def reward(after):\n    return {'up': after.height}")
SPARSE_DENSE = """Arrive.

```python
def sparse(after):
    return after.speed > 3

def dense(before, after):
    return after.speed - before.speed
```"""


def told(brief=BRIEF, slot: int = 0, examples: tuple[Example, ...] = (), **settings) -> Script:
    """Return the model after it was asked for a slot's program in this manner."""
    model = Script([SPARSE_DENSE if settings.get("form") == "sparse-dense" else ANSWER])
    LlmDesigner(model, Manner(DesignerSettings(**settings), examples=examples)).propose(brief, slot)
    return model


def said(model: Script, role: str, last: bool = True) -> str:
    spoken = [message.content for message in model.asked[-1][2] if message.role == role]
    return spoken[-1 if last else 0]


def proposed(answers: list[str], brief=SECOND, **settings) -> Proposal:
    return LlmDesigner(Script(answers), Manner(DesignerSettings(**settings))).propose(brief, 0)


# ---------------------------------------------------------------- prompts


def test_the_environment_as_a_class(snapshot: Callable[[str, str], None]) -> None:
    snapshot("designer-class", said(told(view="class"), "user"))


def test_examples_from_the_library(snapshot: Callable[[str, str], None]) -> None:
    snapshot("designer-examples", said(told(examples=(EXAMPLE,), emphasis=False), "user"))


def test_reasoning_first_and_memory(snapshot: Callable[[str, str], None]) -> None:
    snapshot("designer-system-reasoning", said(told(reasoning_first=True, memory=True), "system"))


def test_the_system_prompt_of_sparse_and_dense(snapshot: Callable[[str, str], None]) -> None:
    snapshot("designer-system-sparse-dense", said(told(form="sparse-dense"), "system"))


def test_the_system_prompt_with_edits(snapshot: Callable[[str, str], None]) -> None:
    snapshot("designer-system-edits", said(told(edits="diff"), "system").partition("# How to answer")[2])


def test_a_conversation_of_two_turns(snapshot: Callable[[str, str], None]) -> None:
    child = replace(FIRST[1], id="g1c01", generation=1, proposal=replace(FIRST[1].proposal, parents=("g0c00",)))
    brief = replace(SECOND, generation=2, parents=(child,), history=(*FIRST, child))
    snapshot("designer-conversation", shown(told(brief, conversation=True, history=2)).partition("===== user\n")[2])


def test_a_conversation_keeps_the_first_prompt_whatever_the_generation() -> None:
    said = [told(replace(SECOND, generation=later), conversation=True).asked[0][2] for later in (1, 2)]
    assert [message.role for message in said[0]] == ["system", "user", "assistant", "user"]
    assert said[0][1] == said[1][1]
    assert "<task>" in said[0][1].content


def test_a_conversation_of_one_turn_shows_the_parent_alone() -> None:
    child = replace(FIRST[1], id="g1c01", generation=1, proposal=replace(FIRST[1].proposal, parents=("g0c00",)))
    brief = replace(SECOND, generation=2, parents=(child,), history=(*FIRST, child))
    assert len(told(brief, conversation=True, history=1).asked[0][2]) == 4


def test_without_emphasis_every_slot_is_asked_the_same() -> None:
    for brief in (BRIEF, SECOND):
        parents = brief.parents[:1]
        prompts = {said(told(replace(brief, parents=parents), slot, emphasis=False), "user") for slot in range(3)}
        assert len(prompts) == 1


def test_a_program_that_is_written_alone_hears_of_no_others() -> None:
    assert "4 programs" in said(told(), "user")
    assert "programs are written" not in said(told(replace(BRIEF, population=1), emphasis=False), "user")


def test_without_history_nothing_earlier_is_listed() -> None:
    assert "<history>" in said(told(SECOND), "user")
    assert "<history>" not in said(told(SECOND, history=0), "user")


def test_without_tips_the_feedback_stands_alone() -> None:
    from rewardsmith.contract.records import Feedback
    from rewardsmith.llm import prompts

    tips = prompts.render("analyzer/tips").strip()
    parent = replace(FIRST[0], feedback=Feedback(f"The course.\n\n{tips}\n"))
    brief = replace(SECOND, parents=(parent,))
    assert tips in said(told(brief), "user")
    text = said(told(brief, tips=False), "user")
    assert tips not in text
    assert "<feedback>\nThe course.\n</feedback>" in text


def test_an_example_cannot_pass_for_instructions() -> None:
    assert said(told(examples=(EXAMPLE,)), "user").count("</example>") == 1


def test_a_repair_of_sparse_and_dense_says_which_functions_are_wanted() -> None:
    model = Script(["No code", SPARSE_DENSE])
    LlmDesigner(model, Manner(DesignerSettings(form="sparse-dense"))).propose(BRIEF, 0)
    assert "functions `sparse` and `dense`" in said(model, "user")


def test_a_repair_of_sparse_and_dense_shows_what_the_author_wrote_and_not_what_is_put_around_it() -> None:
    model = Script([SPARSE_DENSE, SPARSE_DENSE])
    designer = LlmDesigner(model, Manner(DesignerSettings(form="sparse-dense")))
    designer.repair(BRIEF, designer.propose(BRIEF, 0), [Finding("unknown-signal", "no")], 1)
    shown_again = said(model, "assistant")
    assert "def sparse" in shown_again
    assert "WEIGHTS" not in shown_again
    assert "def reward" not in shown_again


# ---------------------------------------------------------------- answers


def test_sparse_and_dense_become_a_program_of_their_signs() -> None:
    from rewardsmith.contract import reward_program

    proposal = proposed([SPARSE_DENSE], form="sparse-dense")
    parsed = reward_program.parse(proposal.source)
    assert parsed.weights == {"sparse": 1.0, "dense": 0.1}
    assert parsed.arguments == ("before", "after")
    assert proposal.rationale == "Arrive."


def test_weights_of_the_models_own_do_not_count() -> None:
    own = SPARSE_DENSE.replace("```python\n", "```python\nWEIGHTS = {'sparse': 9.0}\n\n")
    own = own.replace("\n```", "\n\ndef reward(after):\n    return {'sparse': 9 * sparse(after)}\n```")
    assert proposed([own], form="sparse-dense").source == proposed([SPARSE_DENSE], form="sparse-dense").source


def test_a_missing_dense_goes_back_to_its_author() -> None:
    model = Script(["```python\ndef sparse(after):\n    return after.speed\n```", SPARSE_DENSE])
    LlmDesigner(model, Manner(DesignerSettings(form="sparse-dense"))).propose(BRIEF, 0)
    assert "defines no function `dense`" in said(model, "user")


def test_the_shared_part_of_a_program_is_not_shown_to_its_author() -> None:
    proposal = proposed([SPARSE_DENSE], form="sparse-dense")
    brief = replace(SECOND, parents=(replace(FIRST[0], proposal=proposal),))
    for conversation in (False, True):
        model = told(brief, form="sparse-dense", conversation=conversation)
        text = "".join(message.content for message in model.asked[0][2][1:])
        assert "def dense(before, after)" in text
        assert "def reward" not in text


def test_a_program_that_does_not_parse_is_left_to_the_critic() -> None:
    assert sparse_dense.assembled("def sparse(:", {"sparse": 1.0, "dense": 0.1}) == "def sparse(:"


PARENT = FIRST[0].proposal.source
BLOCK = "<<<<<<< SEARCH\n{}\n=======\n{}\n>>>>>>> REPLACE"
LINE = "    return {'speed_g0c00': after.speed}"


@pytest.mark.parametrize(
    "answer",
    [
        "Twice.\n" + BLOCK.format(LINE, LINE.replace("after.speed}", "2 * after.speed}")),
        "Twice.\n```\n" + BLOCK.format(LINE, LINE.replace("after.speed}", "2 * after.speed}")) + "\n```\n",
        f"Twice.\n```diff\n--- a\n+++ b\n@@ -1,2 +1,2 @@\n def reward(after):\n-{LINE}\n"
        "+    return {'speed_g0c00': 2 * after.speed}\n```",
        f"Twice.\n```diff\n@@\n-{LINE}\n+    return {{'speed_g0c00': 2 * after.speed}}\n\n```",
    ],
)
def test_edits_are_made_in_the_parent(answer: str) -> None:
    proposal = proposed([answer], edits="diff")
    assert proposal.source == PARENT.replace("after.speed}", "2 * after.speed}")
    assert proposal.rationale == "Twice."


def test_a_whole_program_is_taken_where_edits_are_allowed() -> None:
    assert proposed([ANSWER], edits="diff").source == PROGRAM


def test_edits_of_the_first_generation_are_no_program() -> None:
    with pytest.raises(ModelRefused):
        proposed([BLOCK.format(LINE, "x")] * 2, BRIEF, edits="diff")


def test_an_edit_that_does_not_apply_goes_back_to_its_author() -> None:
    model = Script([BLOCK.format("    return {'sped': 1}", "x"), ANSWER])
    LlmDesigner(model, Manner(DesignerSettings(edits="diff"))).propose(SECOND, 0)
    assert "edit 1, which begins \"return {'sped': 1}\", does not apply" in said(model, "user")


def test_an_edit_that_never_applies_is_refused() -> None:
    with pytest.raises(ModelRefused, match="does not apply"):
        proposed([BLOCK.format("nothing like it", "x")] * 2, edits="diff")


def test_a_repair_may_be_edits_of_the_refused_program() -> None:
    model = Script([BLOCK.format('    return {"speed": after.speed}', '    return {"speed": after.pace}')])
    designer = LlmDesigner(model, Manner(DesignerSettings(edits="diff")))
    repaired = designer.repair(BRIEF, Proposal(PROGRAM, "llm:small"), [Finding("unknown-signal", "no")], 1)
    assert repaired.source == PROGRAM.replace("after.speed", "after.pace")


@pytest.mark.parametrize(
    ("block", "words"),
    [
        (edits.Edit(("x = 1",), ("x = 2",)), "2 times"),
        (edits.Edit(("",), ("x = 2",)), "names no line"),
        (edits.Edit(("  x = 1",), ("x = 2",)), "indentation"),
    ],
)
def test_an_edit_without_one_place_is_refused(block: edits.Edit, words: str) -> None:
    with pytest.raises(edits.EditRefused, match=words):
        edits.applied("x = 1\ny = 0\nx = 1\n", (block,))


def test_the_line_of_a_diff_decides_between_equal_places() -> None:
    assert edits.applied("x\ny\nx\n", (edits.Edit(("x",), ("z",), line=3),)) == "x\ny\nz\n"


def test_a_block_that_is_not_closed_is_no_edit() -> None:
    assert edits.found("<<<<<<< SEARCH\nx\n=======\ny\n").edits == ()


def test_an_enormous_answer_of_edits_is_read_in_time() -> None:
    assert len(edits.found("<<<<<<< SEARCH\nx\n" * 50_000 + "=======\ny\n>>>>>>> REPLACE").edits) == 1
