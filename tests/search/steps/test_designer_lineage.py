"""Prompts and programs of slots that cross two parents, or start a new lineage without parents."""

from __future__ import annotations

from dataclasses import replace

from fakes.designer_case import ANSWER, BRIEF, Script, candidate

from rewardsmith.search.steps.designer.llm_designer import LlmDesigner
from rewardsmith.search.steps.designer.symbolic import SymbolicDesigner

FIRST, MATE = candidate("g0c01", 3.0), candidate("g0c00", 2.0)
LATER = replace(BRIEF, generation=1, history=(MATE, FIRST), incumbent="g0c01")
PAIR = replace(LATER, mode="cross", parents=(FIRST, MATE))
RESTART = replace(LATER, mode="new", parents=())


def ask_designer(brief, slot: int = 0) -> tuple[str, object]:
    """Return the prompt for a slot, and what was handed in."""
    script = Script([ANSWER])
    proposal = LlmDesigner(script).propose(brief, slot)
    return script.asked[0][2][-1].content, proposal


def test_a_pair_is_to_be_joined_whatever_the_slot(snapshot):
    prompt, proposal = ask_designer(PAIR, slot=1)
    assert "The next program has g0c01 and g0c00 for parents" in prompt
    assert prompt.index(FIRST.proposal.source) < prompt.index(MATE.proposal.source)
    assert proposal.parents == ("g0c01", "g0c00")
    snapshot("designer-crossover", prompt)


def test_a_restart_is_told_what_was_tried_and_builds_on_none(snapshot):
    prompt, proposal = ask_designer(RESTART)
    assert "on another idea than theirs" in prompt
    assert "No program has a fitness yet" not in prompt
    assert "g0c01" in prompt
    assert proposal.parents == ()
    snapshot("designer-restart", prompt)


def test_only_the_best_of_the_whole_search_is_called_the_best_so_far():
    island = replace(LATER, parents=(MATE,), incumbent="g0c01")
    assert "the best so far" not in ask_designer(island)[0]
    assert "(the best so far)" in ask_designer(replace(island, parents=(FIRST,)))[0]


def test_the_symbolic_designer_crosses_a_pair():
    drafts = [SymbolicDesigner().propose(replace(PAIR, seed=seed), 0) for seed in range(4)]
    assert {draft.parents for draft in drafts} & {("g0c01", "g0c00"), ("g0c00", "g0c01")}
