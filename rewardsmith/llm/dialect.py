"""Variants of the request that an endpoint accepts: learned from its refusals, once each, and remembered.

OpenAI-compatible endpoints differ in what they take. Reasoning models refuse `temperature` and want the answer's
length as `max_completion_tokens`, others refuse `reasoning_effort`; some chat templates know no system message, and
many models see no pictures.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from rewardsmith.llm.messages import Message, Request
from rewardsmith.llm.refusals import Refusal

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletionContentPartParam, ChatCompletionMessageParam

PARAMETER_REFUSALS = (400, 404, 415, 422)
"""The statuses with which servers refuse a parameter, or pictures; others do when their words say so."""
NEVER_ABOUT_PARAMETERS = (401, 402, 403, 407, 429)

_OTHER_NAMES = re.compile(r"(expected one of|allowed (fields|parameters|values)|supported parameters).*", re.DOTALL)
"""Other parameters that a refusal lists beside the one that it is about."""
_REFUSING = re.compile(
    r"not (be )?(support|allow|permit|enabl|implement|accept|recogni|valid)|n't (support|allow|accept)|unsupported|"
    r"unrecogni[sz]ed|unknown|unexpected|invalid|deprecated|extra (input|field)|only|must|cannot|exception"
)
_OUT_OF_RANGE = re.compile(r"less than or equal|greater than or equal|between|range|at most|at least|<=|>=")
_SYSTEM_ROLE = re.compile(
    r"system.{0,3}[\s_]*(role|message|prompt|instruction)|role\W{0,12}system|"
    r"developer (role|message|instruction)|(support|accept|allow)\w*\W{1,3}(the )?\W?system\b|"
    r"messages\W{0,3}\[?\d*\]?\W{0,3}role"
)
_ROLE_ORDER = re.compile(
    r"roles? (must|should|have to|need to) (strictly )?alternat|alternat\w+ (between )?\W?user|"
    r"only [\w ,`'\"/&]{1,60}roles? (are|is) (supported|allowed|accepted|permitted)|"
    r"(first|initial) message\W.{0,20}(must|should) (be|have|come)|must (start|begin) with (a |the )?\W?user|"
    r"unsupported role|unknown role|unexpected role|invalid role|unexpected message role"
)
_TEMPLATE = re.compile(r"jinja|templateerror|raise_exception|chat[ _]template|template error|prompt template")
_EFFORT = re.compile(
    r"effort|(support|allow|enabl)\w* (thinking|reasoning)|(thinking|reasoning)\b.{0,20}not (support|enabl)"
)
_LENGTH = re.compile(r"\bmax_tokens\b")
_TOO_LONG = re.compile(r"too (large|long|many|big|high)|exceed|maximum|at most|context|less than|greater than|>|<")


@dataclass(frozen=True)
class Dialect:
    """The variant of a request that an endpoint accepts, as far as it is known."""

    temperature: bool = True
    """Whether the endpoint takes a temperature."""
    effort: bool = True
    """Whether it takes a reasoning effort."""
    length: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """Its parameter for the bound of an answer's length."""
    system: bool = True
    """Whether it takes a system message."""
    pictures: bool = True
    """Whether it takes pictures."""

    def learn_from_refusal(self, refusal: Refusal, request: Request) -> Dialect | None:
        """Return the dialect to try after a refusal; None where the refusal is about something else.

        Args:
            refusal: what the endpoint said.
            request: the request that was refused in this dialect.
        """
        if refusal.begun or refusal.status in NEVER_ABOUT_PARAMETERS:
            return None
        words = _OTHER_NAMES.sub("", refusal.details.lower())
        if refusal.status not in PARAMETER_REFUSALS and not _REFUSING.search(words):
            return None
        if self._refuses_length(words, request):
            return replace(self, length="max_completion_tokens")
        if self.temperature and request.temperature is not None and _refuses_temperature(words):
            return replace(self, temperature=False)
        if self.effort and request.reasoning_effort is not None and _EFFORT.search(words):
            return replace(self, effort=False)
        if self.system and has_system_message(request) and _refuses_system_role(words):
            return replace(self, system=False)
        if self.pictures and has_pictures(request) and _is_about_pictures(words):
            return replace(self, pictures=False)
        return None

    def guess_from_silence(self, refusal: Refusal, request: Request) -> Dialect | None:
        """Return the dialect to try after an internal error without a reason; None if there is nothing to guess.

        A chat template that fails on the system message ends in such an error behind some servers.
        """
        silent = refusal.status == 500 and not refusal.hidden and _is_silent(refusal.words)
        return replace(self, system=False) if silent and self.system and has_system_message(request) else None

    def _refuses_length(self, words: str, request: Request) -> bool:
        """Return whether the bound of the length is wanted under its other name."""
        if self.length != "max_tokens" or request.max_tokens is None:
            return False
        return "max_completion_tokens" in words or bool(
            _LENGTH.search(words) and _REFUSING.search(words) and not _TOO_LONG.search(words)
        )

    def join(self, other: Dialect) -> Dialect:
        """Combine what this and another dialect have learned."""
        renamed = "max_completion_tokens" in (self.length, other.length)
        return Dialect(
            temperature=self.temperature and other.temperature,
            effort=self.effort and other.effort,
            length="max_completion_tokens" if renamed else "max_tokens",
            system=self.system and other.system,
            pictures=self.pictures and other.pictures,
        )

    def describe_losses(self, other: Dialect) -> tuple[str, ...]:
        """Describe what the other dialect no longer takes of what the user chose or would see."""
        losses = (
            (self.temperature and not other.temperature, "temperature; llm.temperature is left out"),
            (self.effort and not other.effort, "such reasoning effort; llm.reasoning_effort is left out"),
            (self.pictures and not other.pictures, "pictures; it is told in words alone"),
        )
        return tuple(words for lost, words in losses if lost)

    def build_messages(self, request: Request, home: Path) -> list[ChatCompletionMessageParam]:
        """Build the messages as they are sent.

        Args:
            request: the request to send.
            home: the folder that the files of pictures are named from.

        Raises:
            OSError: if a picture cannot be read.
        """
        messages = list(request.messages)
        if not self.system:
            messages = _merge_system_message(messages)
        if not self.pictures:
            messages = [replace(message, pictures=()) for message in messages]
        return [_to_param(message, home) for message in messages]


def has_system_message(request: Request) -> bool:
    """Return whether any message of a request is the system's."""
    return any(message.role == "system" for message in request.messages)


def has_pictures(request: Request) -> bool:
    """Return whether any message of a request has one."""
    return any(message.pictures for message in request.messages)


def _refuses_temperature(words: str) -> bool:
    """Return whether no temperature is taken; one that is too high is the user's to change."""
    return "temperature" in words and not _OUT_OF_RANGE.search(words)


def _refuses_system_role(words: str) -> bool:
    """Return whether a refusal, in lower case, comes from a chat template without a system message."""
    named = _SYSTEM_ROLE.search(words) and _REFUSING.search(words)
    return bool(named or _ROLE_ORDER.search(words) or _TEMPLATE.search(words))


def _is_silent(words: str) -> bool:
    """Return whether an internal error gives no reason."""
    plain = re.sub(r"[^a-z ]", " ", words.lower()).split()
    return set(plain) <= {
        "internal",
        "server",
        "error",
        "an",
        "occurred",
        "unknown",
        "occured",
        "something",
        "went",
        "wrong",
    }


def _is_about_pictures(words: str) -> bool:
    """Return whether a refusal, in lower case, means that the endpoint takes no pictures."""
    named = any(word in words for word in ("image", "vision", "multimodal", "multi-modal"))
    return named or ("content" in words and "string" in words)


def _merge_system_message(messages: list[Message]) -> list[Message]:
    """Put the system message's text at the head of the first user message."""
    rules = [message.content for message in messages if message.role == "system"]
    rest = [message for message in messages if message.role != "system"]
    if rules and rest and rest[0].role == "user":
        rest[0] = replace(rest[0], content="\n\n".join([*rules, rest[0].content]))
        return rest
    return [Message("user", "\n\n".join(rules)), *rest] if rules else rest


def _to_param(message: Message, home: Path) -> ChatCompletionMessageParam:
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
