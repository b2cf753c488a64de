"""Parser of the body of a chat completion, which servers write in several ways; it recognises what is no answer.

Any body ends in a `ModelAnswer` or in one of the two errors: `NoCompletion`, or `refusals.RequestRefused`.
"""

from __future__ import annotations

import json
import re

from rewardsmith.llm.bounded_json import get_field, parse_json
from rewardsmith.llm.event_stream import join_events
from rewardsmith.llm.messages import ModelAnswer
from rewardsmith.llm.prompts import to_one_line
from rewardsmith.llm.refusals import build_lost_answer_error, build_refusal_error, shorten_page

SHOWN_CHARS = 200
_EVENT_START = re.compile(r"(data|event|id|retry):")
_COMPLETION_START = re.compile(r'\s*\{\s*"(?:id|object|created|model|choices)"\s*:')
MAX_TOKENS = 10**9
"""Largest count of tokens that is believed."""

FINISH_WORDS = {
    "stop": (
        "", "none", "null", "stop", "stopped", "eos", "eos_token", "end", "end_turn", "end_of_turn", "stop_sequence",
        "complete", "completed", "finished", "success", "unspecified", "tool_calls", "tool_use", "function_call",
    ),
    "length": (
        "length", "max_tokens", "max_output_tokens", "max_completion_tokens", "max_length", "max_new_tokens",
        "model_length", "model_context_window_exceeded", "context_length", "context_length_exceeded",
        "context_window_exceeded", "token_limit", "error_limit", "limit", "incomplete",
    ),
    "refusal": (
        "content_filter", "content_filtered", "refusal", "safety", "recitation", "prohibited_content", "blocklist",
        "spii", "sensitive", "guardrail_intervened", "guardrails", "moderation", "error_toxic",
    ),
    "lost": (
        "error", "abort", "aborted", "cancel", "cancelled", "canceled", "failed", "failure", "timeout", "timed_out",
        "network_error", "insufficient_system_resource", "engine_overloaded", "engine_error", "server_error",
        "disconnect", "interrupted", "preempted", "other", "malformed_function_call",
    ),
}  # fmt: skip
"""What the words of OpenAI, Anthropic, Google, Mistral, Cohere, DeepSeek, Zhipu, vLLM, SGLang, TGI, llama.cpp and
OpenRouter for the end of an answer mean; "lost" is one that broke off."""
_FINISH = {word: meaning for meaning, words in FINISH_WORDS.items() for word in words}


class NoCompletion(Exception):
    """Raised when the body of a success is no chat completion."""


def parse_completion(body: str) -> ModelAnswer:
    """Parse the answer in a response's body.

    >>> parse_completion('{"choices": [{"finish_reason": "stop", "message": {"content": "hi"}}]}').text
    'hi'

    Raises:
        NoCompletion: if the body is no chat completion.
        RequestRefused: if it is an error under the status of a success, or an answer that broke off.
    """
    text = _skip_comments(body)
    is_stream = _EVENT_START.match(text) is not None
    try:
        data = join_events(text) if is_stream else parse_json(text)
    except ValueError as error:
        if isinstance(error, json.JSONDecodeError) and (is_stream or _is_cut_off(body)):
            raise build_lost_answer_error(None) from None
        raise NoCompletion(f"{shorten_page(body, SHOWN_CHARS)!r}") from None
    if is_stream and data is None:
        raise build_lost_answer_error(None)
    choices = get_field(data, "choices")
    if isinstance(choices, list) and choices:
        return _parse_choice(choices[0], get_field(data, "usage"))
    if _is_error(data):
        raise build_refusal_error(200, data)
    raise NoCompletion(f"it has no choices: {to_one_line(body, SHOWN_CHARS)!r}")


def parse_model_names(body: str) -> tuple[str, ...]:
    """Parse the names in a list of models, sorted; empty where the body is no such list.

    >>> parse_model_names('{"data": [{"id": "b"}, {"id": "a"}]}')
    ('a', 'b')
    """
    try:
        listed = get_field(parse_json(body), "data")
    except ValueError:
        return ()
    names = (get_field(model, "id") for model in listed) if isinstance(listed, list) else ()
    return tuple(sorted(_replace_surrogates(name) for name in names if isinstance(name, str)))


def _is_cut_off(body: str) -> bool:
    """Return whether a body begins as a chat completion does and ends within it."""
    return _COMPLETION_START.match(body) is not None and not body.rstrip().endswith("}")


def _is_error(data: object) -> bool:
    """Return whether a body without choices has an error message."""
    words = [get_field(data, name) for name in ("message", "msg", "detail")]
    return bool(get_field(data, "error") or get_field(data, "errors")) or any(
        isinstance(word, str) and word for word in words
    )


def _skip_comments(body: str) -> str:
    """Return a body from its first line that is neither blank nor a comment, with which gateways keep a line open."""
    lines = body.lstrip("\ufeff \t\r\n")
    while lines.startswith(":"):
        lines = lines.partition("\n")[2].lstrip()
    return lines


def _parse_choice(choice: object, usage: object) -> ModelAnswer:
    """Parse the answer in the first of the choices."""
    message = get_field(choice, "message")
    content = get_field(message, "content")
    text = _join_content(content) or _join_content(get_field(choice, "text")) or _join_call_arguments(message)
    finish = _parse_finish(get_field(choice, "finish_reason"))

    # The provider was lost after the status of a success had been sent.
    error = get_field(choice, "error") or get_field(message, "error")
    if finish == "lost" or error:
        raise build_lost_answer_error(error, str(get_field(choice, "finish_reason"))[:40])

    refusal = get_field(message, "refusal") or _find_refusal_part(content)
    if isinstance(refusal, str) and refusal.strip():
        text, finish = refusal, "refusal"
    elif finish == "refusal":
        text = text if text.strip() else "the endpoint's content filter withheld the answer"
    elif not text.strip() and finish != "length":
        finish = "reasoning" if _has_reasoning(message) else "empty"
    return ModelAnswer(
        _replace_surrogates(text), finish, _read_count(usage, "prompt_tokens"), _read_count(usage, "completion_tokens")
    )


def _parse_finish(reason: object) -> str:
    """Return the meaning of a finish reason; a word that is not known stays as it is.

    >>> [_parse_finish(reason) for reason in (None, "MAX_TOKENS", "FINISH_REASON_STOP", "abort", "gone-home")]
    ['stop', 'length', 'stop', 'lost', 'gone-home']
    """
    if not isinstance(reason, str):
        reason = get_field(reason, "type")  # {"type": "eos"}, as some servers wrap it
    word = to_one_line(reason, 60).lower().replace("-", "_").replace(" ", "_") if isinstance(reason, str) else ""
    return _FINISH.get(word.removeprefix("finish_reason_"), to_one_line(str(reason), 60))


def _join_content(content: object) -> str:
    """Return the text of a message's content: a string, or a list of parts; a reasoning's parts are none of it."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(_join_content(part) for part in content)
    if isinstance(content, dict) and content.get("type") in (None, "text", "output_text"):
        text = content.get("text")
        return _join_content(text.get("value") if isinstance(text, dict) else text)
    return ""


def _join_call_arguments(message: object) -> str:
    """Return the arguments of the tools that a message calls: a model that answers so has written its answer there."""
    calls = get_field(message, "tool_calls")
    functions = [get_field(call, "function") for call in calls] if isinstance(calls, list) else []
    arguments = [get_field(called, "arguments") for called in [*functions, get_field(message, "function_call")]]
    texts = [value if isinstance(value, str) else json.dumps(value) for value in arguments if value]
    return "\n".join(texts)


def _find_refusal_part(content: object) -> object:
    """Return the refusal among a content's parts; None if no part is a refusal."""
    parts = content if isinstance(content, list) else [content]
    refusals = (get_field(part, "refusal") for part in parts if get_field(part, "type") == "refusal")
    return next(refusals, None)


def _has_reasoning(message: object) -> bool:
    """Return whether a message has its text in the field for reasoning."""
    content = get_field(message, "content")
    parts = content if isinstance(content, list) else []
    fields = (get_field(message, name) for name in ("reasoning_content", "reasoning", "reasoning_details", "thinking"))
    return any(fields) or any(get_field(part, "type") in ("thinking", "reasoning") for part in parts)


def _replace_surrogates(text: str) -> str:
    """Return the text without lone surrogates, which JSON can carry and a file cannot."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _read_count(usage: object, name: str) -> int | None:
    """Return a count of tokens; None where it is no number that a call can have."""
    value = get_field(usage, name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MAX_TOKENS:
        return None
    return int(value) if value == int(value) else None
