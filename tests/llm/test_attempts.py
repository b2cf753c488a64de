"""Calls that were sent and gave no answer: recorded, and counted as the most that they can have cost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from rewardsmith.contract.errors import BudgetExhausted, ModelRejected, ModelUnavailable
from rewardsmith.llm import Budget, Ledger, Message, RecordedModel, Request, retry
from rewardsmith.llm.client import Endpoint
from rewardsmith.llm.ledger import read_ledger
from rewardsmith.spec.settings import BudgetSettings, LlmSettings

ASK = (Message("user", "write a reward"),)
SETTINGS = LlmSettings(
    model="small", base_url="http://model.test/v1", max_tokens=1000, price_in_usd=10.0, price_out_usd=10.0, retries=2
)
ONE_CALL = BudgetSettings(cost_usd=0.015)  # a call reserves a little over a cent


@pytest.fixture(autouse=True)
def no_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "FIRST_WAIT_S", 0.0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "llm.jsonl"


def silent(request: httpx2.Request) -> httpx2.Response:
    raise httpx2.ReadTimeout("silence", request=request)


def answered(request: httpx2.Request, **usage: int) -> httpx2.Response:
    choice = {"finish_reason": "stop", "message": {"content": "hi"}}
    return httpx2.Response(200, json={"choices": [choice], "usage": usage})


def model(path: Path, handle: Callable[[httpx2.Request], httpx2.Response], limits: BudgetSettings | None = None):
    kept = Ledger(path)
    endpoint = Endpoint(SETTINGS, "key", transport=httpx2.MockTransport(handle))
    return RecordedModel(SETTINGS, kept, Budget(limits or BudgetSettings(), kept.most_spent), lambda: endpoint)


def test_every_silent_attempt_has_a_line_and_makes_the_cost_unknown(path: Path) -> None:
    asked = model(path, silent)
    with pytest.raises(ModelUnavailable, match="in 3 attempt"):
        asked.complete(ASK, role="designer")
    assert [(one.role, one.model) for one in Ledger(path).attempts] == [("designer", "small")] * 3
    assert "gave no answer within" in Ledger(path).attempts[0].cause
    assert (asked.spent.calls, asked.spent.cost_usd) == (3, None)


def test_a_lost_attempt_is_no_answer(path: Path) -> None:
    with pytest.raises(ModelUnavailable):
        model(path, silent).complete(ASK, role="designer")
    assert read_ledger(path) == ()
    completion = model(path, answered).complete(ASK, role="designer")
    assert (completion.text, completion.cached) == ("hi", False)


@pytest.mark.parametrize("error", [httpx2.ConnectError, httpx2.ConnectTimeout])
def test_what_was_never_sent_costs_nothing(path: Path, error: type[httpx2.TransportError]) -> None:
    def refuse(request: httpx2.Request) -> httpx2.Response:
        raise error("nobody there", request=request)

    asked = model(path, refuse)
    with pytest.raises(ModelUnavailable):
        asked.complete(ASK, role="designer")
    assert Ledger(path).attempts == ()
    assert asked.spent.cost_usd == 0.0


def test_a_refusal_costs_nothing(path: Path) -> None:
    asked = model(path, lambda request: httpx2.Response(503, text="busy"))
    with pytest.raises(ModelUnavailable):
        asked.complete(ASK, role="designer")
    assert Ledger(path).attempts == ()


def test_a_success_that_is_no_answer_may_be_billed(path: Path) -> None:
    asked = model(path, lambda request: httpx2.Response(200, text="<html>"))
    with pytest.raises(ModelRejected):
        asked.complete(ASK, role="designer")
    assert len(Ledger(path).attempts) == 1


def test_another_attempt_is_not_made_once_the_lost_ones_may_have_used_the_budget(path: Path) -> None:
    asked = model(path, silent, ONE_CALL)
    with pytest.raises(BudgetExhausted, match="dollars"):
        asked.complete(ASK, role="designer")
    assert len(Ledger(path).attempts) == 1


def test_lost_attempts_count_in_a_resumed_run(path: Path) -> None:
    with pytest.raises(BudgetExhausted):
        model(path, silent, ONE_CALL).complete(ASK, role="designer")
    with pytest.raises(BudgetExhausted):
        model(path, answered, ONE_CALL).complete(ASK, role="designer", sample=1)


def test_an_unknown_cost_counts_in_a_resumed_run(path: Path) -> None:
    first = model(path, answered, ONE_CALL).complete(ASK, role="designer")  # no usage: the cost is unknown
    assert first.cost_usd is None
    with pytest.raises(BudgetExhausted):
        model(path, answered, ONE_CALL).complete(ASK, role="designer", sample=1)


def test_an_attempt_that_is_followed_by_an_answer_keeps_its_line(path: Path) -> None:
    replies = iter([silent, answered])
    model(path, lambda request: next(replies)(request)).complete(ASK, role="designer")
    kept = Ledger(path)
    assert (len(kept.attempts), len(kept.entries)) == (1, 1)


def test_a_reasoning_effort_is_sent_and_left_out_where_it_is_refused() -> None:
    import json

    bodies: list[dict[str, object]] = []

    def handle(request: httpx2.Request) -> httpx2.Response:
        bodies.append(json.loads(request.content))
        if "reasoning_effort" in bodies[-1]:
            return httpx2.Response(400, json={"error": {"message": "Unrecognized argument: reasoning_effort"}})
        return answered(request)

    endpoint = Endpoint(SETTINGS, "key", transport=httpx2.MockTransport(handle))
    request = Request("small", ASK, None, None, "high")
    assert endpoint.chat(request).text == endpoint.chat(request).text == "hi"
    assert [body.get("reasoning_effort") for body in bodies] == ["high", None, None]
    assert "temperature" not in bodies[0]


def test_an_effort_changes_the_answers_name_and_no_effort_does_not() -> None:
    plain, high = Request("m", ASK, 1.0, 100), Request("m", ASK, 1.0, 100, "high")
    assert plain.key("designer", 0) != high.key("designer", 0)
    assert Request("m", (Message("user", "hello"),), 1.0, 100).key("designer", 3) == "efa742f1a78f1753e4ce.3"
