"""Fixture of all tests of environments: a separate folder, where MuJoCo may write its log."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
