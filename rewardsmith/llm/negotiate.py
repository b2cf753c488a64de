"""How an endpoint wants a request said: learned from its refusals, once each, and remembered.

OpenAI-compatible endpoints differ in what they take. Reasoning models refuse `temperature` and want the answer's
length as `max_completion_tokens`, others refuse `reasoning_effort`; some chat templates know no system message.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from rewardsmith.llm.records import Message, Request

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletionMessageParam


@dataclass(frozen=True)
class Dialect:
    """What is known of an endpoint's way."""

    temperature: bool = True
    """It takes a temperature."""
    effort: bool = True
    """It takes a reasoning effort."""
    length: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """What it calls the bound of an answer's length."""
    system: bool = True
    """It takes a system message."""

    def taught(self, refusal: str, request: Request) -> Dialect | None:
        """Return the dialect that a refused request teaches; None where the refusal is about something else.

        Args:
            refusal: the endpoint's words.
            request: what was refused when said in this dialect.
        """
        words = refusal.lower()
        if "max_completion_tokens" in words and self.length == "max_tokens":
            return replace(self, length="max_completion_tokens")
        if "temperature" in words and self.temperature and request.temperature is not None:
            return replace(self, temperature=False)
        if "effort" in words and self.effort and request.reasoning_effort is not None:
            return replace(self, effort=False)
        if "system" in words and "role" in words and self.system:
            return replace(self, system=False)
        return None

    def joined(self, other: Dialect) -> Dialect:
        """Return what this and another dialect have learnt together."""
        renamed = "max_completion_tokens" in (self.length, other.length)
        return Dialect(
            temperature=self.temperature and other.temperature,
            effort=self.effort and other.effort,
            length="max_completion_tokens" if renamed else "max_tokens",
            system=self.system and other.system,
        )

    def messages(self, request: Request) -> list[ChatCompletionMessageParam]:
        """Return the messages as they are sent."""
        messages = list(request.messages)
        if not self.system:
            messages = _without_system(messages)
        return [_param(message) for message in messages]


def _without_system(messages: list[Message]) -> list[Message]:
    """Put the system message's text at the head of the first user message."""
    rules = [message.content for message in messages if message.role == "system"]
    rest = [message for message in messages if message.role != "system"]
    if rules and rest and rest[0].role == "user":
        rest[0] = Message("user", "\n\n".join([*rules, rest[0].content]))
        return rest
    return [Message("user", "\n\n".join(rules)), *rest] if rules else rest


def _param(message: Message) -> ChatCompletionMessageParam:
    if message.role == "system":
        return {"role": "system", "content": message.content}
    if message.role == "assistant":
        return {"role": "assistant", "content": message.content}
    return {"role": "user", "content": message.content}
