"""One zygote or engine per backend for all tests of a process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.sandbox_backends import Open, opener
from fakes.sandbox_case import CANARY


@pytest.fixture(scope="session")
def sandbox(request: pytest.FixtureRequest) -> Iterator[Open]:
    """A function that opens a text in the backend that the test names."""
    with opener(request.param) as open_text:
        yield open_text


@pytest.fixture(scope="session")
def canary() -> Iterator[Path]:
    """A file that anybody may read, write and remove."""
    path = Path(CANARY)
    path.write_text("untouched", encoding="utf-8")
    path.chmod(0o666)
    yield path
    path.unlink()
