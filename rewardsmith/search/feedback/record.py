"""Functions that add a person's input to a run: each checks it and appends one event to the journal.

Each opens the journal only for a moment. While a search is running in the run they refuse: it holds the journal.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Literal, get_args

from rewardsmith.contract.errors import RunError, UserError
from rewardsmith.contract.program_edits import replace_weights
from rewardsmith.contract.records import Interval
from rewardsmith.contract.reward_program import build_program_error
from rewardsmith.llm import prompts
from rewardsmith.search.feedback.events import (
    DEFAULT_RATER,
    Answer,
    Ban,
    ContinueRequest,
    FeedbackEntry,
    FeedbackEvent,
    FeedbackInput,
    FeedbackState,
    Pin,
    Preference,
    ProgramEdit,
    RankingChange,
    Release,
    UserRemark,
    WeightChange,
    Withdrawal,
)
from rewardsmith.search.feedback.references import (
    check_program,
    find_candidate,
    find_comparable,
    find_term_owner,
    read_terms,
)
from rewardsmith.search.feedback.state import build_state
from rewardsmith.search.storage import Event, Journal, Run, journal_keys

MAX_TEXT_CHARS, MAX_NAME_CHARS = 4_000, 60


@dataclass(frozen=True)
class SupersededReport:
    """The result of a search at the time when a person asked it to continue; a later result replaces it."""

    best: str
    candidates: int
    fitness: float | None
    reported: Interval | None
    normalised: float | None
    env_steps: int


# ---------------------------------------------------------------- adding an input


def add_remark(run: Run, text: str, *, by: str = "", about: str | None = None) -> FeedbackEvent:
    """Add a remark in words, which the prompts of all later generations repeat.

    Args:
        run: the run.
        text: what to change, what is right and what is wrong.
        by: name of the person; "" is the user.
        about: id of the candidate that is meant.

    Raises:
        UserError: if the text is empty or too long, or there is no such candidate.
        RunError: if the run is running, is damaged or of another version.
    """
    remark, rater = _clean_text(text, "the remark", min_chars=1), _clean_rater(by)
    return _append_input(run, UserRemark(remark, find_candidate(run, about).id if about else None, rater))


def add_preference(run: Run, a: str, b: str, answer: Answer = "a", *, reason: str = "", by: str = "") -> FeedbackEvent:
    """Add a comparison of two candidates, or of an episode of each; raises as `add_remark`.

    Args:
        run: the run.
        a: a candidate's id, or "<id>/s<training seed>/<index of the episode>".
        b: another one.
        answer: which is better; "neither" if neither shows what is wanted.
        reason: why; later prompts repeat it.
        by: name of the person.
    """
    if answer not in get_args(Answer):
        raise UserError(f"{answer!r} is not an answer; choose one of {', '.join(get_args(Answer))}")
    reason, rater = _clean_text(reason, "the reason"), _clean_rater(by)

    first, second = find_comparable(run, a), find_comparable(run, b)
    if first == second:
        raise UserError(f"{first} is compared with itself; name two")
    return _append_input(run, Preference(first, second, answer, reason, rater))


def pin_term(run: Run, term: str, *, candidate: str | None = None, by: str = "") -> FeedbackEvent:
    """Require that every later program keeps a term; raises as `add_remark`.

    Args:
        run: the run.
        term: its name.
        candidate: id of the candidate that has it; None takes the best program with this term.
        by: name of the person.

    Raises:
        UserError: if no program has such a term.
    """
    owner = find_term_owner(run, _validate_term_name(term), candidate)
    if owner is None:
        all_terms = {name for other in run.read_candidates() for name in read_terms(other)}
        where = f" {candidate}" if candidate else ""
        raise UserError(f"no program{where} has a term {term!r}; there are: {', '.join(sorted(all_terms)) or 'none'}")
    expression, weight = read_terms(owner)[term]
    return _append_input(run, Pin(term, owner.id, expression, weight, _clean_rater(by)))


def ban_term(run: Run, term: str, *, candidate: str | None = None, by: str = "") -> FeedbackEvent:
    """Require that no later program has a term; see `pin_term`, except that no program needs to have it yet."""
    owner = find_term_owner(run, _validate_term_name(term), candidate)
    expression = read_terms(owner)[term][0] if owner else None
    return _append_input(run, Ban(term, owner.id if owner else None, expression, _clean_rater(by)))


def release_term(run: Run, term: str, *, by: str = "") -> FeedbackEvent:
    """Lift a pin or a ban; raises as `add_remark`.

    Raises:
        UserError: if the term is neither pinned nor banned.
    """
    with _open_for_feedback(run) as (journal, state):
        constrained = [*(pin.term for pin in state.pins), *(ban.term for ban in state.bans)]
        if term not in constrained:
            raise UserError(
                f"the term {term!r} is neither pinned nor banned; these are: {', '.join(constrained) or 'none'}"
            )
        return _append_event(journal, state, Release(term, _clean_rater(by)))


def submit_weights(run: Run, candidate_id: str, weights: Mapping[str, float], *, by: str = "") -> FeedbackEvent:
    """Submit a candidate's program with other weights for the next generation; raises as `submit_program`.

    Args:
        run: the run.
        candidate_id: the candidate.
        weights: term name to weight; the others stay as they are.
        by: name of the person.
    """
    base = find_candidate(run, candidate_id)
    terms = read_terms(base)
    unknown = [name for name in weights if name not in terms]
    if unknown or not weights:
        problem = f"has no term {unknown[0]!r}" if unknown else "needs at least one weight"
        raise UserError(f"{base.id} {problem}; its terms are: {', '.join(terms) or 'not known'}")
    not_finite = [weight for weight in weights.values() if not math.isfinite(weight)]
    if not_finite:
        raise UserError(f"a weight is a finite number, not {not_finite[0]}")

    source = _require_trainable(run, replace_weights(base.proposal.source, weights))
    return _append_input(run, WeightChange(base.id, dict(weights), source, _clean_rater(by)))


def submit_program(run: Run, candidate_id: str, source: str, *, by: str = "", about: str = "") -> FeedbackEvent:
    """Submit a program for the next generation; the critic checks it first.

    Args:
        run: the run.
        candidate_id: the candidate that it was made from.
        source: the whole program.
        by: name of the person.
        about: description in a sentence; "" for an edit by hand.

    Raises:
        ProgramError: if the critic refuses it; the error carries the findings.
        UserError: if it is the candidate's own program, or there is no such candidate.
        RunError: if the run is running, is damaged or of another version.
        SandboxUnavailable: if reward programs cannot be sealed on this machine.
        WorkerFailed: if the reward process fails for another reason than the program.
    """
    base = find_candidate(run, candidate_id)
    if source.strip() == base.proposal.source.strip():
        raise UserError(f"this is the program of {base.id} as it is; nothing was changed")
    trainable = _require_trainable(run, source)
    description = _clean_text(about, "the description")
    return _append_input(run, ProgramEdit(base.id, trainable, description, _clean_rater(by)))


def set_ranking(run: Run, rank: Literal["metric", "people"], blend: float = 0.0, *, by: str = "") -> FeedbackEvent:
    """Choose who ranks the programs from the next generation on: comparisons by people, or the metric.

    Args:
        run: the run.
        rank: who ranks.
        blend: weight of one standard deviation of the metric next to people, in log-odds.
        by: name of the person.

    Raises:
        UserError: if the two contradict each other.
        RunError: if the run is running, is damaged or of another version.
    """
    if rank not in ("metric", "people") or not 0.0 <= blend < math.inf or (rank == "metric" and blend):
        raise UserError(f"rank by metric, or by people with a weight of the metric of 0 or more; not {rank!r}, {blend}")
    if rank == "people" and run.config.search.rungs:
        raise UserError(
            "search.rungs stop trainings of this run by the metric; people cannot rank unfinished trainings"
        )
    return _append_input(run, RankingChange(rank, blend, _clean_rater(by)))


def withdraw_feedback(run: Run, number: int | None = None, *, by: str = "") -> tuple[FeedbackEvent, FeedbackEvent]:
    """Undo an earlier input; generations that used it stay as they are. Raises as `add_remark`.

    Args:
        run: the run.
        number: of the input, from 1; None takes the latest that can be undone.
        by: name of the person.

    Returns:
        The input that was undone, and the event that undoes it.

    Raises:
        UserError: if there is no such input, or its program was trained already.
    """
    with _open_for_feedback(run) as (journal, state):
        is_past = {event.number for event in state.events} - {event.number for event in state.pending}
        undoable = [
            event
            for event in state.events
            if not isinstance(event.input, ContinueRequest)
            and not (isinstance(event.input, WeightChange | ProgramEdit) and event.number in is_past)
        ]
        chosen = [event for event in undoable if number in (None, event.number)]
        if not chosen:
            numbers = ", ".join(f"#{event.number}" for event in undoable) or "none"
            which = "nothing" if number is None else f"no feedback #{number}"
            raise UserError(f"there is {which} to undo; what can be undone: {numbers}")
        return chosen[-1], _append_event(journal, state, Withdrawal(chosen[-1].number, _clean_rater(by)))


def request_generation(run: Run, *, by: str = "") -> FeedbackEvent:
    """Ask for one more generation; the result of the search so far is kept in the journal.

    Raises:
        RunError: if the run is running, is damaged or of another version.
    """
    with _open_for_feedback(run) as (journal, state):
        result = run.read_result()
        if result is not None and state.generations_started:
            last_generation = max(candidate.generation for candidate in result.candidates)
            key = journal_keys.earlier_report_key(last_generation)
            if key not in journal:
                report = SupersededReport(
                    best=result.best.id,
                    candidates=len(result.candidates),
                    fitness=result.best.fitness,
                    reported=result.reported,
                    normalised=result.normalised,
                    env_steps=result.env_steps,
                )
                journal.append(key, report)
        return _append_event(journal, state, ContinueRequest(state.generations_started + 1, _clean_rater(by)))


# ---------------------------------------------------------------- parts


@contextmanager
def _open_for_feedback(run: Run) -> Iterator[tuple[Journal, FeedbackState]]:
    """Open a run's journal for one input, and check that the run can take it."""
    if not run.layout.journal.is_file():
        raise RunError(f"{run.path} has not started; start it with `rewardsmith resume {run.path}`")
    with closing(run.open_journal()) as journal:
        events = tuple(journal)
        _require_continuable(run, events)
        yield journal, build_state(events)


def _require_continuable(run: Run, events: tuple[Event, ...]) -> None:
    """Refuse a run that is not a search, and a search of which this version cannot run another generation."""
    keys = {event.key for event in events}
    designed = {journal_keys.parse_first_design_key(key) for key in keys} - {None}
    planned = {journal_keys.parse_plan_key(key) for key in keys}
    if designed - planned:
        raise RunError(
            f"{run.path} was made by an older rewardsmith, whose generations cannot be continued; `show` reads it"
        )
    if run.read_measured_program() is not None:
        raise RunError(
            f"{run.path} measures one program and is not a search; `design --seed-reward FILE` starts a search from it"
        )


def _append_input(run: Run, input: FeedbackInput) -> FeedbackEvent:
    with _open_for_feedback(run) as (journal, state):
        return _append_event(journal, state, input)


def _append_event(journal: Journal, state: FeedbackState, input: FeedbackInput) -> FeedbackEvent:
    number = state.last_number + 1
    key = journal_keys.feedback_key(number)
    journal.append(key, FeedbackEntry(input))
    written = next(event for event in journal if event.key == key)
    return FeedbackEvent(number, key, written.time, input)


def _require_trainable(run: Run, source: str) -> str:
    """Return a program that the critic accepts, with one newline at its end; raise its findings otherwise."""
    source = source.rstrip() + "\n"
    verdict = check_program(run, source)
    if not verdict.trainable:
        raise build_program_error(verdict.findings)
    return source


def _validate_term_name(name: str) -> str:
    if not name.isidentifier() or len(name) > MAX_NAME_CHARS:
        raise UserError(f"{prompts.to_one_line(name, 40)!r} is not a valid name of a term")
    return name


def _clean_text(text: str, what: str, min_chars: int = 0) -> str:
    """Return a text without control characters, or refuse it for its length."""
    cleaned = prompts.clean_text(text).strip()
    if len(cleaned) < min_chars:
        raise UserError(f"{what} is empty; say what to change")
    if len(cleaned) > MAX_TEXT_CHARS:
        raise UserError(f"{what} has {len(cleaned):,} characters; at most {MAX_TEXT_CHARS:,} are allowed")
    return cleaned


def _clean_rater(by: str) -> str:
    """Return the name of the person who gives feedback, in one line."""
    name = prompts.to_one_line(by, MAX_TEXT_CHARS)
    if len(name) > MAX_NAME_CHARS:
        raise UserError(f"the name has {len(name)} characters; at most {MAX_NAME_CHARS} are allowed")
    return name or DEFAULT_RATER
