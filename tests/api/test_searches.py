import errno
import os
import shutil

import pytest
from fakes.small_search import SMALL_SEARCH

from rewardsmith.api import planning, searches
from rewardsmith.contract import records
from rewardsmith.contract.errors import ConfigError, RunError, UnwritableRun
from rewardsmith.executors import open_executor
from rewardsmith.search.callbacks import NullCallback


def test_the_limits_of_a_job_are_settings():
    defaults = planning.plan_search("Hop", "Hopper-v5", variables={}).config.limits
    assert (defaults.job_s, defaults.memory_mib) == (43_200.0, 4_096)
    sets = ("limits.job_s=none", "limits.memory_mib=900")
    plan = planning.plan_search("Hop", "Hopper-v5", sets=sets, variables={})
    with open_executor(plan.config, NullCallback().on_notice) as executor:
        assert (executor._time_limit_s, executor._memory_limit_mib) == (None, 900)


def test_more_jobs_than_the_machine_has_cores_are_told_and_run(monkeypatch):
    class Noting(NullCallback):
        def on_notice(self, text):
            told.append(text)

    told = []
    monkeypatch.setattr("rewardsmith.executors.host.count_cores", lambda: 1)
    monkeypatch.setattr("rewardsmith.executors.host.measure_free_memory_mib", lambda: None)
    plan = planning.plan_search("Hop", "Hopper-v5", sets=("jobs=64",), variables={})
    with open_executor(plan.config, Noting().on_notice) as executor:
        assert executor.slots == 64
    assert told == ["64 jobs at once on 1 core: each computes on one thread, so more than 1 gain nothing"]


def test_a_model_that_cannot_be_asked_leaves_no_directory(tmp_path, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    plan = planning.plan_search("Hop", "Hopper-v5", sets=("llm.model=m",), variables={})
    with pytest.raises(ConfigError, match="OPENAI_API_KEY"):
        searches.create_run(plan, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def create_small_run(folder):
    sets = [f"{name}={str(value).lower()}" for name, value in SMALL_SEARCH.items()]
    return searches.create_run(planning.plan_search("Balance", "CartPole-v1", sets=sets, variables={}), folder)


def test_a_file_that_a_full_disk_refuses_is_one_line_and_the_run_stays(tmp_path, monkeypatch):
    def refuse(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    run = create_small_run(tmp_path / "run")
    file = run.layout.candidate_record("g0c00")
    file.parent.mkdir(parents=True)
    with pytest.raises(UnwritableRun) as caught, searches.discard_unused(run), searches.open_journal(run):
        monkeypatch.setattr(records.json_files.os, "fsync", refuse)
        records.write_text(file, "{}")
    assert str(caught.value) == (
        f"cannot write {file}: the disk is full; make room, then `rewardsmith resume {run.path}` goes on"
    )
    assert list(file.parent.iterdir()) == []
    assert run.layout.config.is_file()


def test_a_run_directory_that_is_removed_while_it_runs_is_one_line(tmp_path):
    def write_file(run):
        run.layout.candidate_dir("g0c00").mkdir()

    def read_file(run):
        run.read_provenance()

    for number, use in enumerate((write_file, read_file)):
        run = create_small_run(tmp_path / f"run{number}")
        with pytest.raises(UnwritableRun, match="was removed or renamed while it ran"), searches.open_journal(run):
            shutil.rmtree(run.path)
            use(run)


def test_an_error_of_a_file_elsewhere_is_not_taken_for_the_run_s(tmp_path):
    run = create_small_run(tmp_path / "run")
    with pytest.raises(FileNotFoundError), searches.open_journal(run):
        (tmp_path / "none").read_text()


def test_a_new_run_that_a_mistake_ends_is_removed(tmp_path):
    run = create_small_run(tmp_path / "run")
    with pytest.raises(RunError), searches.discard_unused(run):
        raise RunError("no cluster answers")
    assert not run.path.exists()
