"""Messages to a language model and its answers.

Picture, Message, Request   the conversation that is sent, and the key under which its answer is kept
ModelAnswer, Completion     the answer as the endpoint gave it, and as a step reads it
LanguageModel               the interface between the steps and this package
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from rewardsmith.contract.records import Effort

Speaker = Literal["system", "user", "assistant"]

CHARS_PER_TOKEN = 4
"""A usual value for English and code; for estimates only."""
PICTURE_TOKENS = 800
"""Approximate tokens of a small picture; for estimates only."""


@dataclass(frozen=True)
class Picture:
    """A PNG that goes with a message."""

    label: str
    """What it shows, in a line that is sent before it."""
    file: str
    """Path relative to the folder of the ledger."""
    digest: str
    """SHA-256 of its bytes, in hexadecimal; an answer's name depends on it."""

    @classmethod
    def from_file(cls, label: str, path: Path, home: Path) -> Picture:
        """Return the picture at `path`, below the ledger's folder `home`.

        Raises:
            OSError: if it cannot be read.
        """
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        return cls(label, path.resolve().relative_to(home.resolve()).as_posix(), digest)


@dataclass(frozen=True)
class Message:
    """One message of a conversation."""

    role: Speaker
    content: str
    pictures: tuple[Picture, ...] = ()
    """Pictures after the text; only a user's message has some."""


@dataclass(frozen=True)
class Request:
    """A request to an endpoint; independent of the variant of it that the endpoint accepts (`Dialect`)."""

    model: str
    messages: tuple[Message, ...]
    temperature: float | None
    """None leaves it to the endpoint."""
    max_tokens: int | None
    """Longest answer in tokens, a model's hidden reasoning included; None leaves it to the endpoint."""
    reasoning_effort: Effort | None = None
    """How long a reasoning model may think; None leaves it to the endpoint."""

    @property
    def tokens_estimate(self) -> int:
        """About how many tokens the messages have."""
        pictures = [picture for message in self.messages for picture in message.pictures]
        words = "".join([message.content for message in self.messages] + [picture.label for picture in pictures])
        return estimate_tokens(words) + PICTURE_TOKENS * len(pictures)

    def key(self, role: str, sample: int) -> str:
        """Return the name of the answer: a hash of the canonical request and role, then the sample's index.

        >>> Request("m", (Message("user", "hello"),), 1.0, 100).key("designer", 3)
        'efa742f1a78f1753e4ce.3'
        """
        turns = [_canonical_turn(message) for message in self.messages]
        effort = [self.reasoning_effort] if self.reasoning_effort else []
        wanted = [self.model, self.temperature, self.max_tokens, role, turns, *effort]
        canonical = json.dumps(wanted, separators=(",", ":"))
        return f"{hashlib.sha256(canonical.encode()).hexdigest()[:20]}.{sample}"


@dataclass(frozen=True)
class ModelAnswer:
    """The endpoint's answer."""

    text: str
    finish: str
    """"stop", "length" (cut off by max_tokens), "refusal" (the model or a filter declined), "empty" (no text),
    "reasoning" (no text beside the model's reasoning), or another word of the endpoint's."""
    tokens_in: int | None = None
    tokens_out: int | None = None
    """Tokens of the answer; None if the endpoint does not say."""


@dataclass(frozen=True)
class Completion:
    """An answer with its cost and its key."""

    text: str
    finish: str
    """As in `ModelAnswer`, but never "refusal", "empty" or "reasoning": those raise ModelRefused."""
    tokens_in: int | None
    tokens_out: int | None
    cost_usd: float | None
    """None where a price or a token count is unknown."""
    key: str
    """The answer's name in the ledger."""
    latency_s: float
    """Wall time of the call when it was paid for, retries included."""
    cached: bool
    """Whether it came from a ledger, so that nothing was paid now."""


class LanguageModel(Protocol):
    """Anything that completes a conversation; safe to call from several threads at once."""

    @property
    def name(self) -> str:
        """The model's name, as its endpoint knows it."""
        ...

    def complete(self, messages: Sequence[Message], *, role: str, sample: int = 0) -> Completion:
        """Return one completion of the conversation; blocks until it is there.

        Args:
            messages: the conversation, oldest first.
            role: who asks ("designer", "critic", ...), for the ledger and for messages to the user.
            sample: index of this sample among those asked for with the same messages; each is a call of its own.

        Raises:
            ModelUnavailable: if the endpoint cannot be reached or stays overloaded.
            ModelRejected: if the endpoint refuses the key, the model's name or the request.
            ModelRefused: if the model declines or answers nothing.
            ReplayMiss: if only recorded answers may be used and the request has no recorded answer.
            BudgetExhausted: if the call might pass a limit.
            RunError: if the answer could not be recorded.
        """
        ...


def _canonical_turn(message: Message) -> list[str]:
    """Return a message as it counts for an answer's name: pictures by what they show, not by where they lie."""
    return [message.role, message.content, *(word for one in message.pictures for word in (one.label, one.digest))]


def parse_sample_index(key: str) -> int:
    """Return the sample's index in the name of an answer.

    >>> parse_sample_index("efa742f1a78f1753e4ce.3")
    3
    """
    return int(key.rpartition(".")[2])


def estimate_tokens(text: str) -> int:
    """Return about how many tokens a text has.

    >>> estimate_tokens("twelve chars")
    3
    """
    return -(-len(text) // CHARS_PER_TOKEN)
