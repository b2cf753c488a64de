"""What a person can say about a run: one record each, kept as one event of the journal and never changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from rewardsmith.spec.settings import FeedbackSettings

USER = "user"
"""Who speaks where no name is given."""
Answer = Literal["a", "b", "equal", "neither"]
"""neither: neither is what is wanted. It tells the designer something, and nothing about their order."""


@dataclass(frozen=True)
class Remark:
    """Something said in words."""

    text: str
    about: str | None = None
    """Id of the candidate that is meant; None for the search as a whole."""
    by: str = USER
    kind: Literal["remark"] = "remark"


@dataclass(frozen=True)
class Preference:
    """A comparison of two candidates, or of an episode of each."""

    a: str
    """A candidate's id, or "<id>/s<training seed>/<index of the episode>"."""
    b: str
    answer: Answer
    reason: str = ""
    by: str = USER
    kind: Literal["preference"] = "preference"

    @property
    def candidates(self) -> tuple[str, str]:
        """The ids of the two candidates."""
        return self.a.partition("/")[0], self.b.partition("/")[0]


@dataclass(frozen=True)
class Pin:
    """A term that must stay."""

    term: str
    candidate: str
    """Where it was seen."""
    expression: str | None
    """What it computes there; None where its program cannot be taken apart."""
    weight: float = 1.0
    by: str = USER
    kind: Literal["pin"] = "pin"


@dataclass(frozen=True)
class Ban:
    """A term that must not come back."""

    term: str
    candidate: str | None = None
    """Where it was seen; None if no program had it."""
    expression: str | None = None
    by: str = USER
    kind: Literal["ban"] = "ban"


@dataclass(frozen=True)
class Release:
    """A pin or a ban is lifted."""

    term: str
    by: str = USER
    kind: Literal["release"] = "release"


@dataclass(frozen=True)
class Weights:
    """A candidate's program with other weights: a program of the next generation."""

    candidate: str
    weights: Mapping[str, float]
    source: str
    """The whole program."""
    by: str = USER
    kind: Literal["weights"] = "weights"


@dataclass(frozen=True)
class Edit:
    """A program that the user wrote, or had made from rankings: a program of the next generation."""

    candidate: str
    """Which one it was made from."""
    source: str
    about: str = ""
    """What it is, in a sentence; empty for an edit by hand."""
    by: str = USER
    kind: Literal["edit"] = "edit"


@dataclass(frozen=True)
class Ranking:
    """Who ranks the programs from the next generation on."""

    rank: Literal["metric", "people"]
    blend: float = 0.0
    """As `feedback.blend`."""
    by: str = USER
    kind: Literal["ranking"] = "ranking"


@dataclass(frozen=True)
class More:
    """The search goes on, at least to this number of generations."""

    until: int
    by: str = USER
    kind: Literal["more"] = "more"


Input = Annotated[
    Remark | Preference | Pin | Ban | Release | Weights | Edit | Ranking | More,
    Field(discriminator="kind"),
]


@dataclass(frozen=True)
class Entry:
    """An input as the journal holds it."""

    input: Input


@dataclass(frozen=True)
class Said:
    """An input with its place in the journal."""

    number: int
    """From 1."""
    key: str
    time: str
    """UTC, ISO 8601."""
    input: Input


@dataclass(frozen=True)
class State:
    """Everything that was said about a run, and what of it is in force."""

    said: tuple[Said, ...] = ()
    """Oldest first."""
    waiting: tuple[Said, ...] = ()
    """What no generation has heard yet."""
    begun: int = 0
    """How many generations have begun."""
    pins: tuple[Pin, ...] = ()
    bans: tuple[Ban, ...] = ()
    until: int | None = None
    """To how many generations the search was told to go; None where nobody asked for more."""
    ranking: Ranking | None = None
    """Who ranks, where that was changed; None: as the settings say."""
    judged: tuple[Preference, ...] = field(default=(), repr=False)
    """What a judge's model said, which is no input of a person."""

    def settings(self, given: FeedbackSettings) -> FeedbackSettings:
        """Return the settings with what was changed since."""
        if self.ranking is None:
            return given
        return given.model_copy(update={"rank": self.ranking.rank, "blend": self.ranking.blend})

    @property
    def remarks(self) -> tuple[Remark, ...]:
        """What was said in words."""
        return tuple(one.input for one in self.said if isinstance(one.input, Remark))

    @property
    def preferences(self) -> tuple[Preference, ...]:
        """What people preferred."""
        return tuple(one.input for one in self.said if isinstance(one.input, Preference))

    @property
    def programs(self) -> tuple[Said, ...]:
        """The user's programs that the next generation will try."""
        return tuple(one for one in self.waiting if isinstance(one.input, Weights | Edit))
