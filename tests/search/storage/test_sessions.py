"""A run goes on with its own settings, and says which packages have changed since its last session."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from fakes.played_runs import PlayedExecutor, make_run, write_program

from rewardsmith.api import searches
from rewardsmith.contract import records
from rewardsmith.contract.errors import RunError
from rewardsmith.search.storage import Run
from rewardsmith.search.storage.sessions import begin_session, list_changes
from rewardsmith.spec.config import resolve_config
from rewardsmith.spec.task_cards import load_task


@pytest.fixture
def run(tmp_path: Path) -> Run:
    run = Run.create(tmp_path / "run", load_task(None, "hopper"), resolve_config({}))
    begin_session(run, pytest.fail)
    return run


def edit_config(run: Run, old: str, new: str) -> None:
    text = run.layout.config.read_text()
    assert old in text
    run.layout.config.write_text(text.replace(old, new, 1))


def test_a_run_that_nothing_has_changed_goes_on_silently(run: Run) -> None:
    before = run.layout.provenance.read_bytes()
    begin_session(Run.open(run.path), pytest.fail)
    assert run.layout.provenance.read_bytes() == before


@pytest.mark.parametrize(("old", "new"), [("\nseed = 0", "\nseed = 7"), ("population = ", "population = 1")])
def test_an_edited_setting_that_results_depend_on_is_refused(run: Run, old: str, new: str) -> None:
    edit_config(run, old, new)
    with pytest.raises(RunError, match=r"config\.toml was changed since the run began.*design --config FILE"):
        begin_session(Run.open(run.path), pytest.fail)


def test_the_machine_s_settings_may_be_edited(run: Run) -> None:
    edit_config(run, "jobs = 0", "jobs = 3")
    begin_session(Run.open(run.path), pytest.fail)


def test_other_packages_are_told_once_and_kept_in_the_provenance(run: Run) -> None:
    now = run.read_provenance()
    older = replace(now, python="3.1.7", versions={**now.versions, "mujoco": "0.1"}, prompts="an older hash")
    records.write(older, run.layout.provenance)
    told: list[str] = []
    for _ in range(2):
        begin_session(Run.open(run.path), told.append)
    assert len(told) == 1
    assert f"mujoco 0.1 -> {now.versions['mujoco']}, Python 3.1 -> " in told[0]
    assert "the prompts" in told[0]
    noted = run.read_provenance()
    assert (noted.versions, noted.created) == (now.versions, now.created)
    assert [line.partition(": ")[2][:10] for line in noted.changes] == ["mujoco 0.1"]


def test_a_release_of_python_that_mends_faults_is_no_change(run: Run) -> None:
    now = run.read_provenance()
    minor = now.python.rpartition(".")[0]
    assert list_changes(replace(now, python=f"{minor}.99"), now) == []


# ---------------------------------------------------------------- settings that later versions do not have


@pytest.mark.parametrize(("keep", "said"), [("last", 0), ("best_return", 1)])
def test_a_run_with_a_setting_that_was_removed_since_opens_and_goes_on(tmp_path: Path, keep: str, said: int) -> None:
    run = make_run(tmp_path / "run", [[write_program(up=1.0), write_program(up=2.0)]])
    file = run.layout.config
    file.write_text(file.read_text().replace("[training]\n", f'[training]\nkeep = "{keep}"\n'))

    notices = [text for text in Run.open(run.path).take_notices() if text.startswith("training.keep")]
    assert len(notices) == said
    result = searches.continue_run(Run.open(run.path), executor=PlayedExecutor())
    assert result.reported is not None
    assert searches.continue_run(Run.open(run.path), executor=PlayedExecutor()) == result
