from __future__ import annotations

import json

import pytest

from rewardsmith.llm.refusals import parse_refusal

PAGE = "<!DOCTYPE html><html><head><title>524: A timeout occurred</title></head><body>" + "<div>x</div>" * 200
LITELLM = (
    "litellm.BadRequestError: OpenAIException - Error code: 400 - {'message': \"This model's "
    "maximum context length is 8192 tokens\", 'code': 400}. Received Model Group=small\nAvailable "
    "Model Group Fallbacks=None"
)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"error": {"message": "Provider returned error", "metadata": {"raw": "out of memory", "provider_name": "X"}}},
         "Provider returned error: out of memory"),
        ({"error": {"message": "Provider returned error", "metadata": {"raw": '{"error": {"message": "busy"}}'}}},
         "Provider returned error: busy"),
        ({"error": {"message": "Provider returned error", "metadata": {"raw": {"detail": "busy"}}}},
         "Provider returned error: busy"),
        ({"error": {"error": {"message": "inner"}}}, "inner"),
        ({"error": "a string"}, "a string"),
        ({"errors": [{"message": "one"}, {"message": "two"}]}, "one; two"),
        ({"object": "error", "message": "flat", "code": 400}, "flat"),
        ([{"error": {"code": 429, "message": "Google's list"}}], "Google's list"),
        ({"detail": [{"loc": ["body", "top_k"], "msg": "Extra inputs are not permitted"}]},
         "body.top_k: Extra inputs are not permitted"),
        ({"error": {"message": LITELLM, "code": "400"}}, "This model's maximum context length is 8192 tokens"),
        ({"error": {"message": "litellm.RateLimitError: VertexAIException - b'{\"error\": {\"message\": \"slow\"}}'"}},
         "slow"),
        ({"error": {"message": PAGE}}, "524: A timeout occurred"),
        (PAGE, "524: A timeout occurred"),
        ("<html><body><h1>Bad &amp; Gone</h1></body></html>", "Bad & Gone"),
        ("upstream connect error", "upstream connect error"),
        ("", ""),
        ({}, "{}"),
        (None, ""),
    ],
)  # fmt: skip
def test_the_reason_is_found_wherever_a_server_puts_it(body: object, words: str) -> None:
    assert parse_refusal(500, body if isinstance(body, str) else json.dumps(body), {}).words == words


@pytest.mark.parametrize(
    ("body", "seconds"),
    [
        ({"error": {"message": "Rate limit reached. Please try again in 20s. Visit the page"}}, 20.0),
        ({"error": {"message": "Please try again in 1m30.5s"}}, 90.5),
        ({"error": {"message": "Try again in 250ms."}}, 0.25),
        ({"error": {"message": "Please retry after 3 seconds."}}, 3.0),
        ({"error": {"message": "quota; Please retry in 13.4s."}}, 13.4),
        ([{"error": {"code": 429, "details": [{"@type": "RetryInfo", "retryDelay": "13s"}]}}], 13.0),
        ({"error": {"message": "slow down", "retry_after": 7}}, 7.0),
        ({"error": {"message": "slow down", "retry_after_ms": 1500}}, 1.5),
        ({"retry_after": 10**400}, None),
        ({"retry_after": -5}, None),
        ({"error": {"message": "limit of 30 requests per minute"}}, None),
        ({"error": {"message": "try again later, you used 30000 tokens"}}, None),
    ],
)
def test_the_wait_that_a_body_names_is_read(body: object, seconds: float | None) -> None:
    assert parse_refusal(429, json.dumps(body), {}).wait_s == seconds


def test_the_wait_of_the_headers_comes_before_that_of_the_words() -> None:
    body = json.dumps({"error": {"message": "try again in 20s"}})
    assert parse_refusal(429, body, {"retry-after": "5"}).wait_s == 5.0


@pytest.mark.parametrize("code", ["²", "①②③", "502²", "", [], {"a": 1}, 10**400, True, None], ids=str)
def test_a_code_that_is_no_status_is_no_status(code: object) -> None:
    from rewardsmith.llm.refusals import build_refusal_error

    assert build_refusal_error(200, {"error": {"message": "x", "code": code}}).refusal.status == 502
