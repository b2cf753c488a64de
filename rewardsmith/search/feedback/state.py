"""The state of a run's feedback, folded from the events of its journal.

What was said before a generation's plan stands in the journal is what that generation hears, whenever it is run or
resumed: the order of the events alone decides, so a killed search goes on with what it had heard.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from rewardsmith.contract import records
from rewardsmith.contract.errors import RunError
from rewardsmith.search.feedback.events import Ban, Entry, More, Pin, Preference, Ranking, Release, Said, State
from rewardsmith.search.storage import Event, Run

PREFIX = "user/feedback/"
_PLAN = re.compile(r"g(\d+)/evolution/plan")
_JUDGED = re.compile(r"g\d+/judge/\d+")


def state(run: Run) -> State:
    """Return what was said about a run; for a run that is still going, what was said so far.

    Raises:
        RunError: if the journal is damaged.
    """
    return of(run.events())


def of(events: Iterable[Event]) -> State:
    """Return the state after these events, in the order of the journal."""
    said: list[Said] = []
    waiting: list[Said] = []
    judged: list[Preference] = []
    begun = 0
    for event in events:
        plan = _PLAN.fullmatch(event.key)
        if plan:
            begun, waiting = max(begun, int(plan[1]) + 1), []
        elif event.key.startswith(PREFIX):
            said.append(_read(event))
            waiting.append(said[-1])
        elif _JUDGED.fullmatch(event.key):
            judged += records.load(tuple[Preference, ...], event.data["answers"])
    pins, bans = _in_force(said)
    asked = [one.input.until for one in said if isinstance(one.input, More)]
    ranking = next((one.input for one in reversed(said) if isinstance(one.input, Ranking)), None)
    return State(tuple(said), tuple(waiting), begun, pins, bans, max(asked, default=None), ranking, tuple(judged))


def heard(events: Sequence[Event], generation: int) -> State:
    """Return the state as a generation hears it: before its plan, or now where it has none yet."""
    key = f"g{generation}/evolution/plan"
    end = next((place for place, event in enumerate(events) if event.key == key), len(events))
    return of(events[:end])


def key_of(number: int) -> str:
    """Return the journal's key of an input.

    >>> key_of(7)
    'user/feedback/0007'
    """
    return f"{PREFIX}{number:04d}"


def _read(event: Event) -> Said:
    try:
        entry = records.load(Entry, event.data)
        return Said(int(event.key.removeprefix(PREFIX)), event.key, event.time, entry.input)
    except ValueError as error:
        raise RunError(f"the journal's event {event.key!r} is no feedback that this version reads: {error}") from error


def _in_force(said: Sequence[Said]) -> tuple[tuple[Pin, ...], tuple[Ban, ...]]:
    """Return the pins and bans that hold: the last word about a term counts."""
    last: dict[str, Pin | Ban] = {}
    for one in said:
        if isinstance(one.input, Release):
            last.pop(one.input.term, None)
        elif isinstance(one.input, Pin | Ban):
            last.pop(one.input.term, None)
            last[one.input.term] = one.input
    pins = tuple(wish for wish in last.values() if isinstance(wish, Pin))
    return pins, tuple(wish for wish in last.values() if isinstance(wish, Ban))
