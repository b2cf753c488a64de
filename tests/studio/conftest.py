"""Fixtures of the studio's tests: a run, and a visitor who has opened the link."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.studio_case import Visitor, make_run

from rewardsmith.search.storage import Run


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return make_run(tmp_path / "runs" / "first")


@pytest.fixture
def visitor(run: Run) -> Iterator[Visitor]:
    visitor = Visitor(run.path.parent)
    yield visitor
    visitor.close()
