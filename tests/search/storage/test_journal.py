import errno
import json
import os
import resource
import signal

import pytest
from fakes.journals import canonical_events

from rewardsmith.contract import bounded_files
from rewardsmith.contract.errors import RunError, UnwritableRun
from rewardsmith.contract.records import Episode, Evaluation, Reflection
from rewardsmith.search.storage.journal import Journal, read_journal


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal.jsonl"


def evaluation(wall_s: float, status: str = "ok") -> Evaluation:
    return Evaluation(status, (Episode(7, 1.5, 20, True),), 1.5, wall_s)


def test_a_step_that_is_done_is_not_run_again(path):
    calls = []

    def make():
        calls.append(1)
        return Reflection("better", ("alarm",))

    journal = Journal(path)
    first = journal.once("g0c00/analyzer", Reflection, make)
    journal.close()
    journal = Journal(path)
    assert journal.once("g0c00/analyzer", Reflection, make) == first
    assert len(calls) == 1
    journal.close()


def test_a_record_that_is_not_kept_is_made_again(path):
    journal = Journal(path)
    outcomes = iter([evaluation(1.0, "infrastructure"), evaluation(1.0)])
    statuses = [
        journal.once("g0c00/evaluator/s0", Evaluation, lambda: next(outcomes), keep=lambda e: e.status == "ok").status
        for _ in range(2)
    ]
    assert statuses == ["infrastructure", "ok"]
    assert len(list(journal)) == 1
    journal.close()


def test_a_torn_last_line_is_dropped_and_written_anew(path):
    journal = Journal(path)
    journal.append("g0c00/analyzer", Reflection("one"))
    journal.close()
    with path.open("ab") as file:
        file.write(b'{"key": "g0c01/analy')
    journal = Journal(path)
    assert "g0c01/analyzer" not in journal
    journal.append("g0c01/analyzer", Reflection("two"))
    journal.close()
    assert [event.key for event in read_journal(path)] == ["g0c00/analyzer", "g0c01/analyzer"]


def test_a_damaged_line_inside_is_named(path):
    path.write_text('{"key": 3\n{"key": "a", "step": "loop", "time": "", "data": 1}\n')
    with pytest.raises(RunError, match="line 1 is damaged"):
        Journal(path)


def test_a_second_process_is_refused(path):
    journal = Journal(path)
    child = os.fork()
    if child == 0:
        try:
            Journal(path)
        except RunError:
            os._exit(7)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    journal.close()


def test_the_step_is_told_by_the_key(path):
    journal = Journal(path)
    for key in ("g0c00/trainer/s0", "final/user/trainer/s1000", "g1/evolution/plan", "probe/loop"):
        journal.append(key, [])
    assert [event.step for event in journal] == ["trainer", "trainer", "evolution", "loop"]
    journal.close()


def test_a_full_disk_is_said_and_leaves_no_half_line(path):
    journal = Journal(path)
    journal.append("g0c00/analyzer", Reflection("one"))
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 10, hard))
    try:
        with pytest.raises(RunError, match=r"cannot write .*journal\.jsonl.*rewardsmith resume"):
            journal.append("g0c01/analyzer", Reflection("two"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert path.read_bytes() == before
    assert "g0c01/analyzer" not in journal
    journal.close()


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.EDQUOT])
def test_a_journal_that_cannot_be_written_is_not_told_as_damaged(path, monkeypatch, number):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(bounded_files, "open_regular", refuse)
    with pytest.raises(UnwritableRun, match=r"cannot write .*journal\.jsonl: .*then `rewardsmith resume") as caught:
        Journal(path)
    assert "damaged" not in str(caught.value)


def test_equal_runs_have_equal_canonical_journals(tmp_path):
    journals = []
    order = ("x/evaluator/s0", "y/evaluator/s0")
    for name, keys, wall_s in (("a", order, 1.0), ("b", order[::-1], 2.0)):
        journal = Journal(tmp_path / name)
        for key in keys:
            journal.append(key, evaluation(wall_s))
        journal.close()
        journals.append(read_journal(tmp_path / name))
    assert journals[0] != journals[1]
    assert canonical_events(journals[0]) == canonical_events(journals[1])


def test_a_line_is_plain_json(path):
    journal = Journal(path)
    journal.append("g0c00/evaluator/s0", evaluation(1.0))
    journal.close()
    assert json.loads(path.read_text())["data"]["episodes"][0]["fitness"] == 1.5
