from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from rewardsmith.contract.errors import RunError, UnwritableRun
from rewardsmith.contract.records import ModelUsage
from rewardsmith.llm import Ledger, LedgerEntry, Message, ModelAnswer, Request, ledger

REQUEST = Request("small", (Message("user", "12345678"),), 1.0, 100)


def entry(sample: int = 0, **changes: object) -> LedgerEntry:
    values: dict[str, object] = {
        "key": REQUEST.key("designer", sample),
        "role": "designer",
        "sample": sample,
        "request": REQUEST,
        "answer": ModelAnswer(f"answer {sample} µ\ud7ff", "stop", 10, 5),
        "cost_usd": 0.25,
        "latency_s": 1.5,
        "time": "2026-01-01T00:00:00+00:00",
    }
    return LedgerEntry(**(values | changes))  # type: ignore[arg-type]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "llm.jsonl"


def test_an_answer_is_found_again_by_another_session(path: Path) -> None:
    Ledger(path).append(entry())
    assert Ledger(path).find(REQUEST.key("designer", 0)) == entry()


def test_samples_of_one_request_are_kept_apart(path: Path) -> None:
    kept = Ledger(path)
    kept.append(entry(0))
    assert kept.find(REQUEST.key("designer", 1)) is None


def test_a_key_depends_on_everything_that_changes_the_answer() -> None:
    variants = [
        REQUEST.key("designer", 0),
        REQUEST.key("critic", 0),
        Request("large", REQUEST.messages, 1.0, 100).key("designer", 0),
        Request("small", REQUEST.messages, None, 100).key("designer", 0),
        Request("small", REQUEST.messages, 1.0, 101).key("designer", 0),
        Request("small", (Message("system", "12345678"),), 1.0, 100).key("designer", 0),
        Request("small", (Message("user", "1234"), Message("user", "5678")), 1.0, 100).key("designer", 0),
    ]
    assert len(set(variants)) == len(variants)


@pytest.mark.parametrize("cut", [1, 2, 40, 200])
def test_a_torn_last_line_is_dropped_and_written_over(path: Path, cut: int) -> None:
    kept = Ledger(path)
    kept.append(entry(0))
    kept.append(entry(1))
    path.write_bytes(path.read_bytes()[:-cut])
    again = Ledger(path)
    assert [found.sample for found in again.entries] == [0]
    again.append(entry(2))
    assert [found.sample for found in Ledger(path).entries] == [0, 2]


def test_a_damaged_line_before_the_last_is_told(path: Path) -> None:
    kept = Ledger(path)
    kept.append(entry(0))
    kept.append(entry(1))
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("{}\n" + lines[1])
    with pytest.raises(RunError, match="line 1 of the ledger"):
        Ledger(path)


def test_a_line_nested_without_end_is_told_as_a_damaged_one(path: Path) -> None:
    kept = Ledger(path)
    kept.append(entry(0))
    path.write_text("[" * 100_000 + "\n" + path.read_text())
    with pytest.raises(RunError, match="line 1 of the ledger"):
        Ledger(path)


def test_what_was_spent_counts_earlier_sessions_and_not_replays(path: Path) -> None:
    kept = Ledger(path)
    kept.append(entry(0))
    kept.append(entry(1, replayed=True))
    assert Ledger(path).spent == ModelUsage(1, 15, 0.25)


def test_uncounted_tokens_are_estimated_and_the_cost_stays_unknown(path: Path) -> None:
    kept = Ledger(path)
    kept.append(entry(0, answer=ModelAnswer("x" * 40, "stop"), cost_usd=None))
    assert kept.spent == ModelUsage(1, 2 + 10, None)


def test_a_full_disk_is_told_before_a_call_is_paid_for(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "FREE_BYTES", 1 << 62)
    with pytest.raises(RunError, match=r"disk .* is full.*resume"):
        Ledger(path).check_space()


def test_a_failed_write_leaves_the_earlier_answers_whole(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Ledger(path)
    kept.append(entry(0))

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(ledger.os, "fsync", full)
        with pytest.raises(UnwritableRun, match="the disk is full; make room"):
            kept.append(entry(1))
    assert kept.find(REQUEST.key("designer", 1)) is None
    kept.append(entry(2))
    assert [found.sample for found in Ledger(path).entries] == [0, 2]


def test_an_unreadable_ledger_is_told(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="cannot read the ledger"):
        ledger.read_ledger(tmp_path / "none.jsonl")
