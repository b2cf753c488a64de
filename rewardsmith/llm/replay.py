"""Answers from another run's ledger: strictly (a miss is an error that names the difference), or as a cache."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rewardsmith.contract.errors import ReplayMiss
from rewardsmith.llm import ledger
from rewardsmith.llm.ledger import LedgerEntry
from rewardsmith.llm.messages import Request
from rewardsmith.llm.prompts import to_one_line

SHOWN_CHARS = 100


@dataclass(frozen=True)
class RecordedAnswers:
    """The answers in another run's ledger, which is only read."""

    path: Path
    entries: tuple[LedgerEntry, ...]
    strict: bool
    """Whether a request that it lacks is an error rather than a call."""

    by_position: bool = False
    """Whether a request that it lacks may be answered by the one at the same position."""

    @classmethod
    def open(cls, path: Path, *, strict: bool, by_position: bool = False) -> RecordedAnswers:
        """Read a ledger.

        Raises:
            RunError: if it cannot be read.
        """
        return cls(path, ledger.read_ledger(path), strict, by_position)

    def find(self, key: str, role: str, sample: int, turn: int) -> LedgerEntry | None:
        """Find the answer kept under the key, or the one at the same position if that is allowed.

        Args:
            key: of the request.
            role: who asks.
            sample: index of the sample.
            turn: how many answers this role and sample have had before.
        """
        for entry in self.entries:
            if entry.key == key:
                return entry
        turns = [entry for entry in self.entries if (entry.role, entry.sample) == (role, sample)]
        return turns[turn] if self.by_position and turn < len(turns) else None

    def find_model(self, role: str) -> str | None:
        """Return the model that gave all answers to a role ("designer-repair" is the designer's); else None."""
        asked = [entry for entry in self.entries if entry.role.partition("-")[0] == role] or self.entries
        models = {entry.request.model for entry in asked}
        return models.pop() if len(models) == 1 else None

    def build_miss_error(self, request: Request, role: str, sample: int) -> ReplayMiss:
        """Build the error for a request without a recorded answer: who asked, and where the nearest one differs."""
        head = f"the replayed ledger {str(self.path)!r} has no answer for this request of the {role} (sample {sample})"
        nearest = _find_nearest(self.entries, request, role, sample)
        if nearest is None:
            roles = ", ".join(sorted({entry.role for entry in self.entries})) or "no role at all"
            return ReplayMiss(f"{head}: it has answers for {roles}; replay the ledger of the same command")
        difference = _describe_difference(nearest, request, sample)
        return ReplayMiss(
            f"{head}; the nearest one differs in {difference}; replay with the same task, settings and version; "
            "on another kind of machine with --set llm.replay_by=position; --llm-cache lets misses call the model"
        )


def _find_nearest(entries: Sequence[LedgerEntry], request: Request, role: str, sample: int) -> LedgerEntry | None:
    """Return the role's entry that agrees with the request for longest; of several, the one of this sample."""
    asked = _flatten_request(request)

    def agreement(entry: LedgerEntry) -> tuple[int, bool]:
        return _common_prefix_length(_flatten_request(entry.request), asked), entry.sample == sample

    return max((entry for entry in entries if entry.role == role), key=agreement, default=None)


def _describe_difference(entry: LedgerEntry, request: Request, sample: int) -> str:
    """Describe the first difference between a recorded request and the one that was made."""
    recorded = entry.request
    for name in ("model", "temperature", "max_tokens", "reasoning_effort"):
        if getattr(recorded, name) != getattr(request, name):
            return f"{name}: recorded {getattr(recorded, name)!r}, now {getattr(request, name)!r}"
    for index, (then, now) in enumerate(zip(recorded.messages, request.messages, strict=False), start=1):
        if then != now:
            return f"message {index} ({now.role}), {_describe_line(then.content, now.content)}"
    if len(recorded.messages) != len(request.messages):
        return f"the number of messages: recorded {len(recorded.messages)}, now {len(request.messages)}"
    return f"the sample: recorded {entry.sample}, now {sample}"


def _describe_line(then: str, now: str) -> str:
    """Describe the first line in which two texts differ, from a little before the place."""
    place = _common_prefix_length(then, now)
    line = then.count("\n", 0, place) + 1
    start = max(then.rfind("\n", 0, place) + 1, place - SHOWN_CHARS // 2)
    shown = [to_one_line(text[start:].partition("\n")[0], SHOWN_CHARS) for text in (then, now)]
    return f"line {line}: recorded {shown[0]!r}, now {shown[1]!r}"


def _common_prefix_length(then: str, now: str) -> int:
    """Return the length of the longest common prefix."""
    pairs = enumerate(zip(then, now, strict=False))
    return next((index for index, (left, right) in pairs if left != right), min(len(then), len(now)))


def _flatten_request(request: Request) -> str:
    turns = "".join(f"\n{message.role}\n{message.content}" for message in request.messages)
    return f"{request.model} {request.temperature} {request.max_tokens}{turns}"
