from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from fakes.labelling_case import ROOM, KeyLover
from fakes.played_search import PlayedExecutor

from rewardsmith.contract.captions import CaptionLabel, CaptionPreference, Label, LabelTable
from rewardsmith.contract.errors import ConfigError, ModelUnavailable
from rewardsmith.contract.learned_signals import LabelledOptions
from rewardsmith.contract.records import EnvSpec, LearnedSignal
from rewardsmith.llm import Budget, Ledger, RecordedAnswers, RecordedModel
from rewardsmith.search.caption_labeller import CaptionLabeller, open_labeller
from rewardsmith.search.storage import Run
from rewardsmith.spec.config import resolve_config
from rewardsmith.spec.settings import BudgetSettings, LlmSettings
from rewardsmith.spec.task_cards import Task

SIGNAL = LearnedSignal("told", "labelled", "a test", options={"text": "message"})
TASK = Task("room", "Find the key.", EnvSpec(ROOM, learned_signals=(SIGNAL,)), "A corridor.", "a choice", "length")


def open_run(folder: Path) -> Run:
    return Run.create(folder / "run", TASK, resolve_config())


class Labelling:
    """A labeller of a run, and what it said to the user."""

    def __init__(
        self,
        run: Run,
        connection: KeyLover,
        recording: RecordedAnswers | None = None,
        limits: BudgetSettings | None = None,
        **options: object,
    ) -> None:
        self.notices: list[str] = []
        ledger = Ledger(run.layout.ledger)
        budget = Budget(limits or BudgetSettings(), ledger.most_spent)
        self.model = RecordedModel(LlmSettings(model="small"), ledger, budget, lambda: connection, recording)
        settings = LabelledOptions(**{"text": "message", **options})  # type: ignore[arg-type]
        self.labeller = CaptionLabeller(run, "told", settings, self.model, self.notices.append)
        self.table = run.layout.label_table("told")

    def labels(self) -> list[Label]:
        return list(LabelTable(self.table).read_new())


def wait_until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_captions_are_labelled_and_the_answer_is_in_the_ledger(tmp_path: Path) -> None:
    labelling = Labelling(open_run(tmp_path), connection := KeyLover())
    labelling.labeller.take_captions(["You take a key.", "It is a wall."])
    wait_until(lambda: len(labelling.labels()) == 2)
    labelling.labeller.close()
    assert labelling.labels() == [CaptionLabel("You take a key.", True), CaptionLabel("It is a wall.", False)]
    assert [entry.role for entry in labelling.model.ledger.entries] == ["labeller-told"]
    question = connection.requests[0].messages[1].content
    assert "Find the key." in question and "1. You take a key.\n2. It is a wall." in question


def test_a_training_never_waits_and_the_newest_captions_go_first(tmp_path: Path) -> None:
    connection = KeyLover()
    connection.allowed.clear()
    labelling = Labelling(open_run(tmp_path), connection, batch=2)
    labelling.labeller.take_captions(["one"])
    wait_until(lambda: len(connection.requests) == 1)
    labelling.labeller.take_captions(["two"])
    labelling.labeller.take_captions(["four", "three", "one"])  # returns although a call hangs
    connection.allowed.set()
    wait_until(lambda: len(labelling.labels()) == 4)
    labelling.labeller.close()
    asked = [request.messages[1].content for request in connection.requests]
    assert "1. four\n2. three" in asked[1] and "1. two" in asked[2]


def test_what_is_labelled_is_not_asked_again_by_a_resumed_run(tmp_path: Path) -> None:
    run = open_run(tmp_path)
    first = Labelling(run, KeyLover())
    first.labeller.take_captions(["a key", "a wall"])
    wait_until(lambda: len(first.labels()) == 2)
    first.labeller.close()
    first.table.unlink()  # it is made from the ledger

    again = Labelling(run, connection := KeyLover())
    assert again.labels() == [CaptionLabel("a key", True), CaptionLabel("a wall", False)]
    again.labeller.take_captions(["a wall", "a key", "a lamp"])
    wait_until(lambda: len(again.labels()) == 3)
    again.labeller.close()
    assert len(connection.requests) == 1 and "a wall" not in connection.requests[0].messages[1].content


def test_a_replayed_ledger_gives_its_labels_without_a_call(tmp_path: Path) -> None:
    recorded = Labelling(open_run(tmp_path / "a"), KeyLover())
    recorded.labeller.take_captions(["a key"])
    wait_until(lambda: len(recorded.labels()) == 1)
    recorded.labeller.close()

    recording = RecordedAnswers.open(recorded.table.parents[1] / "llm.jsonl", strict=True)
    replayed = Labelling(open_run(tmp_path / "b"), connection := KeyLover(), recording)
    assert replayed.labels() == [CaptionLabel("a key", True)]
    replayed.labeller.take_captions(["never seen"])
    wait_until(lambda: bool(replayed.notices))
    assert not connection.requests and "no more captions are labelled, and the trainings go on" in replayed.notices[0]


def test_its_calls_are_limited_over_all_sessions(tmp_path: Path) -> None:
    run = open_run(tmp_path)
    for session in range(2):
        labelling = Labelling(run, connection := KeyLover(), calls=2, batch=1)
        labelling.labeller.take_captions([f"{session} {number}" for number in range(4)])
        wait_until(lambda notices=labelling.notices: bool(notices))
        labelling.labeller.close()
        assert labelling.notices == ["told: its 2 calls are made; labels so far stay in use"]
        assert len(connection.requests) == (2 if session == 0 else 0)


def test_an_endpoint_that_fails_ends_the_labels_and_not_the_search(tmp_path: Path) -> None:
    def fail(_: object) -> str:
        raise ModelUnavailable("nobody answers")

    labelling = Labelling(open_run(tmp_path), KeyLover(fail))
    labelling.labeller.take_captions(["a key"])
    wait_until(lambda: bool(labelling.notices))
    labelling.labeller.close()
    assert labelling.notices == ["told: no more captions are labelled, and the trainings go on: nobody answers"]


def test_a_spent_budget_ends_the_labels_and_not_the_search(tmp_path: Path) -> None:
    labelling = Labelling(open_run(tmp_path), KeyLover(), limits=BudgetSettings(tokens=10))
    labelling.labeller.take_captions(["a key"])
    wait_until(lambda: bool(labelling.notices))
    labelling.labeller.close()
    assert "tokens for the language model are spent" in labelling.notices[0]


def test_an_answer_that_fits_no_caption_is_asked_for_again(tmp_path: Path) -> None:
    answers = iter(['{"helpful": [7]}', '{"helpful": [1]}', "no idea", "none"])
    labelling = Labelling(open_run(tmp_path), connection := KeyLover(lambda _: next(answers)), batch=1)
    labelling.labeller.take_captions(["a lamp"])
    wait_until(lambda: len(labelling.labels()) == 1)
    labelling.labeller.take_captions(["a rock"])
    wait_until(lambda: bool(labelling.notices))
    labelling.labeller.close()
    assert labelling.labels() == [CaptionLabel("a lamp", True)]
    assert "there is no caption 7; the last is 1" in connection.requests[1].messages[-1].content
    assert "told: 1 caption without a label: the model" in labelling.notices[0]


def test_captions_are_compared_in_pairs_where_they_are_ranked(tmp_path: Path) -> None:
    labelling = Labelling(open_run(tmp_path), KeyLover(), model="ranking")
    captions = ["a key", "a wall", "a lamp", "a rock"]
    labelling.labeller.take_captions(captions)
    wait_until(lambda: len(labelling.labels()) >= 3)
    labelling.labeller.close()
    for label in labelling.labels():
        assert isinstance(label, CaptionPreference) and label.first != label.second
        assert label.better == {"a key": {label.first: 1, label.second: 2}.get("a key", 0)}["a key"]


def test_an_executor_that_brings_no_captions_is_refused_in_one_line(tmp_path: Path) -> None:
    run = open_run(tmp_path)
    models = type("Models", (), {})()
    with pytest.raises(ConfigError, match=r"'told' is labelled while trainings run, .* brings no captions"):
        with open_labeller(run, models, PlayedExecutor(), print):
            pass


def test_a_run_without_labelled_signals_opens_nothing(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "run", replace(TASK, env=EnvSpec(ROOM)), resolve_config())
    with open_labeller(run, None, PlayedExecutor(), print):
        assert not (run.path / "labels").exists()
