"""Runs of format 1, written by an earlier version: read, shown, exported, resumed and refined."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from fakes.journals import canonical_events
from fakes.paths import FIXTURES

from rewardsmith.api import calls, searches
from rewardsmith.contract.errors import RunError
from rewardsmith.contract.records import Candidate, SlotAssignment
from rewardsmith.search.callbacks import NullCallback
from rewardsmith.search.feedback import load_state
from rewardsmith.search.storage import Event, Run
from rewardsmith.search.storage.format1 import upgrade_event, upgrade_record

OLD = FIXTURES / "format1"
CONTROL = ("baseline/trainer/s1000", "baseline/evaluator/s1000")
"""Events that no upgrade can change: where they differ, this processor trains differently from that of the fixtures."""
LEFT_OUT = ("approx_kl", "clip_fraction", "sample", "layers", "transcript")
"""Fields that format 1 did not have, and the digest of a prompt, whose words have changed since."""


class Notices(NullCallback):
    """Records the notices to the user."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def on_notice(self, text: str) -> None:
        self.texts.append(text)


@pytest.fixture
def old(tmp_path: Path):
    """Return a function that unpacks a run of format 1."""

    def unpack(name: str) -> Path:
        with tarfile.open(OLD / f"{name}.tar.gz") as archive:
            archive.extractall(tmp_path, filter="data")
        return tmp_path / name

    return unpack


def rewardsmith(*arguments: str, cwd: Path, fails: bool = False) -> str:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("OPENAI_", "REWARDSMITH_"))}
    command = [sys.executable, "-m", "rewardsmith", *arguments]
    answer = subprocess.run(command, cwd=cwd, env=kept, capture_output=True, text=True, timeout=300)
    assert (answer.returncode != 0) == fails, answer.stdout + answer.stderr
    return answer.stdout + answer.stderr


def expected_events(name: str) -> dict[str, Event]:
    text = (OLD / "expected" / name / "canonical.jsonl").read_text()
    return by_key(upgrade_event(Event(**json.loads(line))) for line in text.splitlines())


def found_events(run: Run) -> dict[str, Event]:
    return by_key(run.read_events())


def by_key(events: Iterable[Event]) -> dict[str, Event]:
    return {event.key: replace(event, data=without_fields(event.data)) for event in canonical_events(list(events))}


def without_fields(value):
    if isinstance(value, dict):
        return {key: without_fields(inner) for key, inner in value.items() if key not in LEFT_OUT}
    return [without_fields(inner) for inner in value] if isinstance(value, list) else value


def assert_as_expected(run: Run, name: str) -> None:
    expected, found = expected_events(name), found_events(run)
    assert list(found) == list(expected)
    if any(found[key] != expected[key] for key in CONTROL if key in expected):
        pytest.skip("this processor trains differently from the one of the fixtures: only the steps are compared")
    for key in expected:
        if found[key].step == "analyzer":
            assert set(found[key].data) >= set(expected[key].data)  # the words of a reflection have changed since
            continue
        assert replace(found[key], data=keep_fields_of(expected[key].data, found[key].data)) == expected[key], key


def keep_fields_of(expected, value):
    """Leave out of a value the fields that an expected one does not have, which are newer than the fixtures."""
    if isinstance(expected, dict) and isinstance(value, dict):
        return {key: keep_fields_of(expected[key], value[key]) for key in expected if key in value}
    if isinstance(expected, list) and isinstance(value, list) and len(expected) == len(value):
        return [keep_fields_of(*pair) for pair in zip(expected, value, strict=True)]
    return value


def assert_only_the_probe_is_said(notices: list[str]) -> None:
    (notice,) = notices
    assert notice.startswith("evaluation.probe_transitions = 32 is ignored")


# ---------------------------------------------------------------- reading


def test_a_finished_run_is_read_under_todays_names_and_left_as_it_is(old):
    path = old("finished")
    before = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
    run = Run.open(path)
    result = run.read_result()
    assert (run.format, result.best.id, result.best.fitness) == (1, "g0c00", 45.5)
    assert result.best.reflection is not None
    assert (result.reported.mean, result.baselines.environment_reward.mean) == (40.25, 36.5)
    assert [(metric.name, metric.reported.values) for metric in result.metrics][1] == ("fell", (1.0, 1.0))
    assert all(metric.environment_reward for metric in result.metrics)
    assert [one.id for one in run.read_candidates()] == ["g0c00", "g0c01", "g1c00", "g1c01"]
    assert run.read_candidates()[0] == result.best
    assert [metric.name for metric in run.task.metrics] == ["tilt", "fell"]
    assert run.read_probe().signals
    assert found_events(run) == expected_events("finished")
    assert_only_the_probe_is_said(run.take_notices())
    assert {file: file.read_bytes() for file in path.rglob("*") if file.is_file()} == before


@pytest.mark.parametrize("name", ["finished", "interrupted", "model", "trained"])
def test_every_event_is_read_under_todays_names(old, name):
    assert found_events(Run.open(old(name))) == expected_events(name)


@pytest.mark.parametrize(
    ("name", "id", "fitness"),
    [
        ("finished", "g0c00", "45.5"),
        ("interrupted", "g0c00", "45.5"),
        ("model", "g1c03", "26.5"),
        ("trained", "user", ""),
    ],
)
def test_a_run_is_shown_and_exported(old, name, id, fitness):
    path = old(name)
    shown = rewardsmith("show", name, cwd=path.parent)
    assert fitness in shown
    assert "fitness" in rewardsmith("show", name, "--candidate", id, cwd=path.parent)
    rewardsmith("export", name, "--out", "exported.py", cwd=path.parent)
    exported = (path.parent / "exported.py").read_text()
    run = Run.open(path)
    result = run.read_result()
    assert run.format == 1
    assert (result.best if result else run.read_candidates()[0]).proposal.source.strip() in exported


def test_what_people_said_in_a_run_is_read(old):
    state = load_state(Run.open(old("model")))
    assert len(state.events) == 15
    assert len(state.pending) == 4


def test_a_setting_that_is_gone_is_dropped_and_said_where_it_was_in_use(old):
    path = old("finished")
    file = path / "config.toml"
    file.write_text(file.read_text().replace("weight_slots = 0", "weight_slots = 2"))
    notice, _ = Run.open(path).take_notices()
    assert notice.startswith("evolution.weight_slots = 2 is ignored")


def test_a_later_format_is_refused(old):
    path = old("finished")
    file = path / "provenance.json"
    file.write_text(file.read_text().replace('"format": 1', '"format": 3'))
    with pytest.raises(RunError, match="has format 3; this rewardsmith reads the formats 1 and 2"):
        Run.open(path)


def test_values_that_are_gone_become_the_nearest_that_there_are():
    duplicate = upgrade_record(Candidate, {"id": "g0c01", "status": "duplicate", "fitness": 3.0, "gates": [{}]})
    assert duplicate == {"id": "g0c01", "status": "invalid", "fitness": None}
    weights = upgrade_record(SlotAssignment, {"mode": "weights", "parents": ["g0c00"], "told": None, "given": None})
    assert weights["mode"] == "refine"
    assert weights["visible_candidates"] is None


def test_a_term_with_the_name_of_a_renamed_field_keeps_it():
    point = {"env_steps": 1, "terms": {"feedback": 1.0, "figures": 2.0}}
    training = {"status": "ok", "curve": [point]}
    assert upgrade_record(Candidate, {"trainings": [training]})["trainings"][0]["curve"] == [point]


# ---------------------------------------------------------------- writing


def test_a_run_is_converted_once_with_its_old_journal_kept(old):
    path = old("finished")
    journal = (path / "journal.jsonl").read_bytes()
    read, candidates = Run.open(path).read_result(), Run.open(path).read_candidates()

    run = Run.open(path)
    run.open_journal().close()
    *settings, notice = run.take_notices()
    assert_only_the_probe_is_said(settings)
    assert "converted to format 2" in notice
    assert "journal.format1.jsonl" in notice
    assert (path / "journal.format1.jsonl").read_bytes() == journal

    again = Run.open(path)
    assert again.format == 2
    assert (again.read_result(), again.read_candidates()) == (read, candidates)
    assert found_events(again) == expected_events("finished")
    assert (path / "candidates" / "g0c00" / "reflection.md").is_file()
    assert not (path / "candidates" / "g0c00" / "feedback.md").exists()
    again.open_journal().close()
    assert again.take_notices() == []


def test_a_conversion_that_was_interrupted_is_done_again(old):
    path = old("finished")
    provenance = (path / "provenance.json").read_bytes()
    journal = (path / "journal.jsonl").read_bytes()
    Run.open(path).open_journal().close()
    files = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
    (path / "provenance.json").write_bytes(provenance)  # as if it had been killed before its last write
    assert found_events(Run.open(path)) == expected_events("finished")
    Run.open(path).open_journal().close()
    assert {file: file.read_bytes() for file in path.rglob("*") if file.is_file()} == files
    assert (path / "journal.format1.jsonl").read_bytes() == journal


def test_an_interrupted_run_comes_to_the_result_that_the_old_version_came_to(old):
    path = old("interrupted")
    notices = Notices()
    calls.resume(path, callback=notices)
    assert any("converted to format 2" in text for text in notices.texts)
    assert_as_expected(Run.open(path), "interrupted/resumed")


def test_a_finished_run_is_answered_as_it_stands(old):
    path = old("finished")
    journal = (path / "journal.jsonl").read_bytes()
    assert calls.resume(path).best.id == "g0c00"
    assert (path / "journal.jsonl").read_bytes() == journal


def test_a_run_goes_on_with_what_people_said_before_it_was_converted(old, monkeypatch):
    path = old("model")
    monkeypatch.chdir(path.parent)
    (path.parent / "inputs").mkdir()
    (path.parent / "inputs" / "answers.jsonl").write_bytes((OLD / "answers.jsonl").read_bytes())
    searches.run_next_generation(Run.open(path))
    assert_as_expected(Run.open(path), "model/refined")


def test_an_episode_of_a_run_is_found_for_a_video(old):
    path = old("finished")
    job = json.loads((path / "final" / "g0c00" / "eval-s1000" / "job.json").read_text())
    assert "measures" in job["env"]
    run = Run.open(path)
    run.convert_if_old()
    converted = json.loads((path / "final" / "g0c00" / "eval-s1000" / "job.json").read_text())
    signals, old_signals = converted["env"]["privileged_signals"], job["env"]["measures"]
    assert [signal["source"] for signal in signals] == [signal["source"] for signal in old_signals]
    assert signals[0]["name"] == "environment_reward"
