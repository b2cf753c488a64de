from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rewardsmith.contract.errors import (
    BudgetExhausted,
    ConfigError,
    ModelRefused,
    ModelUnavailable,
    ReplayMiss,
    RunError,
)
from rewardsmith.llm import Budget, Ledger, Message, ModelAnswer, RecordedAnswers, RecordedModel, Request
from rewardsmith.llm import build_model_pool as build_all
from rewardsmith.spec.settings import BudgetSettings, LlmSettings

ASK = (Message("user", "write\na reward"),)
SETTINGS = LlmSettings(model="small", price_in_usd=1.0, price_out_usd=2.0)
UNLIMITED = BudgetSettings()


class Played:
    """An endpoint that answers by a function and counts."""

    def __init__(
        self, answer: Callable[[Request], ModelAnswer] = lambda request: ModelAnswer("done", "stop", 1000, 500)
    ) -> None:
        self.answer = answer
        self.requests: list[Request] = []
        self.closed = False

    def chat(self, request: Request, lost: Callable[[str, bool], None]) -> ModelAnswer:
        self.requests.append(request)
        return self.answer(request)

    def close(self) -> None:
        self.closed = True


def model(
    path: Path, played: Played, limits: BudgetSettings = UNLIMITED, recording: RecordedAnswers | None = None
) -> RecordedModel:
    kept = Ledger(path)
    return RecordedModel(SETTINGS, kept, Budget(limits, kept.most_spent), lambda: played, recording)


def build(settings: LlmSettings, limits: BudgetSettings, path: Path) -> RecordedModel:
    return build_all(settings, limits, path).for_role("designer")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "llm.jsonl"


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """A ledger with one answer to ASK by the designer, sample 0."""
    path = tmp_path / "recorded.jsonl"
    model(path, Played()).complete(ASK, role="designer")
    return path


def test_a_call_is_answered_priced_and_recorded(path: Path) -> None:
    completion = model(path, Played()).complete(ASK, role="designer", sample=2)
    assert (completion.text, completion.cost_usd, completion.cached) == ("done", 0.002, False)
    kept = Ledger(path).find(completion.key)
    assert kept is not None
    assert (kept.role, kept.sample, kept.request.messages) == ("designer", 2, ASK)


def test_an_answered_call_is_not_made_again_after_a_restart(path: Path) -> None:
    first = model(path, Played()).complete(ASK, role="designer")
    played = Played()
    again = model(path, played).complete(ASK, role="designer")
    assert played.requests == []
    assert again.cached
    assert (again.text, again.key) == (first.text, first.key)


def test_every_sample_is_a_call_of_its_own(path: Path) -> None:
    played = Played()
    asked = model(path, played)
    for sample in range(3):
        asked.complete(ASK, role="designer", sample=sample)
    assert len(played.requests) == 3


def test_two_threads_that_ask_the_same_pay_once(path: Path) -> None:
    gate = threading.Barrier(2, timeout=5.0)
    played = Played()
    asked = model(path, played)

    def ask(_: int) -> str:
        gate.wait()
        return asked.complete(ASK, role="designer").text

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(ask, range(2))) == ["done", "done"]
    assert len(played.requests) == 1


def test_a_failed_call_leaves_nothing_and_is_made_again(path: Path) -> None:
    def down(request: Request) -> ModelAnswer:
        raise ModelUnavailable("down")

    with pytest.raises(ModelUnavailable):
        model(path, Played(down)).complete(ASK, role="designer")
    played = Played()
    model(path, played).complete(ASK, role="designer")
    assert len(played.requests) == 1


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (ModelAnswer("I must\nnot", "refusal", 5, 5), r"'small' declined \(designer\): 'I must not'.*--model"),
    ],
)
def test_a_declined_answer_is_paid_for_once_and_told_each_time(path: Path, answer: ModelAnswer, words: str) -> None:
    played = Played(lambda request: answer)
    for _ in range(2):
        with pytest.raises(ModelRefused, match=words):
            model(path, played).complete(ASK, role="designer")
    assert len(played.requests) == 1


@pytest.mark.parametrize(
    ("finish", "words"),
    [
        ("empty", r"'small' answered with empty text, asked twice \(designer\); take another"),
        ("reasoning", r"asked twice \(designer\); all that it wrote is its reasoning; set llm\.reasoning_effort"),
    ],
)
def test_an_answer_without_text_is_asked_for_once_more_and_paid_for_once(path: Path, finish: str, words: str) -> None:
    played = Played(lambda request: ModelAnswer("", finish, 5, 0))
    for _ in range(2):
        with pytest.raises(ModelRefused, match=words):
            model(path, played).complete(ASK, role="designer")
    first, second = played.requests
    assert first.messages == ASK
    assert second.messages[: len(ASK) + 1] == (*ASK, Message("assistant", "(no text)"))
    assert ("reasoning" in second.messages[-1].content) == (finish == "reasoning")


def test_the_text_that_follows_an_empty_answer_is_the_answer_and_both_are_in_the_ledger(path: Path) -> None:
    answers = iter([ModelAnswer("", "reasoning", 5, 9), ModelAnswer("done", "stop", 9, 1)])
    assert model(path, Played(lambda request: next(answers))).complete(ASK, role="designer").text == "done"
    assert [entry.answer.finish for entry in Ledger(path).entries] == ["reasoning", "stop"]
    replayed = model(path.with_name("other.jsonl"), Played(), recording=RecordedAnswers.open(path, strict=True))
    assert replayed.complete(ASK, role="designer").text == "done"


def test_the_budget_goes_on_where_the_session_before_ended(path: Path) -> None:
    limits = BudgetSettings(calls=2)
    for sample in range(2):
        model(path, Played(), limits).complete(ASK, role="designer", sample=sample)
    with pytest.raises(BudgetExhausted):
        model(path, Played(), limits).complete(ASK, role="designer", sample=2)


def test_an_exhausted_budget_still_gives_what_is_paid_for(path: Path) -> None:
    limits = BudgetSettings(calls=1)
    model(path, Played(), limits).complete(ASK, role="designer")
    assert model(path, Played(), limits).complete(ASK, role="designer").cached


def test_a_call_is_not_made_where_its_answer_cannot_be_kept(tmp_path: Path) -> None:
    played = Played()
    asked = model(tmp_path / "gone" / "llm.jsonl", played)
    with pytest.raises(RunError):
        asked.complete(ASK, role="designer")
    assert played.requests == []


def test_a_replay_answers_without_a_key_and_keeps_the_answer_as_its_own(path: Path, recorded: Path) -> None:
    replayed = build(LlmSettings(model="small", replay=str(recorded)), UNLIMITED, path)
    completion = replayed.complete(ASK, role="designer")
    assert (completion.text, completion.cached) == ("done", True)
    assert replayed.spent.calls == 0
    assert Ledger(path).find(completion.key) is not None


def test_a_strict_replay_tells_the_role_and_the_first_difference(path: Path, recorded: Path) -> None:
    replayed = build(LlmSettings(model="small", replay=str(recorded)), UNLIMITED, path)
    with pytest.raises(
        ReplayMiss, match=r"of the designer .*message 1 \(user\), line 2: recorded 'a reward', now 'a program'"
    ):
        replayed.complete((Message("user", "write\na program"),), role="designer")


def test_a_replay_by_position_answers_other_words_turn_by_turn_also_after_a_resume(path: Path, tmp_path: Path) -> None:
    recorded = tmp_path / "turns.jsonl"
    answers = iter(("first", "second"))
    live = model(recorded, Played(lambda request: ModelAnswer(next(answers), "stop", 1, 1)))
    for words in ("fitness 1.01", "fitness 2.02"):
        live.complete((Message("user", words),), role="designer", sample=3)
    settings = LlmSettings(model="small", replay=str(recorded), replay_by="position")
    texts = []
    for words in ("fitness 1.00", "fitness 2.00"):
        replayed = build(settings, UNLIMITED, path)
        texts.append(replayed.complete((Message("user", words),), role="designer", sample=3).text)
    assert texts == ["first", "second"]
    with pytest.raises(ReplayMiss):
        replayed.complete((Message("user", "a third turn"),), role="designer", sample=3)


def test_a_strict_replay_tells_a_changed_setting(path: Path, recorded: Path) -> None:
    replayed = build(LlmSettings(model="small", temperature=0.5, replay=str(recorded)), UNLIMITED, path)
    with pytest.raises(ReplayMiss, match=r"temperature: recorded 1\.0, now 0\.5"):
        replayed.complete(ASK, role="designer")


def test_a_strict_replay_tells_a_sample_that_was_not_recorded(path: Path, recorded: Path) -> None:
    replayed = build(LlmSettings(model="small", replay=str(recorded)), UNLIMITED, path)
    with pytest.raises(ReplayMiss, match="the sample: recorded 0, now 4"):
        replayed.complete(ASK, role="designer", sample=4)


def test_a_strict_replay_tells_a_role_that_was_not_recorded(path: Path, recorded: Path) -> None:
    replayed = build(LlmSettings(model="small", replay=str(recorded)), UNLIMITED, path)
    with pytest.raises(ReplayMiss, match=r"of the critic .*answers for designer"):
        replayed.complete(ASK, role="critic")


def test_a_cache_answers_what_it_has_and_calls_for_the_rest(path: Path, recorded: Path) -> None:
    played = Played()
    asked = model(path, played, recording=RecordedAnswers.open(recorded, strict=False))
    assert asked.complete(ASK, role="designer").cached
    assert not asked.complete(ASK, role="critic").cached
    assert len(played.requests) == 1


def test_a_missing_key_is_found_before_anything_runs(path: Path) -> None:
    with pytest.raises(ConfigError, match="OPENAI_API_KEY"):
        build(SETTINGS, UNLIMITED, path)


def test_a_resumed_run_asks_for_a_key_only_when_a_call_is_due(path: Path) -> None:
    model(path, Played()).complete(ASK, role="designer")
    resumed = build(SETTINGS, UNLIMITED, path)
    assert resumed.complete(ASK, role="designer").cached
    with pytest.raises(ConfigError, match="OPENAI_API_KEY"):
        resumed.complete(ASK, role="designer", sample=1)


def test_a_limit_in_dollars_without_a_price_is_found_before_anything_runs(path: Path) -> None:
    with pytest.raises(ConfigError, match="price"):
        build(LlmSettings(model="small"), BudgetSettings(cost_usd=1.0), path)


def test_replay_and_cache_exclude_each_other(path: Path, recorded: Path) -> None:
    with pytest.raises(ConfigError, match="exclude each other"):
        build(LlmSettings(replay=str(recorded), cache=str(recorded)), UNLIMITED, path)


def test_a_replay_file_that_is_missing_is_told(path: Path) -> None:
    with pytest.raises(RunError, match=r"cannot read the ledger 'none\.jsonl'"):
        build(LlmSettings(replay="none.jsonl"), UNLIMITED, path)


def test_no_key_reaches_the_ledger(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-0123456789")
    played = Played()
    asked = build(SETTINGS, UNLIMITED, path)
    monkeypatch.setattr(asked, "_connect", lambda: played)
    asked.complete(ASK, role="designer")
    asked.close()
    assert played.closed
    assert "sk-secret" not in path.read_text()


def test_importing_the_package_loads_no_client() -> None:
    code = (
        "import rewardsmith.llm, sys; print([m for m in ('openai', 'httpx2', 'pydantic', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
