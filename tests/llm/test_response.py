"""Any body of a successful response is an answer, or one of the module's errors."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewardsmith.llm.messages import ModelAnswer
from rewardsmith.llm.refusals import RequestRefused, parse_refusal
from rewardsmith.llm.response import NoCompletion, parse_completion, parse_model_names


def body(message: object, finish: object = "stop", **more: object) -> str:
    return json.dumps({"choices": [{"finish_reason": finish, "message": message, **more}]})


@pytest.mark.parametrize(
    ("finish", "meaning"),
    [
        *((finish, "stop") for finish in (None, "", "stop", "STOP", "eos", "end_turn", "stop_sequence", "tool_calls")),
        *(
            (finish, "stop")
            for finish in ("FINISH_REASON_STOP", "COMPLETE", "eos_token", "function_call", {"type": "eos"})
        ),
        *(
            (finish, "length")
            for finish in ("length", "max_tokens", "MAX_TOKENS", "model_length", "FINISH_REASON_MAX_TOKENS")
        ),
        *((finish, "refusal") for finish in ("content_filter", "SAFETY", "PROHIBITED_CONTENT", "refusal", "sensitive")),
        ("gone-fishing", "gone-fishing"),
    ],
)
def test_every_servers_word_for_the_end_of_an_answer_is_understood(finish: object, meaning: str) -> None:
    assert parse_completion(body({"content": "hi"}, finish)).finish == meaning


@pytest.mark.parametrize(
    "finish", ["error", "ERROR", "abort", "cancelled", "network_error", "insufficient_system_resource"]
)
def test_an_answer_that_broke_off_is_a_lost_attempt_that_may_be_billed(finish: str) -> None:
    with pytest.raises(RequestRefused, match="upstream died") as caught:
        parse_completion(body({"content": "half a te"}, finish, error={"code": 400, "message": "upstream died"}))
    assert (caught.value.refusal.status, caught.value.refusal.begun) == (502, True)


def test_an_error_beside_a_finished_text_is_a_lost_attempt_too() -> None:
    with pytest.raises(RequestRefused, match="upstream died"):
        parse_completion(body({"content": "half a te"}, "stop", error="upstream died"))


@pytest.mark.parametrize(
    ("message", "finish", "text"),
    [
        ({"content": ""}, "empty", ""),
        ({"content": None}, "empty", ""),
        ({}, "empty", ""),
        (None, "empty", ""),
        ({"content": "", "reasoning": "thought"}, "reasoning", ""),
        ({"content": None, "reasoning_content": "thought"}, "reasoning", ""),
        ({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]}, "reasoning", ""),
        ({"content": "hi", "reasoning": "thought"}, "stop", "hi"),
        ({"content": [{"type": "reasoning", "text": "hm"}, {"type": "text", "text": "hi"}]}, "stop", "hi"),
        ({"content": ["a", {"text": {"value": "b"}}]}, "stop", "ab"),
        ({"content": {"type": "text", "text": "hi"}}, "stop", "hi"),
        ({"content": None, "refusal": "no"}, "refusal", "no"),
        ({"content": [{"type": "refusal", "refusal": "no"}]}, "refusal", "no"),
        ({"content": "hi", "refusal": ""}, "stop", "hi"),
    ],
)
def test_the_text_of_a_message_is_found_in_each_of_its_forms(message: object, finish: str, text: str) -> None:
    answer = parse_completion(body(message))
    assert (answer.finish, answer.text) == (finish, text)


@pytest.mark.parametrize(
    ("count", "read"),
    [
        *((7, 7), (7.0, 7), (7.5, None), (10**400, None), (-1, None), (True, None), ("7", None)),
        *((float("nan"), None), (float("inf"), None), (None, None), ([7], None)),
    ],
    ids=str,
)
def test_a_count_of_tokens_that_none_can_have_is_unknown(count: object, read: int | None) -> None:
    usage = {"prompt_tokens": count, "completion_tokens": count}
    reply = json.dumps({"choices": [{"message": {"content": "hi"}}], "usage": usage})
    answer = parse_completion(reply)
    assert (answer.tokens_in, answer.tokens_out) == (read, read)


@pytest.mark.parametrize(
    "reply",
    [
        '{"choices": ' + "[" * 100_000,
        '{"choices": ' + "[" * 500 + "]" * 500 + "}",
        body({"content": json.loads("[" * 400 + "]" * 400)}),
        '{"usage": {"prompt_tokens": ' + "9" * 10_000 + "}}",
        "",
        "null",
        "\ufeff",
        "<html><head><title>504 Gateway Time-out</title></head></html>",
        "data: {}\n\n",
    ],
    ids=["endless", "deep", "deep content", "long number", "nothing", "null", "mark", "page", "stream"],
)
def test_a_body_that_is_no_completion_ends_in_one_short_line(reply: str) -> None:
    with pytest.raises(NoCompletion) as caught:
        parse_completion(reply)
    assert len(str(caught.value)) < 300
    assert parse_model_names(reply) == ()


def test_a_page_is_told_by_its_title() -> None:
    with pytest.raises(NoCompletion, match="'504 Gateway Time-out'"):
        parse_completion("<!DOCTYPE html>\n<html><head><title>504 Gateway Time-out</title></head><body>x</body></html>")


def test_comments_and_a_byte_order_mark_before_the_body_are_skipped() -> None:
    assert parse_completion("\ufeff\n: OPENROUTER PROCESSING\n\n: more\n" + body({"content": "hi"})).text == "hi"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
FIELDS = (
    "choices", "message", "content", "text", "type", "error", "code", "status", "usage", "prompt_tokens", "metadata",
    "raw", "finish_reason", "refusal", "reasoning", "detail", "loc", "msg", "retry_after", "retryDelay", "data", "id",
)  # fmt: skip
ENVELOPES = st.recursive(
    JSON | st.sampled_from(["error", "stop", "text", "²", "13s", "<html>", "{'a': [", "b'{", "litellm.X: Y - {"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=5),
    max_leaves=20,
)
REPLIES = ENVELOPES | st.fixed_dictionaries(
    {"choices": st.lists(st.fixed_dictionaries({"finish_reason": ENVELOPES, "message": ENVELOPES}), max_size=2)}
)


@given(REPLIES)
def test_any_json_as_a_reply_is_an_answer_or_an_error_of_ours(reply: object) -> None:
    text = json.dumps(reply)
    try:
        answer = parse_completion(text)
    except (NoCompletion, RequestRefused) as error:
        assert "\n" not in str(error)
    else:
        assert isinstance(answer, ModelAnswer)
        answer.text.encode()
    parse_model_names(text)


@given(REPLIES | st.text(), st.sampled_from([301, 400, 404, 429, 500, 503]), st.text(max_size=12))
def test_any_body_of_a_refusal_is_read(reply: object, status: int, wait: str) -> None:
    text = reply if isinstance(reply, str) else json.dumps(reply)
    refusal = parse_refusal(status, text, {"retry-after": wait})
    assert refusal.status == status
    assert "\n" not in refusal.words
    assert refusal.wait_s is None or refusal.wait_s >= 0.0


def test_an_answer_in_the_arguments_of_a_call_is_an_answer() -> None:
    call = {"id": "1", "type": "function", "function": {"name": "write", "arguments": '{"code": "x = 1"}'}}
    answer = parse_completion(body({"content": None, "tool_calls": [call]}, "tool_calls"))
    assert (answer.text, answer.finish) == ('{"code": "x = 1"}', "stop")
    older = parse_completion(body({"content": "", "function_call": {"name": "f", "arguments": {"code": "y"}}}))
    assert older.text == '{"code": "y"}'
    spoken = parse_completion(body({"content": "hi", "tool_calls": [call]}))
    assert spoken.text == "hi"


def stream(*deltas: dict[str, object], end: str = "data: [DONE]\n\n", **more: object) -> str:
    """Return a completion as the stream of its pieces."""
    events = [json.dumps({"choices": [{"delta": delta}], **more}) for delta in deltas]
    return "".join(f"data: {event}\n\n" for event in events) + end


def test_an_answer_that_comes_as_a_stream_nobody_asked_for_is_joined() -> None:
    pieces: list[dict[str, object]] = [{"role": "assistant", "content": ""}, {"content": "h\u2028"}, {"content": "i"}]
    answer = parse_completion(": ping\n\n" + stream(*pieces, usage={"prompt_tokens": 7, "completion_tokens": 3}))
    assert answer == ModelAnswer("h\u2028i", "stop", 7, 3)
    cut = 'data: {"choices": [{"delta": {}, "finish_reason": "length"}]}\n'
    assert parse_completion(stream(*pieces, end=cut)).finish == "length"
    assert parse_completion(stream({"reasoning_content": "hm"})).finish == "reasoning"
    assert parse_completion("event: message\ndata: " + body({"content": "whole"}) + "\n\n").text == "whole"


@pytest.mark.parametrize("end", ["", 'data: {"choices": [{"del', 'data: {"error": {"message": "the worker died"}}\n\n'])
def test_a_stream_that_ends_in_the_middle_is_a_lost_attempt(end: str) -> None:
    with pytest.raises(RequestRefused, match="broke off") as caught:
        parse_completion(stream({"content": "half"}, end=end))
    assert caught.value.refusal.begun


def test_a_body_that_ends_in_the_middle_is_a_lost_attempt() -> None:
    with pytest.raises(RequestRefused, match="ends in the middle") as caught:
        parse_completion(body({"content": "half"})[:-9])
    assert caught.value.refusal.begun
