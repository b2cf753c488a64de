"""State of a run's feedback, computed from the events of its journal.

A generation uses the inputs that stand before its plan in the journal, whenever it is run or resumed. Only the order of
the events counts, so that a search that was killed continues with the same inputs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rewardsmith.contract import records
from rewardsmith.contract.errors import RunError
from rewardsmith.search.feedback.events import (
    Ban,
    ContinueRequest,
    FeedbackEntry,
    FeedbackEvent,
    FeedbackState,
    Pin,
    Preference,
    RankingChange,
    Release,
    Withdrawal,
)
from rewardsmith.search.storage import Event, Run, journal_keys


def load_state(run: Run) -> FeedbackState:
    """Load the feedback of a run; of a run that is still running, the feedback so far.

    Raises:
        RunError: if the journal is damaged.
    """
    return build_state(run.read_events())


def build_state(events: Iterable[Event]) -> FeedbackState:
    """Build the state after these events, given in the order of the journal."""
    inputs: list[FeedbackEvent] = []
    pending: list[FeedbackEvent] = []
    judge_preferences: list[Preference] = []
    generations_started = last_number = 0

    for event in events:
        generation = journal_keys.parse_plan_key(event.key)
        if generation is not None:
            # A plan takes up every input before it.
            generations_started = max(generations_started, generation + 1)
            pending = []
        elif journal_keys.parse_feedback_key(event.key) is not None:
            added = _parse_event(event)
            last_number = added.number
            if isinstance(added.input, Withdrawal):
                withdrawn = added.input.number
                inputs = [earlier for earlier in inputs if earlier.number != withdrawn]
                pending = [earlier for earlier in pending if earlier.number != withdrawn]
            else:
                inputs.append(added)
                pending.append(added)
        elif journal_keys.is_judgement_key(event.key):
            judge_preferences += records.load(tuple[Preference, ...], event.data["answers"])

    # The last word counts: about each term, and about who ranks. Of requests to continue, the furthest counts.
    pins, bans = _find_active_constraints(inputs)
    targets = [event.input.until for event in inputs if isinstance(event.input, ContinueRequest)]
    ranking_changes = [event.input for event in inputs if isinstance(event.input, RankingChange)]

    return FeedbackState(
        events=tuple(inputs),
        last_number=last_number,
        pending=tuple(pending),
        generations_started=generations_started,
        pins=pins,
        bans=bans,
        target_generations=max(targets, default=None),
        ranking_change=ranking_changes[-1] if ranking_changes else None,
        judge_preferences=tuple(judge_preferences),
    )


def state_before(events: Sequence[Event], generation: int) -> FeedbackState:
    """Build the state that a generation uses: before its plan, or the latest one where it has no plan yet."""
    plan_key = journal_keys.plan_key(generation)
    plan_index = next((index for index, event in enumerate(events) if event.key == plan_key), len(events))
    return build_state(events[:plan_index])


def _parse_event(event: Event) -> FeedbackEvent:
    try:
        number = journal_keys.parse_feedback_key(event.key)
        if number is None:
            raise ValueError("the key has no number")
        entry = records.load(FeedbackEntry, event.data)
    except ValueError as error:
        raise RunError(f"this version cannot read the feedback event {event.key!r} of the journal: {error}") from error
    return FeedbackEvent(number, event.key, event.time, entry.input)


def _find_active_constraints(events: Sequence[FeedbackEvent]) -> tuple[tuple[Pin, ...], tuple[Ban, ...]]:
    """Return the pins and bans in force: the last input about a term counts."""
    active: dict[str, Pin | Ban] = {}
    for event in events:
        if isinstance(event.input, Release):
            active.pop(event.input.term, None)
        elif isinstance(event.input, Pin | Ban):
            active.pop(event.input.term, None)
            active[event.input.term] = event.input

    pins = tuple(constraint for constraint in active.values() if isinstance(constraint, Pin))
    bans = tuple(constraint for constraint in active.values() if isinstance(constraint, Ban))
    return pins, bans
