"""Inputs that a person can give to a run: one record each, kept as one event of the journal and never changed.

The names of the fields and the `kind`s stand in journals on disk.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from rewardsmith.spec.settings import FeedbackSettings

DEFAULT_RATER = "user"
"""Name of the person where none is given."""
Answer = Literal["a", "b", "equal", "neither"]
"""neither: neither shows what is wanted. The designer reads that; it says nothing about the order of the two."""


@dataclass(frozen=True)
class UserRemark:
    """A remark in words."""

    text: str
    about: str | None = None
    """Id of the candidate that is meant; None for the search as a whole."""
    by: str = DEFAULT_RATER
    kind: Literal["remark"] = "remark"


@dataclass(frozen=True)
class Preference:
    """A comparison of two candidates, or of an episode of each."""

    a: str
    """A candidate's id, or "<id>/s<training seed>/<index of the episode>"."""
    b: str
    answer: Answer
    reason: str = ""
    by: str = DEFAULT_RATER
    kind: Literal["preference"] = "preference"

    @property
    def candidates(self) -> tuple[str, str]:
        """The ids of the two candidates."""
        return self.a.partition("/")[0], self.b.partition("/")[0]


@dataclass(frozen=True)
class Pin:
    """A term that every program must keep."""

    term: str
    candidate: str
    """Id of the candidate that has the term."""
    expression: str | None
    """The term's expression in that program; None where it cannot be extracted."""
    weight: float = 1.0
    by: str = DEFAULT_RATER
    kind: Literal["pin"] = "pin"


@dataclass(frozen=True)
class Ban:
    """A term that no program may have."""

    term: str
    candidate: str | None = None
    """Id of a candidate that has the term; None if no program has it."""
    expression: str | None = None
    by: str = DEFAULT_RATER
    kind: Literal["ban"] = "ban"


@dataclass(frozen=True)
class Release:
    """The end of a pin or of a ban."""

    term: str
    by: str = DEFAULT_RATER
    kind: Literal["release"] = "release"


@dataclass(frozen=True)
class WeightChange:
    """A candidate's program with other weights, as a program of the next generation."""

    candidate: str
    weights: Mapping[str, float]
    source: str
    """The whole program."""
    by: str = DEFAULT_RATER
    kind: Literal["weights"] = "weights"


@dataclass(frozen=True)
class ProgramEdit:
    """A program by the user, written by hand or learned from a ranking, as a program of the next generation."""

    candidate: str
    """Id of the candidate that it was made from."""
    source: str
    about: str = ""
    """Description in a sentence; empty for an edit by hand."""
    by: str = DEFAULT_RATER
    kind: Literal["edit"] = "edit"


@dataclass(frozen=True)
class RankingChange:
    """A choice of who ranks the programs from the next generation on."""

    rank: Literal["metric", "people"]
    blend: float = 0.0
    """Same as `feedback.blend`."""
    by: str = DEFAULT_RATER
    kind: Literal["ranking"] = "ranking"


@dataclass(frozen=True)
class ContinueRequest:
    """A request that the search runs at least this number of generations."""

    until: int
    by: str = DEFAULT_RATER
    kind: Literal["more"] = "more"


@dataclass(frozen=True)
class Withdrawal:
    """The undoing of an earlier input: later generations are run as if it had not been given."""

    number: int
    """Number of the input."""
    by: str = DEFAULT_RATER
    kind: Literal["withdrawal"] = "withdrawal"


FeedbackInput = Annotated[
    UserRemark
    | Preference
    | Pin
    | Ban
    | Release
    | WeightChange
    | ProgramEdit
    | RankingChange
    | ContinueRequest
    | Withdrawal,
    Field(discriminator="kind"),
]


@dataclass(frozen=True)
class FeedbackEntry:
    """The data of a feedback event in the journal."""

    input: FeedbackInput


@dataclass(frozen=True)
class FeedbackEvent:
    """An input with its place in the journal."""

    number: int
    """Number of the input, counted from 1."""
    key: str
    time: str
    """UTC, ISO 8601."""
    input: FeedbackInput


@dataclass(frozen=True)
class FeedbackState:
    """Every input of a run, and those that are in force."""

    events: tuple[FeedbackEvent, ...] = ()
    """All inputs that were not withdrawn, oldest first."""
    last_number: int = 0
    """Number of the latest input, withdrawals included; 0 without one."""
    pending: tuple[FeedbackEvent, ...] = ()
    """Inputs that came after the plan of the last generation."""
    generations_started: int = 0
    pins: tuple[Pin, ...] = ()
    bans: tuple[Ban, ...] = ()
    target_generations: int | None = None
    """Number of generations that a `ContinueRequest` asks for; None without one."""
    ranking_change: RankingChange | None = None
    """The latest choice of who ranks; None leaves it to the settings."""
    judge_preferences: tuple[Preference, ...] = field(default=(), repr=False)
    """Answers of the judge's model; they are not among `events`."""

    def effective_settings(self, settings: FeedbackSettings) -> FeedbackSettings:
        """Return the run's settings with the latest choice of who ranks.

        A judge that scores makes no comparisons: its score is the fitness, and ranks as a metric does.
        """
        if self.ranking_change is None:
            is_scored = settings.rank == "judge" and settings.judge_mode == "score"
            return settings.model_copy(update={"rank": "metric"}) if is_scored else settings
        return settings.model_copy(update={"rank": self.ranking_change.rank, "blend": self.ranking_change.blend})

    @property
    def remarks(self) -> tuple[UserRemark, ...]:
        """All remarks in words."""
        return tuple(event.input for event in self.events if isinstance(event.input, UserRemark))

    @property
    def preferences(self) -> tuple[Preference, ...]:
        """All comparisons by people."""
        return tuple(event.input for event in self.events if isinstance(event.input, Preference))

    @property
    def pending_programs(self) -> tuple[FeedbackEvent, ...]:
        """The user's programs that the next generation will train."""
        return tuple(event for event in self.pending if isinstance(event.input, WeightChange | ProgramEdit))
