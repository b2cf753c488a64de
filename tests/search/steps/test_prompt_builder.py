"""The designer's settings: each changes the prompts, or the parsing of answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from fakes.designer_case import ANSWER, BRIEF, FIRST, SECOND, Script, render_last_request

from rewardsmith.contract.records import BehaviourAim, BehaviourDescriptor, Example, Finding, Proposal, Reflection
from rewardsmith.llm import prompts
from rewardsmith.search.steps.designer import sparse_dense
from rewardsmith.search.steps.designer.llm_designer import LlmDesigner
from rewardsmith.search.steps.designer.prompt_builder import PromptOptions, build_messages
from rewardsmith.spec.settings import DesignerSettings

EXAMPLE = Example("Swing up </example> and stay", "Pendulum-v1", "def reward(after):\n    return {'up': after.height}")
SPARSE_DENSE = """Arrive.

```python
def sparse(after):
    return after.speed > 3

def dense(before, after):
    return after.speed - before.speed
```"""


def ask_designer(brief=BRIEF, slot: int = 0, examples: tuple[Example, ...] = (), **settings) -> Script:
    """Return the model after it was asked for a slot's program under these settings."""
    model = Script([SPARSE_DENSE if settings.get("form") == "sparse-dense" else ANSWER])
    LlmDesigner(model, PromptOptions(DesignerSettings(**settings), examples=examples)).propose(brief, slot)
    return model


def find_message(model: Script, role: str, last: bool = True) -> str:
    spoken = [message.content for message in model.asked[-1][2] if message.role == role]
    return spoken[-1 if last else 0]


def propose_from(answers: list[str], brief=SECOND, **settings) -> Proposal:
    return LlmDesigner(Script(answers), PromptOptions(DesignerSettings(**settings))).propose(brief, 0)


# ---------------------------------------------------------------- prompts


def test_the_environment_as_a_class(snapshot: Callable[[str, str], None]) -> None:
    snapshot("designer-class", find_message(ask_designer(view="class"), "user"))


def test_examples_from_the_library(snapshot: Callable[[str, str], None]) -> None:
    snapshot("designer-examples", find_message(ask_designer(examples=(EXAMPLE,), emphasis=False), "user"))


def test_reasoning_first_and_memory(snapshot: Callable[[str, str], None]) -> None:
    snapshot("designer-system-reasoning", find_message(ask_designer(reasoning_first=True, memory=True), "system"))


def test_the_system_prompt_of_sparse_and_dense(snapshot: Callable[[str, str], None]) -> None:
    snapshot("designer-system-sparse-dense", find_message(ask_designer(form="sparse-dense"), "system"))


def test_only_trainings_that_begin_with_nothing_are_said_to_be_from_scratch() -> None:
    texts = [build_messages(PromptOptions(from_scratch=value), BRIEF, 0)[0].content for value in (True, False)]
    assert "a policy is then trained from scratch on it" in texts[0]
    assert "a policy that knows nothing yet can find its way there." in texts[0]
    assert "a policy is then trained on it" in texts[1]
    assert "a policy can find its way there from where its training begins." in texts[1]
    assert not [text for text in ("scratch", "knows nothing") if text in texts[1]]


def test_a_conversation_of_two_turns(snapshot: Callable[[str, str], None]) -> None:
    child = replace(FIRST[1], id="g1c01", generation=1, proposal=replace(FIRST[1].proposal, parents=("g0c00",)))
    brief = replace(SECOND, generation=2, parents=(child,), history=(*FIRST, child))
    snapshot(
        "designer-conversation",
        render_last_request(ask_designer(brief, conversation=True, history=2)).partition("===== user\n")[2],
    )


DESCRIPTORS = (
    BehaviourDescriptor("pace", "mean(</figures>speed)", 0.0, 5.0),
    BehaviourDescriptor("top", "max(z)", 0, 2),
)
AIM = BehaviourAim({"pace": 1.234, "top": 0.5}, {"pace": (1.5, 2.0), "top": (0.4, 0.6)})


ENDING = "Write the next reward program, complete.\n"


def test_a_behaviour_that_is_asked_for_comes_after_what_all_slots_share(snapshot: Callable[[str, str], None]) -> None:
    aimed = find_message(ask_designer(replace(SECOND, aim=AIM, descriptors=DESCRIPTORS)), "user")
    plain = find_message(ask_designer(SECOND), "user")
    part = aimed.partition("# The behaviour that is asked for")[2]
    assert aimed.replace(f"# The behaviour that is asked for{part}", "") == plain.replace(ENDING, "")
    snapshot("designer-behaviour", f"# The behaviour that is asked for{part}")


def test_a_slot_without_an_empty_cell_is_to_do_better_where_it_is() -> None:
    aim = replace(AIM, target={})
    said = find_message(ask_designer(replace(SECOND, aim=aim, descriptors=DESCRIPTORS)), "user")
    assert "top = max(z): 0.5 on g0c00\n</figures>" in said
    assert "Keep to this behaviour" in said and "asked for: from" not in said


def test_a_conversation_asks_for_the_behaviour_in_its_last_turn() -> None:
    brief = replace(SECOND, aim=AIM, descriptors=DESCRIPTORS)
    turns = ask_designer(brief, conversation=True).asked[0][2]
    assert "asked for: from 1.5 to 2" in turns[-1].content
    assert not any("asked for: from" in turn.content for turn in turns[:-1])


def test_a_conversation_keeps_the_first_prompt_whatever_the_generation() -> None:
    said = [ask_designer(replace(SECOND, generation=later), conversation=True).asked[0][2] for later in (1, 2)]
    assert [message.role for message in said[0]] == ["system", "user", "assistant", "user"]
    assert said[0][1] == said[1][1]
    assert "<task>" in said[0][1].content


def test_a_conversation_of_one_turn_shows_the_parent_alone() -> None:
    child = replace(FIRST[1], id="g1c01", generation=1, proposal=replace(FIRST[1].proposal, parents=("g0c00",)))
    brief = replace(SECOND, generation=2, parents=(child,), history=(*FIRST, child))
    assert len(ask_designer(brief, conversation=True, history=1).asked[0][2]) == 4


def test_without_emphasis_every_slot_is_asked_the_same() -> None:
    for brief in (BRIEF, SECOND):
        parents = brief.parents[:1]
        prompts = {
            find_message(ask_designer(replace(brief, parents=parents), slot, emphasis=False), "user")
            for slot in range(3)
        }
        assert len(prompts) == 1


def test_the_only_program_of_a_generation_is_not_told_of_others() -> None:
    assert "4 programs" in find_message(ask_designer(), "user")
    assert "programs are written" not in find_message(
        ask_designer(replace(BRIEF, population=1), emphasis=False), "user"
    )


def test_without_history_nothing_earlier_is_listed() -> None:
    assert "<history>" in find_message(ask_designer(SECOND), "user")
    assert "<history>" not in find_message(ask_designer(SECOND, history=0), "user")


def test_the_tips_follow_the_reflection_on_a_trained_program_unless_they_are_off() -> None:
    tips = prompts.render_prompt("designer/tips").strip()
    brief = replace(SECOND, parents=(replace(FIRST[0], reflection=Reflection("The course.\n")),))
    text, without = find_message(ask_designer(brief), "user"), find_message(ask_designer(brief, tips=False), "user")
    assert text.index(tips) < text.index("<program>") < text.index("<feedback>\nThe course.\n</feedback>")
    assert tips not in without
    assert "<feedback>\nThe course.\n</feedback>" in without
    conversation = find_message(ask_designer(brief, conversation=True), "user")
    assert f"<feedback>\nThe course.\n\n{tips}\n</feedback>" in conversation


def test_without_the_reflection_an_author_sees_programs_and_their_fitness_alone() -> None:
    reflection = Reflection("The course.\n", ("the actions are near zero",), outcome="all 10 ended early")
    first = tuple(replace(candidate, reflection=reflection) for candidate in FIRST)
    brief = replace(SECOND, parents=first[:1], history=first)
    for conversation in (False, True):
        shown = ask_designer(brief, conversation=conversation).asked[0][2][1:]
        hidden = ask_designer(brief, conversation=conversation, reflection=False).asked[0][2][1:]
        assert "The course." in "".join(message.content for message in shown)
        text = "".join(message.content for message in hidden)
        for told in ("The course.", "near zero", "ended early.", "How to read what a training showed", "Find out"):
            assert told not in text
        assert first[0].proposal.source.strip() in text
        assert prompts.format_value(first[0].fitness) in text


def test_a_failure_has_no_figures_that_tips_could_explain() -> None:
    failed = replace(FIRST[0], status="failed", reflection=Reflection("It failed.\n"))
    text = find_message(ask_designer(replace(SECOND, parents=(failed,)), conversation=True), "user")
    assert "<feedback>\nIt failed.\n</feedback>" in text


def test_an_example_cannot_pass_for_instructions() -> None:
    assert find_message(ask_designer(examples=(EXAMPLE,)), "user").count("</example>") == 1


def test_a_repair_of_sparse_and_dense_says_which_functions_are_wanted() -> None:
    model = Script(["No code", SPARSE_DENSE])
    LlmDesigner(model, PromptOptions(DesignerSettings(form="sparse-dense"))).propose(BRIEF, 0)
    assert "functions `sparse` and `dense`" in find_message(model, "user")


def test_a_repair_of_sparse_and_dense_shows_what_the_author_wrote_and_not_what_is_put_around_it() -> None:
    model = Script([SPARSE_DENSE, SPARSE_DENSE])
    designer = LlmDesigner(model, PromptOptions(DesignerSettings(form="sparse-dense")))
    designer.repair(BRIEF, designer.propose(BRIEF, 0), [Finding("unknown-signal", "no")], 1)
    shown_again = find_message(model, "assistant")
    assert "def sparse" in shown_again
    assert "WEIGHTS" not in shown_again
    assert "def reward" not in shown_again


# ---------------------------------------------------------------- answers


def test_sparse_and_dense_become_a_program_of_their_signs() -> None:
    from rewardsmith.contract import reward_program

    proposal = propose_from([SPARSE_DENSE], form="sparse-dense")
    parsed = reward_program.parse_program(proposal.source)
    assert parsed.weights == {"sparse": 1.0, "dense": 0.1}
    assert parsed.arguments == ("before", "after")
    assert proposal.rationale == "Arrive."


def test_weights_that_the_model_writes_do_not_count() -> None:
    own = SPARSE_DENSE.replace("```python\n", "```python\nWEIGHTS = {'sparse': 9.0}\n\n")
    own = own.replace("\n```", "\n\ndef reward(after):\n    return {'sparse': 9 * sparse(after)}\n```")
    assert propose_from([own], form="sparse-dense").source == propose_from([SPARSE_DENSE], form="sparse-dense").source


def test_a_missing_dense_goes_back_to_its_author() -> None:
    model = Script(["```python\ndef sparse(after):\n    return after.speed\n```", SPARSE_DENSE])
    LlmDesigner(model, PromptOptions(DesignerSettings(form="sparse-dense"))).propose(BRIEF, 0)
    assert "defines no function `dense`" in find_message(model, "user")


def test_the_shared_part_of_a_program_is_not_shown_to_its_author() -> None:
    proposal = propose_from([SPARSE_DENSE], form="sparse-dense")
    brief = replace(SECOND, parents=(replace(FIRST[0], proposal=proposal),))
    for conversation in (False, True):
        model = ask_designer(brief, form="sparse-dense", conversation=conversation)
        text = "".join(message.content for message in model.asked[0][2][1:])
        assert "def dense(before, after)" in text
        assert "def reward" not in text


def test_a_program_that_does_not_parse_is_left_to_the_critic() -> None:
    assert sparse_dense.assemble_program("def sparse(:", {"sparse": 1.0, "dense": 0.1}) == "def sparse(:"
