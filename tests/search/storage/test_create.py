"""The creation of a run directory, whole or killed."""

from __future__ import annotations

from pathlib import Path

import pytest

from rewardsmith.contract.errors import RunError
from rewardsmith.search.storage import Run
from rewardsmith.spec.config import resolve_config
from rewardsmith.spec.task_cards import load_task


def create(path: Path) -> Run:
    return Run.create(path, load_task(None, "hopper"), resolve_config({}))


@pytest.mark.parametrize("missing", [["config.toml"], ["config.toml", "provenance.json"]])
def test_a_folder_whose_creation_was_killed_is_begun_again(tmp_path: Path, missing: list[str]) -> None:
    path = create(tmp_path / "run").path
    for name in missing:
        (path / name).rename(path / f".{name}.part")
    create(path)
    assert Run.open(path).task.name == "hopper"


def test_a_folder_with_anything_else_is_left_alone(tmp_path: Path) -> None:
    path = create(tmp_path / "run").path
    with pytest.raises(RunError, match="resume it with"):
        create(path)
    (path / "config.toml").unlink()
    (path / "notes.txt").write_text("mine")
    with pytest.raises(RunError, match="is not empty; choose another --out"):
        create(path)
