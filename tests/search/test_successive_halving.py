import threading

import pytest

from rewardsmith.contract.errors import RunError
from rewardsmith.contract.records import Rung
from rewardsmith.search.storage import Journal
from rewardsmith.search.successive_halving import SuccessiveHalving, decide_rung

FITNESS = {"a": 1.0, "b": 4.0, "c": 2.0, "d": 3.0}


@pytest.fixture
def journal(tmp_path):
    journal = Journal(tmp_path / "journal.jsonl")
    yield journal
    journal.close()


def run(
    race: SuccessiveHalving, trainings: dict[tuple[str, int], float | None], rung: int = 100
) -> dict[tuple[str, int], bool]:
    """Take trainings to a rung, each in a thread; return which go on."""
    answers: dict[tuple[str, int], bool] = {}

    def report(candidate: str, seed: int, fitness: float | None) -> None:
        answers[candidate, seed] = race.should_continue(candidate, seed, Rung(rung, fitness, ()))

    threads = [threading.Thread(target=report, args=(*who, fitness)) for who, fitness in trainings.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=10)
        assert not thread.is_alive()
    return answers


def test_the_better_half_goes_on(journal):
    race = SuccessiveHalving(journal, 0, list(FITNESS), [0], 0.5)
    answers = run(race, {(id, 0): fitness for id, fitness in FITNESS.items()})
    assert {id for (id, _), goes_on in answers.items() if goes_on} == {"b", "d"}
    assert "g0/evolution/100" in journal


def test_one_that_left_is_not_waited_for(journal):
    race = SuccessiveHalving(journal, 0, ["a", "b", "c"], [0], 0.5)
    race.withdraw("c")
    assert run(race, {("a", 0): 1.0, ("b", 0): 2.0}) == {("a", 0): False, ("b", 0): True}


def test_one_that_leaves_last_frees_those_who_wait(journal):
    race = SuccessiveHalving(journal, 0, ["a", "b"], [0], 0.5)
    timer = threading.Timer(0.1, race.withdraw, ["b"])
    timer.start()
    assert run(race, {("a", 0): -1.0}) == {("a", 0): True}


def test_a_candidate_stands_at_the_mean_of_its_seeds_and_a_failed_seed_is_not_waited_for(journal):
    race = SuccessiveHalving(journal, 0, ["a", "b"], [0, 1], 0.5)
    race.withdraw("b", 1)
    answers = run(race, {("a", 0): 0.0, ("a", 1): 3.0, ("b", 0): 2.0})
    assert answers == {("a", 0): False, ("a", 1): False, ("b", 0): True}


def test_a_resumed_race_takes_the_decision_from_the_journal(journal):
    race = SuccessiveHalving(journal, 0, ["a", "b"], [0], 0.5)
    run(race, {("a", 0): 1.0, ("b", 0): 2.0})
    again = SuccessiveHalving(journal, 0, ["a", "b"], [0], 0.5)
    again.withdraw("a")
    assert run(again, {("b", 0): -9.0}) == {("b", 0): True}


def test_somebody_always_goes_on_and_a_missing_figure_ranks_last():
    assert decide_rung(100, {"a": [None], "b": [-5.0]}, 0.01).kept == ("b",)
    assert decide_rung(100, {"b": [None], "a": [None]}, 0.5).kept == ("a",)


def test_a_decision_that_cannot_be_written_ends_the_wait_of_all(journal, monkeypatch):
    def full(*_):
        raise RunError("the disk is full")

    monkeypatch.setattr(journal, "once", full)
    race = SuccessiveHalving(journal, 0, ["a", "b"], [0], 0.5)
    told: list[str] = []

    def report(candidate: str) -> None:
        try:
            race.should_continue(candidate, 0, Rung(100, 1.0, ()))
        except RunError as error:
            told.append(str(error))

    threads = [threading.Thread(target=report, args=(candidate,)) for candidate in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=10)
    assert told == ["the disk is full"] * 2


@pytest.mark.parametrize(("fitness", "goes_on"), [(3.0, True), (1.5, False)])
def test_one_that_the_machine_had_ended_is_judged_beside_those_of_the_decision(journal, fitness, goes_on):
    race = SuccessiveHalving(journal, 0, ["a", "b", "c"], [0], 0.5)
    race.withdraw("c")
    run(race, {("a", 0): 1.0, ("b", 0): 2.0})
    again = SuccessiveHalving(journal, 0, ["a", "b", "c"], [0], 0.25)
    again.withdraw("a")
    again.withdraw("b")
    assert run(again, {("c", 0): fitness}) == {("c", 0): goes_on}
