"""The log of a run: its content, the loggers that it takes, and the absence of secrets."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from fakes.played_runs import PlayedExecutor, make_run

from rewardsmith.api import logs, searches
from rewardsmith.contract.errors import WorkerFailed
from rewardsmith.contract.records import EnvSpec, ProbeJob
from rewardsmith.executors import local
from rewardsmith.executors.local import LocalExecutor
from rewardsmith.llm import Message, Request, retry
from rewardsmith.llm.client import Endpoint
from rewardsmith.search.concurrency import run_in_threads
from rewardsmith.spec.settings import LlmSettings

KEY = "sk-very-secret-0123456789"
logger = logging.getLogger("rewardsmith.test")


@pytest.fixture(autouse=True)
def default_level() -> Iterator[None]:
    yield
    logs.configure("INFO")


def test_a_run_has_a_log_of_its_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    run = make_run(tmp_path)
    searches.continue_run(run, executor=PlayedExecutor())
    text = run.layout.log.read_text(encoding="utf-8")
    assert "INFO    rewardsmith.api.logs: search starts" in text
    assert "generation 0 starts" in text
    assert "g0c00 ends as ok with fitness" in text
    assert "search ends: the best program is" in text
    assert KEY not in text


def test_secrets_are_replaced_and_long_records_are_cut(tmp_path: Path) -> None:
    with logs.log_to(tmp_path / "log.txt", {"SOME_API_KEY": KEY, "HOME": "/home/someone"}):
        logger.warning("the endpoint repeats %s of /home/someone\nin two lines", KEY)
        logger.info("%s", "prompt " * 10_000)
    first, second = (tmp_path / "log.txt").read_text(encoding="utf-8").splitlines()
    assert first.endswith("the endpoint repeats (secret) of /home/someone\\nin two lines")
    assert len(second) < 2 * logs.MAX_LINE


def test_each_run_gets_the_records_of_its_own_threads(tmp_path: Path) -> None:
    def work(name: str) -> None:
        with logs.log_to(tmp_path / name):
            run_in_threads(lambda part: logger.info("%s of %s", part, name), ["first", "second"])

    run_in_threads(work, ["one", "two"])
    logger.info("nobody's")

    for name in ("one", "two"):
        lines = (tmp_path / name).read_text(encoding="utf-8").splitlines()
        assert sorted(line.partition(": ")[2] for line in lines) == [f"first of {name}", f"second of {name}"]


@pytest.mark.parametrize(("level", "count"), [("DEBUG", 2), ("INFO", 1), ("ERROR", 0)])
def test_the_level_is_chosen_once_for_all_runs(tmp_path: Path, level: str, count: int) -> None:
    logs.configure(level)
    with logs.log_to(tmp_path / "log.txt"):
        logger.debug("detail")
        logger.info("event")
    path = tmp_path / "log.txt"
    assert len(path.read_text(encoding="utf-8").splitlines() if path.exists() else ()) == count


def test_a_log_that_cannot_be_written_ends_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with logs.log_to(tmp_path / "missing" / "log.txt"):
        logger.info("event")
    assert capsys.readouterr() == ("", "")


def test_attempts_at_a_model_are_logged_without_key_and_prompt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "FIRST_WAIT_S", 0.0)
    answer = {"choices": [{"finish_reason": "stop", "message": {"role": "assistant", "content": "hi"}}]}
    responses = iter(
        [
            httpx2.Response(429, json={"error": {"message": f"slow down, owner of {KEY}"}}),
            httpx2.Response(200, json=answer),
        ]
    )
    settings = LlmSettings(model="small", base_url="http://model.test/v1", retries=1)
    endpoint = Endpoint(settings, KEY, transport=httpx2.MockTransport(lambda request: next(responses)))

    with logs.log_to(tmp_path / "log.txt", {}):
        endpoint.chat(Request("small", (Message("user", "a prompt about hopping"),), 1.0, 100))

    text = (tmp_path / "log.txt").read_text(encoding="utf-8")
    assert "attempt 1 at small failed" in text
    assert "small answered at attempt 2" in text
    assert KEY not in text
    assert "hopping" not in text


def test_retries_and_their_reason_are_logged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise WorkerFailed("cannot start a worker process: no memory")

    monkeypatch.setattr(local.WorkerProcess, "open_job", fail)
    executor = LocalExecutor(1)
    try:
        with logs.log_to(tmp_path / "log.txt"):
            result = executor.run(ProbeJob(EnvSpec("Pendulum-v1"), 0, 16), tmp_path / "job")
    finally:
        executor.close()
    assert result.status == "infrastructure"
    text = (tmp_path / "log.txt").read_text(encoding="utf-8")
    assert "probe job starts in" in text
    assert "failed, attempt 2 of 2: cannot start a worker process: no memory" in text
