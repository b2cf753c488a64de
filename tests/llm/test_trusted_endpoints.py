"""A key goes only to endpoints that this machine's user used, never to one that only a foreign run names."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from rewardsmith.api import planning, searches
from rewardsmith.cli.main import app
from rewardsmith.contract.errors import ConfigError
from rewardsmith.contract.records import EnvSpec
from rewardsmith.llm import trusted_endpoints
from rewardsmith.search import setup
from rewardsmith.search.callbacks import NullCallback
from rewardsmith.search.storage import Run
from rewardsmith.spec.config import resolve_config
from rewardsmith.spec.config_layers import parse_assignments
from rewardsmith.spec.task_cards import Task

FOREIGN = "https://models.example/v1"
TASK = Task("thing", "Rise", EnvSpec("Thing-v0"), "A thing.", "One number.", "length")


@pytest.fixture(autouse=True)
def new_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was named on this machine yet."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")


def sent(path: Path, **llm: object) -> Run:
    """Make a run directory as somebody else's machine left it."""
    return Run.create(path, TASK, resolve_config({"search": {"designer": "llm"}, "llm": {"model": "small", **llm}}))


def check(run: Run) -> None:
    setup.check_endpoints(run)


def test_a_run_from_elsewhere_is_refused_with_the_address_and_the_flag(tmp_path: Path) -> None:
    run = sent(tmp_path / "run", base_url=FOREIGN)
    with pytest.raises(ConfigError, match=f"the key in OPENAI_API_KEY to {FOREIGN}.*--trust-endpoint") as refused:
        searches.continue_run(run)
    assert "\n" not in str(refused.value)


def test_a_role_with_an_endpoint_of_its_own_is_looked_at_too(tmp_path: Path) -> None:
    run = Run.create(
        tmp_path / "run",
        TASK,
        resolve_config(
            {
                "search": {"designer": "llm"},
                "critic": {"review": True},
                "llm": {"model": "small", "roles": {"critic": {"base_url": FOREIGN}}},
            }
        ),
    )
    with pytest.raises(ConfigError, match=FOREIGN):
        check(run)


def test_no_other_secret_of_the_environment_is_sent_as_a_key(tmp_path: Path) -> None:
    run = sent(tmp_path / "run", key_variable="AWS_SECRET_ACCESS_KEY")
    with pytest.raises(ConfigError, match=r"the key in AWS_SECRET_ACCESS_KEY to https://api\.openai\.com"):
        check(run)


def test_no_key_is_sent_before_the_refusal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.headers["Authorization"])

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(trusted_endpoints, "LOOPBACK", ())  # as if it were far away
    run = sent(tmp_path / "run", base_url=f"http://127.0.0.1:{server.server_port}/v1", retries=0)
    with pytest.raises(ConfigError), setup.open_models(run, NullCallback()) as models:
        models.for_role("designer").complete((), role="designer")
    server.shutdown()
    server.server_close()
    assert asked == []


@pytest.mark.parametrize(
    ("llm", "variables"),
    [
        ({}, {}),
        ({"base_url": "https://api.openai.com/v1/"}, {}),
        ({"base_url": "http://localhost:8000/v1"}, {}),
        ({"base_url": FOREIGN}, {"OPENAI_BASE_URL": FOREIGN}),
        ({"base_url": FOREIGN}, {"REWARDSMITH_LLM__BASE_URL": FOREIGN}),
        ({"base_url": FOREIGN, "replay": "ledger.jsonl"}, {}),
    ],
)
def test_what_this_machine_names_is_asked_without_a_question(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, llm: dict[str, object], variables: dict[str, str]
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    check(sent(tmp_path / "run", **llm))


def test_the_endpoint_of_a_search_that_the_user_began_is_known_ever_after(tmp_path: Path) -> None:
    overrides = {
        "search": {"designer": "llm"},
        "llm": {"model": "small", "base_url": "https://models.example/v1", "key_variable": "OPENAI_API_KEY"},
    }
    check(
        searches.create_run(
            planning.plan_search("Hop", "Hopper-v5", overrides=overrides, variables={}), tmp_path / "mine"
        )
    )
    check(sent(tmp_path / "another", base_url=FOREIGN))
    with pytest.raises(ConfigError):
        check(sent(tmp_path / "foreign", base_url=FOREIGN, key_variable="AWS_SECRET_ACCESS_KEY"))


def test_a_password_in_the_users_variable_is_kept_in_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "https://me:hunter2@models.example/v1")
    overrides = {"search": {"designer": "llm"}, "llm": {"model": "small"}}
    plan = planning.plan_search("Hop", "Hopper-v5", overrides=overrides, variables={})
    searches.create_run(plan, tmp_path / "mine")
    files = [trusted_endpoints.endpoints_file(), *(tmp_path / "mine").rglob("*")]
    assert not [file for file in files if file.is_file() and b"hunter2" in file.read_bytes()]


@pytest.mark.parametrize(
    "address", ["https://me:hunter2@models.example/v1", "https://models.example/v1?api-key=hunter2"]
)
@pytest.mark.parametrize("designer", ["llm", "auto", "symbolic"])
def test_a_password_in_a_setting_is_refused_where_it_would_be_used_and_written_nowhere(
    tmp_path: Path, address: str, designer: str
) -> None:
    overrides = {"search": {"designer": designer}, "llm": {"model": "small", "base_url": address}}
    plan = planning.plan_search("Hop", "Hopper-v5", overrides=overrides, variables={})
    if designer != "symbolic":
        with pytest.raises(ConfigError, match=r"holds a user name, a password or a key.*OPENAI_API_KEY") as refused:
            searches.create_run(plan, tmp_path / "mine")
        assert "hunter2" not in str(refused.value)
    else:
        searches.create_run(plan, tmp_path / "mine")
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert not [file for file in files if b"hunter2" in file.read_bytes()]


def test_a_confirmed_endpoint_is_known_and_one_that_an_option_names(tmp_path: Path) -> None:
    setup.trust_endpoints(sent(tmp_path / "first", base_url=FOREIGN))
    check(sent(tmp_path / "second", base_url=FOREIGN))
    other = "https://other.example/v1"
    third = sent(tmp_path / "third", base_url=other)
    setup.trust_endpoints(third, parse_assignments(["llm.temperature=0.5"]))
    with pytest.raises(ConfigError):
        check(third)
    setup.trust_endpoints(third, parse_assignments([f"llm.base_url={other}"]))
    check(third)


@pytest.mark.parametrize("command", [["resume"], ["refine", "--yes"]])
def test_the_commands_that_a_studio_starts_refuse_it_and_write_nothing(tmp_path: Path, command: list[str]) -> None:
    run = sent(tmp_path / "run", base_url=FOREIGN)
    run.open_journal().close()
    with pytest.raises(ConfigError, match="--trust-endpoint"):
        app([command[0], str(run.path), *command[1:]], standalone_mode=False)
    assert (run.path / "journal.jsonl").read_bytes() == b""
