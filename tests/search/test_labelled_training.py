"""Labelled captions end to end: a real worker reports them, a model's answers come back while it trains."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.labelling_case import ROOM, KeyLover
from fakes.paths import TESTS
from fakes.training_case import SMALL

from rewardsmith.contract.captions import CaptionLabel
from rewardsmith.contract.records import EnvSpec, EvaluateJob, Signal, TrainJob
from rewardsmith.executors.local import LocalExecutor
from rewardsmith.llm import Budget, Ledger, RecordedModel
from rewardsmith.sandbox.recorded import EpisodeFile
from rewardsmith.search.caption_labeller import open_labeller
from rewardsmith.search.storage import Run
from rewardsmith.spec.config import resolve_config
from rewardsmith.spec.learned_signals import add_learned_signals, parse_signal_options
from rewardsmith.spec.settings import BudgetSettings, LlmSettings
from rewardsmith.spec.task_cards import Task

OPTION = "told = { provider = 'labelled', text = 'message', events = ['keys'] }"
ENV = add_learned_signals(EnvSpec(ROOM), parse_signal_options([OPTION]), "--signal")
PROGRAM = "def reward(after):\n    return {'told': after.told}\n"
LABELS = [
    CaptionLabel("You take a key.; keys rises", True),
    CaptionLabel("It is a wall.", False),
]


class Models:
    """The models of a run, with one connection."""

    def __init__(self, run: Run, connection: KeyLover) -> None:
        ledger = Ledger(run.layout.ledger)
        budget = Budget(BudgetSettings(), ledger.most_spent)
        self.model = RecordedModel(LlmSettings(model="small"), ledger, budget, lambda: connection)

    def for_role(self, role: str) -> RecordedModel:
        assert role == "labeller"
        return self.model


@pytest.fixture
def executor(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalExecutor]:
    monkeypatch.setenv("PYTHONPATH", str(TESTS))
    executor = LocalExecutor(1)
    yield executor
    executor.close()


def test_labels_arrive_during_a_training_and_a_second_one_has_them_from_the_start(
    tmp_path: Path, executor: LocalExecutor
) -> None:
    run = Run.create(tmp_path / "run", Task("room", "Find the key.", ENV, "", "", "length"), resolve_config())
    job = TrainJob(ENV, PROGRAM, "length", 0, 2048, SMALL)
    connection, notices = KeyLover(), list[str]()
    with open_labeller(run, Models(run, connection), executor, notices.append):  # type: ignore[arg-type]
        first = executor.run(job, run.path / "candidates" / "g0c00" / "train-s0")
    assert first.status == "ok", first.cause
    table = run.layout.label_table("told").read_text()
    assert all(f'"{label.caption}", "helpful": {str(label.helpful).lower()}' in table for label in LABELS)
    assert 1 <= len(connection.requests) <= 2 and not notices

    # Nothing is asked now: what the table has is known to every job below the run directory.
    out = run.path / "candidates" / "g0c01" / "train-s0"
    second = executor.run(TrainJob(ENV, PROGRAM, "length", 1, 2048, SMALL), out)
    assert second.curve[0].terms["told"] > 0.0
    evaluation = run.path / "candidates" / "g0c01" / "eval-s0"
    executor.run(EvaluateJob(ENV, None, "length", (1, 2, 3, 4), ("told", "keys")), evaluation)
    for index in range(4):
        episode = EpisodeFile.in_folder(evaluation).read_rollout(index, terminated=False).signals
        assert episode["told"].tolist() == episode["keys"].tolist()


def test_the_text_is_no_number_until_a_signal_asks_for_it() -> None:
    from rewardsmith.worker.envs.catalogue import survey_environment

    assert "message" not in {signal.name for signal in survey_environment(EnvSpec(ROOM)).signals}
    assert (
        Signal("message", (256,), "1", "", "").shape
        == {s.name: s.shape for s in survey_environment(ENV).signals}["message"]
    )
