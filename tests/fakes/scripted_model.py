"""A language model with prepared answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from rewardsmith.llm import Completion, Message


@dataclass
class Script:
    """Answers from a list, or raises an exception of the list."""

    answers: list[str | Exception]
    asked: list[tuple[str, int, tuple[Message, ...]]] = field(default_factory=list)
    name: str = "small"

    def complete(self, messages: Sequence[Message], *, role: str, sample: int = 0) -> Completion:
        self.asked.append((role, sample, tuple(messages)))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return Completion(answer, "stop", 1, 1, None, f"k.{sample}", 0.1, False)
