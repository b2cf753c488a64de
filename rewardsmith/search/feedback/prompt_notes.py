"""Effect of the feedback on the next generation: notes for prompts, pinned and banned terms, and slots for programs.

Everything here is a function of the state that the generation uses, so that a resumed or replayed search writes the
same prompts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rewardsmith.contract.records import Candidate, GenerationPlan, Proposal, SlotAssignment, TermConstraint
from rewardsmith.llm import prompts
from rewardsmith.search.feedback import ranking
from rewardsmith.search.feedback.events import FeedbackState, Preference, ProgramEdit, UserRemark, WeightChange
from rewardsmith.spec.settings import FeedbackSettings

MAX_NOTES = 20
"""Remarks and comparisons that a prompt repeats; the latest ones, where there are more."""
AUTHOR = "user"


def build_notes(state: FeedbackState, candidates: Sequence[Candidate], settings: FeedbackSettings) -> tuple[str, ...]:
    """Build the notes of a prompt, a line each: pins, bans and the meaning of fitness, then the latest inputs."""
    pin_notes = [
        f"Every program keeps the term {constraint.term!r}{_describe_origin(constraint)}; one without it is refused."
        for constraint in list_pinned_terms(state)
    ]
    ban_notes = [
        f"No program has the term {constraint.term!r}{_describe_origin(constraint)}; one that has it is refused."
        for constraint in list_banned_terms(state)
    ]
    ranking_notes = _explain_ranking(state, candidates, settings)
    input_notes = [
        _format_input(event.input) for event in state.events if isinstance(event.input, UserRemark | Preference)
    ]
    return (*pin_notes, *ban_notes, *ranking_notes, *input_notes[-MAX_NOTES:])


def list_pinned_terms(state: FeedbackState) -> tuple[TermConstraint, ...]:
    """Return the terms that every program must keep."""
    return tuple(TermConstraint(pin.term, pin.expression, pin.weight, pin.candidate) for pin in state.pins)


def list_banned_terms(state: FeedbackState) -> tuple[TermConstraint, ...]:
    """Return the terms that no program may have."""
    return tuple(TermConstraint(ban.term, ban.expression, candidate=ban.candidate) for ban in state.bans)


def add_program_slots(plan: GenerationPlan, state: FeedbackState) -> GenerationPlan:
    """Return a plan with one more slot for each pending program of the user."""
    user_slots = [
        SlotAssignment("user", (event.input.candidate,), user_program_key=event.key)
        for event in state.pending_programs
        if isinstance(event.input, WeightChange | ProgramEdit)
    ]
    return replace(plan, slots=(*plan.slots, *user_slots)) if user_slots else plan


def build_user_proposal(state: FeedbackState, key: str | None) -> Proposal | None:
    """Build the proposal of the user's program under a journal key; None without one."""
    user_input = next((event.input for event in state.events if event.key == key), None)
    if isinstance(user_input, WeightChange):
        changes = ", ".join(f"{name} {weight:g}" for name, weight in user_input.weights.items())
        rationale = f"{user_input.candidate} with weights by the user: {changes}."
        return Proposal(user_input.source, AUTHOR, (user_input.candidate,), rationale)
    if isinstance(user_input, ProgramEdit):
        rationale = user_input.about or f"The user's edit of {user_input.candidate}."
        return Proposal(user_input.source, AUTHOR, (user_input.candidate,), rationale)
    return None


def explain_judged_fitness(expression: str, candidates: Sequence[Candidate]) -> tuple[str, ...]:
    """Build the note on the meaning of fitness where a judge's score is the fitness; none before the first program.

    Args:
        expression: of the task, which curves and single episodes still show.
        candidates: all so far.
    """
    if not candidates:
        return ()
    return (
        "What is called fitness of a program is a judge's score of recorded episodes, from 0 (nothing of the task is "
        "done) to 1 (all of it). Fitness of single episodes and of courses of training is "
        f"{prompts.to_one_line(expression)}, for information.",
    )


def replace_fitness_by_standing(candidates: Sequence[Candidate], settings: FeedbackSettings) -> list[Candidate]:
    """Return the candidates as prompts show them: where comparisons rank, the standing is shown as the fitness."""
    if settings.rank == "metric":
        return list(candidates)
    return [
        replace(candidate, fitness=candidate.standing) if candidate.standing is not None else candidate
        for candidate in candidates
    ]


def _describe_origin(constraint: TermConstraint) -> str:
    """Return the program that a term was pinned or banned in, with its expression there."""
    if not constraint.candidate:
        return ""
    expression = f" ({prompts.to_one_line(constraint.expression)})" if constraint.expression else ""
    return f" as in {constraint.candidate}{expression}"


def _format_input(user_input: UserRemark | Preference) -> str:
    if isinstance(user_input, UserRemark):
        return f"About {user_input.about}: {user_input.text}" if user_input.about else user_input.text

    a, b = user_input.candidates
    reason = f": {user_input.reason}" if user_input.reason else ""
    if user_input.answer == "neither":
        return f"Neither {a} nor {b} is what is wanted{reason}"
    if user_input.answer == "equal":
        return f"{a} and {b} are equally good{reason}"
    better, worse = (a, b) if user_input.answer == "a" else (b, a)
    return f"{better} is preferred to {worse}{reason}"


def _explain_ranking(state: FeedbackState, candidates: Sequence[Candidate], settings: FeedbackSettings) -> list[str]:
    """Return a note on the meaning of fitness where comparisons rank; empty where the metric ranks."""
    if settings.rank == "metric" or not ranking.select_rankable(candidates):
        return []
    rows = ranking.rank_candidates(candidates, state, settings).rows
    order = " > ".join(row.candidate for row in rows)
    raters = "people" if settings.rank == "people" else "comparisons of recorded episodes"
    return [
        f"What is called fitness of a program is its standing by {raters}: 0 is the average program, and 1 more means "
        "to be preferred about three times of four. Figures called fitness in the feedback are for information. "
        f"So far: {order}"
    ]
