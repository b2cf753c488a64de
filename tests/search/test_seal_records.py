"""A search passes reference scores to its trainings, and records the seal that held them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from fakes.played_search import PROGRAM, TASK, PlayedExecutor, ScriptedDesigner

from rewardsmith.contract.records import Training, TrainJob
from rewardsmith.search.callbacks import NullCallback
from rewardsmith.search.loop import Search
from rewardsmith.search.storage import Run
from rewardsmith.spec.config import resolve_config

USUAL = ("namespaces", "empty-root", "no-privileges", "landlock", "limits", "no-new-privs", "seccomp")
LINE = "seccomp, no-new-privs, limits, landlock, namespaces, empty-root, no-privileges"
FEWER = LINE.replace("landlock, ", "") + " (fewer layers than usual: no Landlock on this kernel)"


class SealedExecutor(PlayedExecutor):
    """Executor whose trainings report layers; those of `fewer_seeds` ran where Landlock is missing."""

    def __init__(self, fewer_seeds: tuple[int, ...] = ()) -> None:
        super().__init__()
        self.fewer_seeds = fewer_seeds

    def train(self, job: TrainJob, out: Path) -> Training:
        missing = {"landlock"} if job.seed in self.fewer_seeds else set()
        layers = tuple(layer for layer in USUAL if layer not in missing)
        return replace(super().train(job, out), layers=layers if job.program else ())


class Notices(NullCallback):
    """Callback that records the notices to the user."""

    def __init__(self) -> None:
        self.notices: list[str] = []

    def on_notice(self, text: str) -> None:
        self.notices.append(text)


def run_search(path: Path, executor: PlayedExecutor) -> tuple[Run, list[str]]:
    settings = {"population": 1, "generations": 1, "final_seeds": 2, "env_steps": 100, "designer": "symbolic"}
    run = Run.open(path) if path.exists() else Run.create(path, TASK, resolve_config({"search": settings}))
    journal, callback = run.open_journal(), Notices()
    try:
        Search(run, journal, ScriptedDesigner([1.0]), executor, callback).run_search()
    finally:
        journal.close()
    return run, callback.notices


def test_every_training_of_a_program_gets_what_its_trial_scoring_gave(tmp_path: Path) -> None:
    executor = SealedExecutor()
    run_search(tmp_path / "run", executor)
    trainings = [job for job in executor.jobs if isinstance(job, TrainJob)]
    assert {job.program for job in trainings} == {PROGRAM.format(worth=1.0), None}
    for job in trainings:
        if job.program is None:
            assert job.reference is None
        else:
            assert job.reference is not None
            assert job.reference.terms["up"] == job.reference.after["height"]
            assert len(job.reference.terms["up"]) == 16


def test_a_resumed_search_gives_its_trainings_the_same(tmp_path: Path) -> None:
    first, second = SealedExecutor(), SealedExecutor()
    run, _ = run_search(tmp_path / "run", first)
    events = run.layout.journal.read_text().splitlines(keepends=True)
    kept = [line for line in events if "/trainer" not in line and "trainer/" not in line]
    run.layout.journal.write_text("".join(kept))
    run_search(tmp_path / "run", second)

    def references(executor: SealedExecutor) -> set[object]:
        return {repr(job.reference) for job in executor.jobs if isinstance(job, TrainJob) and job.program}

    assert references(first) == references(second) != set()


def test_the_provenance_has_the_layers_that_held_the_programs(tmp_path: Path) -> None:
    run, notices = run_search(tmp_path / "run", SealedExecutor())
    assert run.read_provenance().sandbox == (LINE,)
    assert not [notice for notice in notices if "layers" in notice]


def test_fewer_layers_than_usual_are_told_once_and_kept(tmp_path: Path) -> None:
    run, notices = run_search(tmp_path / "run", SealedExecutor(fewer_seeds=(1000, 1001)))
    assert set(run.read_provenance().sandbox) == {LINE, FEWER}
    assert notices.count(f"reward programs are held by {FEWER}") == 1


@pytest.mark.parametrize("fewer_seeds", [(), (1000,)], ids=["usual", "fewer"])
def test_the_report_has_a_line_about_the_layers(tmp_path: Path, fewer_seeds: tuple[int, ...]) -> None:
    from rewardsmith.report.html import write_report

    run, _ = run_search(tmp_path / "run", SealedExecutor(fewer_seeds))
    page = write_report(run).read_text()
    assert f"<dt>sandbox</dt><dd>{LINE}" in page
    assert ("fewer layers than usual: no Landlock" in page) == bool(fewer_seeds)
