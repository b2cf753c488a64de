from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest

from rewardsmith.contract.errors import ConfigError, ModelError, ModelRejected, ModelUnavailable
from rewardsmith.llm import Message, Picture, Request, find_key, retry
from rewardsmith.llm.client import Endpoint
from rewardsmith.search.concurrency import run_in_threads
from rewardsmith.spec.settings import LlmSettings

KEY = "sk-secret-0123456789"
URL = "http://model.test/v1"
REQUEST = Request("small", (Message("system", "rules"), Message("user", "hello")), 1.0, 100)
Handler = Callable[[httpx2.Request], httpx2.Response]


def endpoint(handler: Handler, *, retries: int = 3, notices: list[str] | None = None, home: Path = Path()) -> Endpoint:
    settings = LlmSettings(model="small", base_url=URL, retries=retries, timeout_s=5.0)
    notice = (lambda message: None) if notices is None else notices.append
    return Endpoint(settings, KEY, transport=httpx2.MockTransport(handler), notice=notice, home=home)


def answered(content: str | None = "hi", finish: str = "stop", **message: object) -> httpx2.Response:
    choice = {"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": content, **message}}
    return httpx2.Response(200, json={"choices": [choice], "usage": {"prompt_tokens": 7, "completion_tokens": 3}})


def refused(status: int, message: str, headers: dict[str, str] | None = None, **error: object) -> httpx2.Response:
    return httpx2.Response(status, json={"error": {"message": message, **error}}, headers=headers)


def script(responses: Iterable[httpx2.Response]) -> tuple[Handler, list[dict[str, object]]]:
    """Return a handler that gives the responses in order, and the list of bodies that it saw."""
    left, seen = iter(responses), []

    def handle(request: httpx2.Request) -> httpx2.Response:
        seen.append(json.loads(request.content))
        return next(left)

    return handle, seen


@pytest.fixture(autouse=True)
def no_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "FIRST_WAIT_S", 0.0)


def test_an_answer_comes_back_with_its_token_counts() -> None:
    handle, seen = script([answered()])
    answer = endpoint(handle).chat(REQUEST)
    assert (answer.text, answer.finish, answer.tokens_in, answer.tokens_out) == ("hi", "stop", 7, 3)
    assert seen == [
        {
            "model": "small",
            "messages": [{"role": "system", "content": "rules"}, {"role": "user", "content": "hello"}],
            "temperature": 1.0,
            "max_tokens": 100,
        }
    ]


def test_settings_of_none_are_not_sent() -> None:
    handle, seen = script([answered()])
    endpoint(handle).chat(Request("small", REQUEST.messages, None, None))
    assert set(seen[0]) == {"model", "messages"}


def test_a_rate_limit_is_waited_out_as_the_server_asks_and_told() -> None:
    handle, seen = script([refused(429, "slow down", {"retry-after": "0.01"}), answered()])
    notices: list[str] = []
    assert endpoint(handle, notices=notices).chat(REQUEST).text == "hi"
    assert len(seen) == 2
    assert "slow down" in notices[0]


def test_calls_that_fail_alike_say_so_once_for_each_attempt() -> None:
    def refuse(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("Connection refused")

    notices: list[str] = []
    down = endpoint(refuse, retries=2, notices=notices)
    failures = run_in_threads(lambda _: down.chat(REQUEST), range(4))
    assert [type(failure) for failure in failures] == [ModelUnavailable] * 4
    first, second = notices
    assert first.startswith("attempt 1 failed, the next comes in 0 s: cannot reach the language model")
    assert second == "attempt 2 failed for the same cause, the next comes in 0 s"


def test_an_endpoint_that_answered_and_fails_again_is_told_anew() -> None:
    down = httpx2.Response(503, json={"error": {"message": "maintenance"}})
    handle, _ = script([down, answered(), down, answered()])
    notices: list[str] = []
    twice = endpoint(handle, notices=notices)
    for _ in range(2):
        twice.chat(REQUEST)
    assert ["maintenance" in notice for notice in notices] == [True, True]


def test_an_endpoint_that_always_fails_is_given_up_after_the_retries() -> None:
    handle, seen = script([refused(500, "overloaded")] * 9)
    with pytest.raises(ModelUnavailable, match=r"model\.test.*status 500.*3 attempt.*overloaded"):
        endpoint(handle, retries=2).chat(REQUEST)
    assert len(seen) == 3


def test_a_server_that_asks_for_too_long_a_wait_is_given_up_at_once() -> None:
    handle, seen = script([refused(503, "maintenance", {"retry-after": "7200"})])
    with pytest.raises(ModelUnavailable, match="maintenance"):
        endpoint(handle).chat(REQUEST)
    assert len(seen) == 1


def test_a_refused_key_names_the_variable_and_is_not_tried_again() -> None:
    handle, seen = script([refused(401, f"Incorrect API key provided: {KEY}")])
    with pytest.raises(ModelRejected, match="OPENAI_API_KEY") as caught:
        endpoint(handle).chat(REQUEST)
    assert KEY not in str(caught.value)
    assert len(seen) == 1


def test_a_key_echoed_by_the_server_is_not_shown() -> None:
    handle, _ = script([refused(400, f"bad header Bearer {KEY}")])
    with pytest.raises(ModelRejected, match="bad header") as caught:
        endpoint(handle).chat(REQUEST)
    assert KEY not in str(caught.value)


def test_an_unknown_model_is_told_with_the_models_that_there_are() -> None:
    def handle(request: httpx2.Request) -> httpx2.Response:
        if request.url.path.endswith("/models"):
            return httpx2.Response(200, json={"data": [{"id": "large"}, {"id": "smaller"}]})
        return refused(404, "no such model", code="model_not_found")

    with pytest.raises(ModelRejected, match=r"no model 'small'.*'smaller', 'large'.*--model"):
        endpoint(handle).chat(REQUEST)


def test_a_wrong_address_is_told_where_nothing_is_listed() -> None:
    with pytest.raises(ModelRejected, match=r"OPENAI_BASE_URL.*/v1"):
        endpoint(lambda request: httpx2.Response(404, text="nothing here")).chat(REQUEST)


def test_a_closed_port_is_told_with_its_address_and_the_way_without_a_model() -> None:
    settings = LlmSettings(model="small", base_url="http://127.0.0.1:1/v1", retries=0)
    with pytest.raises(ModelUnavailable, match=r"127\.0\.0\.1:1.*refused.*symbolic"):
        Endpoint(settings, KEY).chat(REQUEST)


def test_a_silent_endpoint_is_told_with_the_time_it_had() -> None:
    def handle(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ReadTimeout("silence", request=request)

    with pytest.raises(ModelUnavailable, match=r"within 5 s in 2 attempt.*llm\.timeout_s"):
        endpoint(handle, retries=1).chat(REQUEST)


def test_an_account_without_credit_is_not_asked_again() -> None:
    handle, seen = script([refused(429, "quota exceeded", code="insufficient_quota")])
    with pytest.raises(ModelRejected, match="no credit left"):
        endpoint(handle).chat(REQUEST)
    assert len(seen) == 1


def test_a_refused_temperature_is_left_out_from_then_on() -> None:
    handle, seen = script([refused(400, "'temperature' does not support 1.0"), answered(), answered()])
    connection = endpoint(handle)
    connection.chat(REQUEST)
    connection.chat(REQUEST)
    assert ["temperature" in body for body in seen] == [True, False, False]


def test_the_length_is_renamed_where_the_endpoint_wants_it() -> None:
    words = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."
    handle, seen = script([refused(400, words), answered()])
    endpoint(handle).chat(REQUEST)
    assert seen[1]["max_completion_tokens"] == 100
    assert "max_tokens" not in seen[1]


def test_a_refused_system_role_moves_the_rules_into_the_first_message() -> None:
    handle, seen = script([refused(400, "System role not supported"), answered()])
    endpoint(handle).chat(REQUEST)
    assert seen[1]["messages"] == [{"role": "user", "content": "rules\n\nhello"}]


@pytest.fixture
def seen_picture(tmp_path: Path) -> Request:
    """A request with a picture in `tmp_path`."""
    (tmp_path / "stills").mkdir()
    (tmp_path / "stills" / "a.png").write_bytes(b"\x89PNG")
    picture = Picture.from_file("E1, step 4:", tmp_path / "stills" / "a.png", tmp_path)
    return Request("small", (Message("user", "look", (picture,)),), None, None)


def test_a_picture_follows_its_label_in_the_message(seen_picture: Request, tmp_path: Path) -> None:
    handle, seen = script([answered()])
    endpoint(handle, home=tmp_path).chat(seen_picture)
    assert seen[0]["messages"] == [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "look"},
                {"type": "text", "text": "E1, step 4:"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw=="}},
            ],
        }
    ]


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (400, "small is not a multimodal model"),
        (404, "No endpoints found that support image input"),
        (422, "messages.0.content: Input should be a valid string"),
    ],
)
def test_a_model_without_eyes_is_told_in_words_from_then_on_and_the_user_hears_of_it(
    seen_picture: Request, tmp_path: Path, status: int, words: str
) -> None:
    handle, seen = script([refused(status, words), answered(), answered()])
    notices: list[str] = []
    blind = endpoint(handle, notices=notices, home=tmp_path)
    assert [blind.chat(seen_picture).text for _ in range(2)] == ["hi", "hi"]
    assert [body["messages"] for body in seen[1:]] == [[{"role": "user", "content": "look"}]] * 2
    assert notices == ["the model 'small' takes no pictures; it is told in words alone"]


def test_an_answers_name_depends_on_what_a_picture_shows_and_not_on_where_it_lies(seen_picture: Request) -> None:
    (message,) = seen_picture.messages
    (picture,) = message.pictures

    def key(**changes: str) -> str:
        other = replace(message, pictures=(replace(picture, **changes),))
        return replace(seen_picture, messages=(other,)).key("analyzer", 0)

    assert key(file="b.png") == seen_picture.key("analyzer", 0)
    assert len({key(), key(digest="0"), key(label="E2, step 4:")}) == 3
    assert seen_picture.tokens_estimate > 500


def test_several_peculiarities_are_learnt_in_one_call() -> None:
    words = ["use max_completion_tokens", "temperature is deprecated"]
    handle, seen = script([*(refused(400, word) for word in words), answered()])
    endpoint(handle).chat(REQUEST)
    assert set(seen[2]) == {"model", "messages", "max_completion_tokens"}


def takes_no_system_message(status: int, reason: str) -> tuple[Handler, list[list[str]]]:
    """Return a handler that refuses requests with a system message, and the list of the roles that it saw."""
    seen: list[list[str]] = []

    def handle(request: httpx2.Request) -> httpx2.Response:
        seen.append([message["role"] for message in json.loads(request.content)["messages"]])
        return httpx2.Response(status, text=reason) if "system" in seen[-1] else answered()

    return handle, seen


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (400, '{"message": "Conversation roles must alternate user/assistant/user/assistant/...", "code": 400}'),
        (500, '{"error": {"code": 500, "message": "Jinja Exception: System role not supported"}}'),
        (500, "Internal Server Error"),
        (500, ""),
        (200, '{"error": "Error rendering prompt with jinja template: System role not supported"}'),
    ],
)
def test_a_template_without_a_system_message_is_asked_without_one_from_then_on(status: int, reason: str) -> None:
    handle, seen = takes_no_system_message(status, reason)
    connection = endpoint(handle, retries=0)
    assert [connection.chat(REQUEST).text for _ in range(2)] == ["hi", "hi"]
    assert seen == [["system", "user"], ["user"], ["user"]]


def test_an_internal_error_that_stays_without_the_system_message_changes_nothing() -> None:
    handle, seen = script([*[refused(500, "Internal Server Error")] * 2, answered(), answered()])
    connection = endpoint(handle)
    assert [connection.chat(REQUEST).text for _ in range(2)] == ["hi", "hi"]
    assert [len(body["messages"]) for body in seen] == [2, 1, 2, 2]  # type: ignore[arg-type]


def test_an_endpoint_that_took_a_system_message_is_not_asked_without_one() -> None:
    handle, seen = script([answered(), refused(500, "Internal Server Error"), answered()])
    connection = endpoint(handle)
    assert [connection.chat(REQUEST).text for _ in range(2)] == ["hi", "hi"]
    assert [len(body["messages"]) for body in seen] == [2, 2, 2]  # type: ignore[arg-type]


def test_a_setting_that_is_left_out_is_told_once() -> None:
    handle, _ = script([refused(400, "temperature is deprecated"), answered(), answered()])
    notices: list[str] = []
    connection = endpoint(handle, notices=notices)
    for _ in range(2):
        connection.chat(REQUEST)
    assert notices == ["the model 'small' takes no temperature; llm.temperature is left out"]


def test_a_half_answer_is_a_lost_attempt_that_is_tried_again() -> None:
    handle, seen = script([answered("def rew", "error"), answered()])
    lost: list[tuple[str, bool]] = []
    answer = endpoint(handle).chat(REQUEST, lambda cause, again: lost.append((cause, again)))
    assert (answer.text, len(seen)) == ("hi", 2)
    assert [again for _, again in lost] == [True]
    assert "the answer broke off (finish reason 'error')" in lost[0][0]


@pytest.mark.parametrize(
    "response",
    [
        httpx2.Response(200, json={"error": "Unexpected endpoint or method. (POST /chat/completions)"}),
        httpx2.Response(200, json={"error": "something odd"}),
        httpx2.Response(404, text="404 page not found"),
        httpx2.Response(405, text="Method Not Allowed"),
        httpx2.Response(200, text="<html><head><title>Open WebUI</title></head></html>"),
    ],
    ids=["error", "odd error", "404", "405", "page"],
)
def test_an_address_without_a_version_is_told_at_once_with_the_one_to_try(response: httpx2.Response) -> None:
    seen: list[str] = []

    def handle(request: httpx2.Request) -> httpx2.Response:
        seen.append(request.method)
        return response

    settings = LlmSettings(model="small", base_url="http://model.test:1234/", retries=5)
    with pytest.raises(ModelRejected, match=r"usually (ending )?in /v1: try http://model\.test:1234/v1$"):
        Endpoint(settings, KEY, transport=httpx2.MockTransport(handle)).chat(REQUEST)
    assert seen.count("POST") == 1


@pytest.mark.parametrize("status", [400, 413, 422, 500])
@pytest.mark.parametrize(
    "words",
    [
        "This model's maximum context length is 8192 tokens. However, you requested 10203 tokens",
        "the request exceeds the available context size. try increasing the context size",
        "prompt is too long: 200123 tokens > 200000 maximum",
        "litellm.ContextWindowExceededError: OpenAIException - This model's maximum context length is",
        "max_tokens is too large: 8192. This model supports at most 4096 completion tokens",
    ],
)
def test_what_does_not_fit_into_the_models_window_names_the_setting_and_is_not_tried_again(
    words: str, status: int
) -> None:
    handle, seen = script([refused(status, words)])
    request = replace(REQUEST, max_tokens=8192)
    with pytest.raises(ModelRejected, match=r"lower llm\.max_tokens \(now 8,192\)"):
        endpoint(handle).chat(request)
    assert len(seen) == 1


@pytest.mark.parametrize(
    ("response", "said"),
    [
        (
            httpx2.Response(413, text="<html><title>413 Request Entity Too Large</title></html>"),
            "too long for the model",
        ),
        (httpx2.Response(413), "too long for the model"),
        (httpx2.Response(431), "gives no reason; look at the endpoint's log"),
        (httpx2.Response(307), "does not say to where; correct OPENAI_BASE_URL"),
    ],
)
def test_a_refusal_without_words_names_the_next_step(response: httpx2.Response, said: str) -> None:
    handle, seen = script([response])
    with pytest.raises(ModelRejected, match=said):
        endpoint(handle).chat(REQUEST)
    assert len(seen) == 1


def test_the_wait_that_the_words_ask_for_is_kept_and_too_long_a_one_ends_the_call() -> None:
    notices: list[str] = []
    handle, _ = script([refused(429, "Please try again in 10ms."), answered()])
    assert endpoint(handle, notices=notices).chat(REQUEST).text == "hi"
    assert "the next comes in 0 s" in notices[0]
    handle, seen = script([refused(429, "Please try again in 2h30m.")])
    with pytest.raises(ModelUnavailable, match=r"rate limit.*it asks to wait 9,000 s"):
        endpoint(handle).chat(REQUEST)
    assert len(seen) == 1


@pytest.mark.parametrize("status", [200, 400, 503])
def test_a_reply_nested_without_end_is_one_line(status: int) -> None:
    for reply in ('{"choices": ' + "[" * 100_000, '{"error": ' * 900 + "1" + "}" * 900):
        connection = endpoint(lambda request, reply=reply: httpx2.Response(status, text=reply), retries=0)
        with pytest.raises(ModelError) as caught:
            connection.chat(REQUEST)
        assert "\n" not in str(caught.value)


def test_a_refusal_about_something_else_is_told_and_not_negotiated() -> None:
    handle, seen = script([refused(400, "context length exceeded")])
    with pytest.raises(ModelRejected, match="context length exceeded"):
        endpoint(handle).chat(REQUEST)
    assert len(seen) == 1


def test_concurrent_calls_learn_together() -> None:
    lock, bodies = threading.Lock(), []

    def handle(request: httpx2.Request) -> httpx2.Response:
        body = json.loads(request.content)
        with lock:
            bodies.append(body)
        return refused(400, "temperature?") if "temperature" in body else answered()

    connection = endpoint(handle)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: connection.chat(REQUEST).text, range(8)))
    assert answers == ["hi"] * 8
    assert sum("temperature" in body for body in bodies) <= 4


@pytest.mark.parametrize(
    ("response", "finish", "text"),
    [
        (answered(None, refusal="I will not"), "refusal", "I will not"),
        (answered("", finish="content_filter"), "refusal", "the endpoint's content filter withheld the answer"),
        (answered("  "), "empty", "  "),
        (answered("def rew", finish="length"), "length", "def rew"),
        (answered(None, finish="length"), "length", ""),
        (answered([{"type": "text", "text": "in "}, {"type": "text", "text": "parts"}]), "stop", "in parts"),  # type: ignore[arg-type]
    ],
)
def test_what_an_answer_amounts_to_is_recognised(response: httpx2.Response, finish: str, text: str) -> None:
    handle, _ = script([response])
    answer = endpoint(handle).chat(REQUEST)
    assert (answer.finish, answer.text) == (finish, text)


@pytest.mark.parametrize("body", ["<html>a proxy's page</html>", "{}", '{"choices": []}', "[]"])
def test_a_success_that_is_no_completion_is_told(body: str) -> None:
    with pytest.raises(ModelRejected, match="OpenAI-compatible"):
        endpoint(lambda request: httpx2.Response(200, text=body)).chat(REQUEST)


def test_an_error_under_the_status_of_a_success_is_tried_again() -> None:
    hidden = httpx2.Response(200, json={"error": {"code": 502, "message": "provider down"}})
    handle, seen = script([hidden, answered()])
    assert endpoint(handle).chat(REQUEST).text == "hi"
    assert len(seen) == 2


@pytest.mark.parametrize(
    "said",
    [
        {"error": "quota used up"},
        {"errors": [{"code": 1, "message": "quota used up"}]},
        {"code": 1002, "msg": "quota used up", "success": False},
        {"detail": "quota used up"},
        {"object": "error", "message": "quota used up"},
    ],
)
def test_what_a_success_without_an_answer_says_is_told(said: object) -> None:
    with pytest.raises(ModelUnavailable, match="quota used up"):
        endpoint(lambda request: httpx2.Response(200, json=said), retries=0).chat(REQUEST)


def test_a_closed_endpoint_ends_its_waiting() -> None:
    connection = endpoint(lambda request: refused(503, "later", {"retry-after": "60"}))
    connection._notice = lambda message: connection.close()
    with pytest.raises(ModelUnavailable, match="called off"):
        connection.chat(REQUEST)


def test_the_models_of_an_endpoint_are_listed() -> None:
    listed = httpx2.Response(200, json={"object": "list", "data": [{"id": "b"}, {"id": "a"}]})
    assert endpoint(lambda request: listed).list_models() == ("a", "b")


def test_an_endpoint_that_lists_nothing_is_told() -> None:
    with pytest.raises(ModelRejected, match="no list of models"):
        endpoint(lambda request: httpx2.Response(200, text="hello")).list_models()


def test_a_missing_key_names_the_variable_and_the_way_without() -> None:
    with pytest.raises(ConfigError, match=r"OPENAI_API_KEY.*symbolic"):
        find_key(LlmSettings())


def test_a_server_on_this_machine_needs_no_key() -> None:
    assert find_key(LlmSettings(base_url="http://localhost:8000/v1")) == "unused"


def test_a_key_is_taken_without_the_line_break_of_its_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1\n")
    assert find_key(LlmSettings()) == "sk-1"


def test_a_key_with_characters_that_no_header_takes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-“quoted”")
    with pytest.raises(ConfigError, match="OPENAI_API_KEY"):
        find_key(LlmSettings())


@pytest.mark.parametrize(
    "address",
    [
        "localhost:8000",
        "127.0.0.1:8000/v1",
        "ftp://host/v1",
        "http://",
        "http:///v1",
        "http://[::1/v1",
        "http://localhost:abc/v1",
        "http://localhost:99999/v1",
        "http://host/v1#part",
        "http://ho st/v1",
        "http://host\\@other/v1",
        "http://a..b/v1",
        f"http://{'a' * 70}.test/v1",
        "http://☃.☃☃/v1",
        "http://host/v1\nX: y",
        "http://[v1.a]/v1",
    ],
)
def test_an_address_that_is_none_is_told_in_one_line(address: str) -> None:
    with pytest.raises(
        ConfigError, match=r"^the language model's address .* is no http address: .*OPENAI_BASE_URL"
    ) as caught:
        Endpoint(LlmSettings(base_url=address), KEY)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "sent_to"),
    [
        ("http://model.test/v1", "http://model.test/v1/chat/completions"),
        (" http://model.test/v1/ ", "http://model.test/v1/chat/completions"),
        ("http://model.test/v1//", "http://model.test/v1/chat/completions"),
        ("http://model.test/v1/chat/completions", "http://model.test/v1/chat/completions"),
        ("http://model.test/v1?api-version=2024", "http://model.test/v1/chat/completions?api-version=2024"),
        ("http://model.test/v1/?a=b%20c&d=", "http://model.test/v1/chat/completions?a=b+c&d="),
        ("http://bücher.test/v1", "http://xn--bcher-kva.test/v1/chat/completions"),
        ("http://[::1]:8000/v1", "http://[::1]:8000/v1/chat/completions"),
    ],
)
def test_requests_go_below_the_address_and_keep_its_query(address: str, sent_to: str) -> None:
    seen: list[str] = []

    def handle(request: httpx2.Request) -> httpx2.Response:
        seen.append(str(request.url))
        return answered()

    Endpoint(LlmSettings(base_url=address), KEY, transport=httpx2.MockTransport(handle)).chat(REQUEST)
    assert [httpx2.URL(url) for url in seen] == [httpx2.URL(sent_to)]


def test_a_password_that_the_endpoint_echoes_is_not_shown() -> None:
    settings = LlmSettings(model="small", base_url="http://me:hunter%212@model.test/v1?api_key=sk-other", retries=0)
    echo = httpx2.MockTransport(lambda request: refused(400, "no: me:hunter!2, hunter%212, sk-other"))
    with pytest.raises(ModelRejected) as caught:
        Endpoint(settings, KEY, transport=echo).chat(REQUEST)
    assert not [secret for secret in ("hunter", "sk-other") if secret in str(caught.value)]


def test_a_password_in_the_address_is_not_shown() -> None:
    settings = LlmSettings(model="small", base_url="http://me:hunter2@127.0.0.1:1/v1", retries=0)
    with pytest.raises(ModelUnavailable) as caught:
        Endpoint(settings, KEY).chat(REQUEST)
    assert "hunter2" not in str(caught.value)
