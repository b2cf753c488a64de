"""A request that an endpoint refuses is sent again in another dialect; only the refused part changes."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from rewardsmith.llm import Message, Request
from rewardsmith.llm.dialect import Dialect
from rewardsmith.llm.refusals import Refusal, parse_refusal

REQUEST = Request("small", (Message("system", "rules"), Message("user", "hello")), 1.0, 100, "high")
START = Dialect()


def learn(words: str, status: int = 400, dialect: Dialect = START) -> Dialect | None:
    return dialect.learn_from_refusal(Refusal(status, words, details=words), REQUEST)


@pytest.mark.parametrize("status", [400, 422, 500, 502])
@pytest.mark.parametrize(
    "words",
    [
        "System role not supported",
        "Conversation roles must alternate user/assistant/user/assistant/...",
        "After the optional system message, conversation roles must alternate user and assistant roles",
        "Jinja Exception: Only user and assistant roles are supported!",
        "jinja2.exceptions.TemplateError: Conversation roles must alternate",
        "Only user, assistant and tool roles are supported, got system.",
        "only user and assistant roles are supported",
        'Error rendering prompt with jinja template: "System role not supported"',
        "Developer instruction is not enabled for models/gemma-3-27b-it",
        "Unsupported value: 'messages[0].role' does not support 'system' with this model.",
        'messages: Unexpected role "system". The Messages API accepts a top-level `system` parameter',
        "This model does not support system messages",
        "system prompt is not allowed for this model",
        "litellm.BadRequestError: OpenAIException - Unknown role: system",
        "First message must be from the user role",
        "In order to use this template the conversation must start with a user message",
    ],
)
def test_a_refused_system_message_goes_into_the_first_message_of_the_user(words: str, status: int) -> None:
    assert learn(words, status) == replace(START, system=False)


@pytest.mark.parametrize("status", [400, 500])
@pytest.mark.parametrize(
    ("words", "change"),
    [
        ("Unsupported value: 'temperature' does not support 1.0 with this model.", {"temperature": False}),
        ("`temperature` is deprecated for this model.", {"temperature": False}),
        ("invalid temperature: only 0.6 is allowed for this model", {"temperature": False}),
        ("openai does not support parameters: ['temperature'], for model=o1", {"temperature": False}),
        ("Unrecognized request argument supplied: reasoning_effort", {"effort": False}),
        ('[{"loc": ["body", "reasoning_effort"], "msg": "Extra inputs are not permitted"}]', {"effort": False}),
        ('"small" does not support thinking', {"effort": False}),
        ("Thinking is not supported for this model", {"effort": False}),
        ("Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
         {"length": "max_completion_tokens"}),
        ("Unrecognized request argument supplied: max_tokens", {"length": "max_completion_tokens"}),
        ("unknown field `reasoning_effort`, expected one of `max_completion_tokens`, `temperature`", {"effort": False}),
    ],
)  # fmt: skip
def test_a_refused_parameter_is_renamed_or_left_out(words: str, change: dict[str, object], status: int) -> None:
    assert learn(words, status) == replace(START, **change)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ("temperature: Input should be less than or equal to 1", 400),
        ("max_tokens is too large: 8192. This model supports at most 4096 completion tokens", 400),
        ("max_tokens: 8192 > 4096, which is the maximum allowed number of output tokens", 400),
        ("the system is overloaded", 503),
        ("GPU temperature: 95 C", 503),
        ("Invalid API key; role system", 401),
        ("Rate limit; only 3 system messages are allowed", 429),
        ("context length exceeded", 400),
        ("unknown field `thinking`, expected one of `messages`, `reasoning_effort`, `temperature`", 400),
    ],
)
def test_a_refusal_about_something_else_teaches_nothing(words: str, status: int) -> None:
    assert learn(words, status) is None


def test_a_request_that_is_repeated_in_the_refusal_is_not_what_it_is_about() -> None:
    echo = {"temperature": 1.0, "messages": [{"role": "system", "content": "must"}]}
    detail = [{"type": "missing", "loc": ["body", "x"], "msg": "Field required", "input": echo}]
    assert START.learn_from_refusal(parse_refusal(422, json.dumps({"detail": detail}), {}), REQUEST) is None


def test_nothing_is_said_again_twice() -> None:
    once = learn("System role not supported")
    assert once is not None
    assert learn("System role not supported", dialect=once) is None


def test_a_request_without_a_system_message_has_nothing_to_leave_out() -> None:
    plain = replace(REQUEST, messages=REQUEST.messages[1:])
    refusal = Refusal(400, "x", details="Conversation roles must alternate")
    assert START.learn_from_refusal(refusal, plain) is None


@pytest.mark.parametrize(
    ("words", "guessed"),
    [("", True), ("Internal Server Error", True), ('{"error": "internal error"}', True), ("CUDA out of memory", False)],
)
def test_an_internal_error_without_a_reason_may_be_the_template(words: str, guessed: bool) -> None:
    guess = START.guess_from_silence(Refusal(500, words), REQUEST)
    assert guess == (replace(START, system=False) if guessed else None)
