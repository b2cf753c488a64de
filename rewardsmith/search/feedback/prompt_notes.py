"""What the next generation is told of the feedback: notes for prompts, terms for the critic, programs for its slots.

All of it is a function of the state that the generation hears, so that a resumed or replayed search says the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rewardsmith.contract.records import Assignment, Candidate, Generation, Proposal, Wish
from rewardsmith.llm import prompts
from rewardsmith.search.feedback import ranking
from rewardsmith.search.feedback.events import Edit, Preference, Remark, State, Weights
from rewardsmith.spec.settings import FeedbackSettings

MAX_NOTES = 20
"""Remarks and comparisons that a prompt repeats; of more, the latest."""
AUTHOR = "user"


def notes(state: State, candidates: Sequence[Candidate], settings: FeedbackSettings) -> tuple[str, ...]:
    """Return what the user said, a line each: what holds for every program first, then the latest words."""
    held = [
        f"Every program keeps the term {wish.term!r}{_as_in(wish)}; one without it is refused." for wish in pins(state)
    ]
    held += [
        f"No program has the term {wish.term!r}{_as_in(wish)}; one that has it is refused." for wish in bans(state)
    ]
    spoken = [_line(one.input) for one in state.said if isinstance(one.input, Remark | Preference)]
    return (*held, *_ranking(state, candidates, settings), *spoken[-MAX_NOTES:])


def pins(state: State) -> tuple[Wish, ...]:
    """Return the terms that must stay."""
    return tuple(Wish(one.term, one.expression, one.weight, one.candidate) for one in state.pins)


def bans(state: State) -> tuple[Wish, ...]:
    """Return the terms that must not come back."""
    return tuple(Wish(one.term, one.expression, candidate=one.candidate) for one in state.bans)


def with_programs(plan: Generation, state: State) -> Generation:
    """Return a plan with a slot for each of the user's programs, behind its own."""
    slots = [
        Assignment("user", (one.input.candidate,), given=one.key)
        for one in state.programs
        if isinstance(one.input, Weights | Edit)
    ]
    return replace(plan, slots=(*plan.slots, *slots)) if slots else plan


def program(state: State, key: str | None) -> Proposal | None:
    """Return the user's program under a key; None without one."""
    given = next((one.input for one in state.said if one.key == key), None)
    if isinstance(given, Weights):
        moves = ", ".join(f"{name} {weight:g}" for name, weight in given.weights.items())
        return Proposal(
            given.source, AUTHOR, (given.candidate,), f"{given.candidate} with weights by the user: {moves}."
        )
    if isinstance(given, Edit):
        words = given.about or f"The user's edit of {given.candidate}."
        return Proposal(given.source, AUTHOR, (given.candidate,), words)
    return None


def as_told(candidates: Sequence[Candidate], settings: FeedbackSettings) -> list[Candidate]:
    """Return the candidates as prompts show them: where comparisons rank, what they say is the fitness."""
    if settings.rank == "metric":
        return list(candidates)
    return [replace(one, fitness=one.standing) if one.standing is not None else one for one in candidates]


def _as_in(wish: Wish) -> str:
    what = f" ({prompts.one_line(wish.expression)})" if wish.expression else ""
    return f" as in {wish.candidate}{what}" if wish.candidate else ""


def _line(said: Remark | Preference) -> str:
    if isinstance(said, Remark):
        return f"About {said.about}: {said.text}" if said.about else said.text
    a, b = said.candidates
    why = f": {said.reason}" if said.reason else ""
    if said.answer == "neither":
        return f"Neither {a} nor {b} is what is wanted{why}"
    if said.answer == "equal":
        return f"{a} and {b} are equally good{why}"
    better, worse = (a, b) if said.answer == "a" else (b, a)
    return f"{better} is preferred to {worse}{why}"


def _ranking(state: State, candidates: Sequence[Candidate], settings: FeedbackSettings) -> list[str]:
    """Return what fitness means where comparisons rank."""
    if settings.rank == "metric" or not ranking.rankable(candidates):
        return []
    rows = ranking.rank(candidates, state, settings).rows
    order = " > ".join(row.candidate for row in rows)
    who = "people" if settings.rank == "people" else "comparisons of recorded episodes"
    return [
        f"What is called fitness of a program is its standing by {who}: 0 is the average program, and 1 more means to "
        "be preferred about three times of four. Figures called fitness in the feedback are for information. "
        f"So far: {order}"
    ]
