"""A search that starts from the user's program."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakes.played_search import BROKEN, PROGRAM, TASK, PlayedExecutor, ScriptedDesigner

from rewardsmith.contract.errors import ProgramError
from rewardsmith.contract.records import ProbeJob, Result
from rewardsmith.search.callbacks import NullCallback
from rewardsmith.search.loop import Search
from rewardsmith.search.steps.designer.user_program import UserProgramFirst
from rewardsmith.search.storage import Run
from rewardsmith.spec.config import resolve_config

SIZES = {"population": 2, "generations": 2, "final_seeds": 0, "env_steps": 100, "designer": "symbolic"}


def search(path: Path, source: str, designer: ScriptedDesigner, executor: PlayedExecutor, **settings) -> Result:
    config = resolve_config({"search": {**SIZES, **settings}})
    run = Run.create(path, TASK, config)
    (path / "user.py").write_text(source)
    journal = run.open_journal()
    try:
        return Search(run, journal, UserProgramFirst(designer, source), executor, NullCallback()).run_search()
    finally:
        journal.close()


def test_the_users_program_is_the_first_candidate_and_a_parent_of_the_next(tmp_path: Path) -> None:
    designer = ScriptedDesigner([0.0, 1.0, 2.0, 3.0])
    result = search(tmp_path / "run", PROGRAM.format(worth=7.0), designer, PlayedExecutor())
    first = result.candidates[0]
    assert (first.id, first.proposal.author, result.best.id) == ("g0c00", "user", "g0c00")
    assert designer.briefs[-1].parents[0].id == "g0c00"
    assert len(result.candidates) == 4


def test_the_users_program_can_be_the_whole_first_generation(tmp_path: Path) -> None:
    designer = ScriptedDesigner([0.0, 1.0, 2.0, 3.0])
    result = search(tmp_path / "run", PROGRAM.format(worth=1.5), designer, PlayedExecutor(), user_alone=True)
    assert [candidate.id for candidate in result.candidates] == ["g0c00", "g1c00", "g1c01"]


def test_a_refused_program_of_the_users_ends_the_search_before_anything_is_spent(tmp_path: Path) -> None:
    designer, executor = ScriptedDesigner([1.0] * 4), PlayedExecutor()
    with pytest.raises(ProgramError, match="hight") as caught:
        search(tmp_path / "run", BROKEN, designer, executor)
    assert [finding.line for finding in caught.value.findings] == [2]
    assert designer.briefs == []
    assert all(isinstance(job, ProbeJob) for job in executor.jobs)
