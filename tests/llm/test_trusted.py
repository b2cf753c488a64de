"""Where the key may go when a run directory says so."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from rewardsmith import session
from rewardsmith.archive import Run
from rewardsmith.cli.main import app
from rewardsmith.config import resolve
from rewardsmith.errors import ConfigError, ModelUnavailable
from rewardsmith.llm import trusted
from rewardsmith.settings import LlmSettings

URL = "https://model.example/v1"


@pytest.fixture(autouse=True)
def state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("OPENAI_API_KEY", "sk-mine")


def checked(**settings: object) -> None:
    trusted.check(LlmSettings(model="m", **settings), ("designer", "critic"), Path("run"))


def test_an_endpoint_that_only_the_run_names_is_refused_with_the_line_that_allows_it() -> None:
    with pytest.raises(
        ConfigError, match=r"model\.example.*OPENAI_API_KEY.*--set llm\.base_url=https://model\.example/v1"
    ):
        checked(base_url=URL)


def test_so_is_one_of_a_single_role() -> None:
    with pytest.raises(ConfigError, match="never named on this machine"):
        checked(roles={"critic": {"base_url": URL}})


@pytest.mark.parametrize("base_url", [None, "http://127.0.0.1:8000/v1", "http://localhost:8000/v1"])
def test_the_environments_own_endpoint_and_this_machine_need_no_word(base_url: str | None) -> None:
    checked(base_url=base_url)


def test_an_endpoint_that_the_environment_names_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", URL)
    checked(base_url=URL)


def test_an_endpoint_that_the_user_has_named_once_stays_known() -> None:
    trusted.trust({"llm": {"roles": {"critic": {"base_url": URL}}}})
    trusted.trust({"llm": {"base_url": URL}})
    checked(base_url=URL)


def test_answers_from_a_ledger_go_nowhere() -> None:
    checked(base_url=URL, replay="ledger.jsonl")


def of_somebody(path: Path) -> Run:
    """Return a run whose configuration names an endpoint; port 9 answers nobody."""
    plan = session.plan("Swing", "Pendulum-v1", "length", environment={})
    llm = {"model": "m", "base_url": "http://model.invalid:9/v1", "retries": 0}
    return Run.create(path, plan.task, resolve({"search": {"designer": "llm"}, "llm": llm}))


def test_a_run_of_somebody_else_is_not_carried_on_before_its_endpoint_is_named(tmp_path: Path) -> None:
    run = of_somebody(tmp_path / "run")
    with pytest.raises(ConfigError, match=r"model\.invalid"):
        session.carry_on(run)
    assert not run.events()


def test_resume_takes_the_endpoint_that_is_named_and_remembers_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = of_somebody(tmp_path / "run")
    asked = []

    def carry_on(run: Run, watch: object) -> None:
        asked.append(run)
        raise ModelUnavailable("no answer")

    monkeypatch.setattr(session, "carry_on", carry_on)
    named = "llm.base_url=http://model.invalid:9/v1"
    answer = CliRunner().invoke(app, ["resume", str(run.path), "--set", named])
    assert (answer.exit_code, len(asked)) == (1, 1)
    trusted.check(run.config.llm, run.config.roles, run.path)
