"""Fixtures of all tests: no key or endpoint in the environment, and snapshots of prompts."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# The same examples on every machine, and no verdict by the clock: the suite runs on busy machines.
settings.register_profile(
    "rewardsmith", derandomize=True, database=None, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("rewardsmith")

collect_ignore_glob = ["fakes/*", "fixtures/*"]
"""Imported by tests, and no tests themselves: each module is imported once, under one name."""
SNAPSHOTS = Path(__file__).parent / "snapshots"
UPDATE = "REWARDSMITH_UPDATE_SNAPSHOTS"


@pytest.fixture(scope="session", autouse=True)
def interrupts_arrive() -> None:
    """Interrupts reach the tests' processes even where the shell ignores them, as it does for `make test &`."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def known_endpoints(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What a test names as an endpoint is remembered in a folder of the tests, not in the developer's."""
    os.environ["XDG_CONFIG_HOME"] = str(tmp_path_factory.mktemp("config"))


@pytest.fixture(autouse=True)
def no_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test can spend money: keys and endpoints of the developer's shell are removed."""
    for name in [name for name in os.environ if name.startswith("OPENAI_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def snapshot() -> Callable[[str, str], None]:
    """Compare a text with `tests/snapshots/<name>.md`; REWARDSMITH_UPDATE_SNAPSHOTS=1 writes it instead."""

    def check(name: str, text: str) -> None:
        file = SNAPSHOTS / f"{name}.md"
        if os.environ.get(UPDATE):
            file.write_text(text, encoding="utf-8")
        assert file.is_file(), f"{file} is missing; set {UPDATE}=1 once and read the result"
        assert text == file.read_text(encoding="utf-8"), f"{name} changed; if meant, set {UPDATE}=1 and read the diff"

    return check
