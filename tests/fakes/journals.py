"""Journals in a form in which two equal runs have equal ones."""

from __future__ import annotations

from collections.abc import Iterable

from rewardsmith.search.storage import Event
from rewardsmith.search.storage.journal import strip_times


def canonical_events(events: Iterable[Event]) -> list[Event]:
    """Return the events without what differs between two equal runs: their order, and what the clock measured."""
    stripped = [Event(event.key, event.step, "", strip_times(event.data)) for event in events]
    return sorted(stripped, key=lambda event: event.key)
