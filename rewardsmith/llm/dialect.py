"""How an endpoint wants a request said: learned from its refusals, once each, and remembered.

OpenAI-compatible endpoints differ in what they take. Reasoning models refuse `temperature` and want the answer's
length as `max_completion_tokens`, others refuse `reasoning_effort`; some chat templates know no system message, and
many models see no pictures.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from rewardsmith.llm.messages import Message, Request

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletionContentPartParam, ChatCompletionMessageParam


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
    pictures: bool = True
    """It takes pictures."""

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
        if self.pictures and has_pictures(request) and _is_about_pictures(words):
            return replace(self, pictures=False)
        return None

    def joined(self, other: Dialect) -> Dialect:
        """Return what this and another dialect have learnt together."""
        renamed = "max_completion_tokens" in (self.length, other.length)
        return Dialect(
            temperature=self.temperature and other.temperature,
            effort=self.effort and other.effort,
            length="max_completion_tokens" if renamed else "max_tokens",
            system=self.system and other.system,
            pictures=self.pictures and other.pictures,
        )

    def messages(self, request: Request, home: Path) -> list[ChatCompletionMessageParam]:
        """Return the messages as they are sent.

        Args:
            request: what is wanted.
            home: the folder that the files of pictures are named from.

        Raises:
            OSError: if a picture cannot be read.
        """
        messages = list(request.messages)
        if not self.system:
            messages = _without_system(messages)
        if not self.pictures:
            messages = [replace(message, pictures=()) for message in messages]
        return [_param(message, home) for message in messages]


def has_pictures(request: Request) -> bool:
    """Return whether any message of a request has one."""
    return any(message.pictures for message in request.messages)


def _is_about_pictures(words: str) -> bool:
    """Return whether a refusal, in lower case, says that the endpoint takes text alone."""
    named = any(word in words for word in ("image", "vision", "multimodal", "multi-modal"))
    return named or ("content" in words and "string" in words)


def _without_system(messages: list[Message]) -> list[Message]:
    """Put the system message's text at the head of the first user message."""
    rules = [message.content for message in messages if message.role == "system"]
    rest = [message for message in messages if message.role != "system"]
    if rules and rest and rest[0].role == "user":
        rest[0] = replace(rest[0], content="\n\n".join([*rules, rest[0].content]))
        return rest
    return [Message("user", "\n\n".join(rules)), *rest] if rules else rest


def _param(message: Message, home: Path) -> ChatCompletionMessageParam:
    if message.role == "system":
        return {"role": "system", "content": message.content}
    if message.role == "assistant":
        return {"role": "assistant", "content": message.content}
    if not message.pictures:
        return {"role": "user", "content": message.content}
    parts: list[ChatCompletionContentPartParam] = [{"type": "text", "text": message.content}]
    for picture in message.pictures:
        data = base64.b64encode((home / picture.file).read_bytes()).decode()
        parts.append({"type": "text", "text": picture.label})
        parts.append({"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}})
    return {"role": "user", "content": parts}
