"""Finalists: fresh trainings after the last generation decide between the best programs."""

import threading
from dataclasses import replace

import pytest
from fakes.journals import canonical_events
from fakes.played_runs import PlayedExecutor as PlayedRunExecutor
from fakes.played_runs import make_finished_run, write_program
from fakes.played_search import PlayedExecutor, ScriptedDesigner, search

from rewardsmith.api import searches
from rewardsmith.contract.errors import RunError
from rewardsmith.contract.records import Finalist, Training, TrainJob
from rewardsmith.search import final_evaluation, finalists
from rewardsmith.search.finalists import read_finalists
from rewardsmith.search.steps import trainer
from rewardsmith.search.storage import Run
from rewardsmith.search.storage.journal import read_journal
from rewardsmith.search.storage.journal_keys import finalist_round_key
from rewardsmith.spec.config import resolve_config

FIRST = trainer.FINALIST_SEEDS
SHARE = ({"search": {"finalist_share": 0.5}},)
"""Of the four trainings of the played search: four more."""


FRESH_WORTH = {3.0: 1.0}
"""The program 3.0 was lucky in the search, and is worth 1.0 with a fresh seed."""


class UnevenExecutor(PlayedExecutor):
    """Trains nothing: a fresh seed gives some programs another fitness than the seed of the search."""

    def train(self, job: TrainJob, out) -> Training:
        training = super().train(job, out)
        worth = None if job.program is None else float(job.program.split("'up': ")[1].split("}")[0])
        if job.seed >= FIRST and worth in FRESH_WORTH:
            self.worth[str(out)] = FRESH_WORTH[worth] + 0.001 * (job.seed % 10)
        return training


def fresh_jobs(executor: PlayedExecutor) -> list[TrainJob]:
    return [job for job in executor.jobs if isinstance(job, TrainJob) and FIRST <= job.seed < trainer.FINAL_SEEDS]


def test_fresh_trainings_unmask_a_lucky_program(tmp_path):
    executor = UnevenExecutor()
    result = search(tmp_path, ScriptedDesigner([0.5, 3.0, 2.9, 0.4]), executor, sets=SHARE)
    assert result.best.id == "g1c00"
    fresh = {finalist.candidate: finalist.fitness for finalist in result.finalists}
    assert fresh["g0c01"][0] == pytest.approx(1.0)
    assert 2 <= len(fresh_jobs(executor)) <= 4
    assert result.env_steps == 100 * (4 + len(fresh_jobs(executor)) + 2 * 2)


def test_their_seeds_are_neither_those_of_the_search_nor_those_of_the_report(tmp_path):
    executor = UnevenExecutor()
    search(tmp_path, ScriptedDesigner([0.5, 3.0, 2.9, 0.4]), executor, sets=SHARE)
    config = resolve_config({})
    fresh = {job.seed for job in fresh_jobs(executor)}
    assert fresh <= set(trainer.training_seeds(config, trainer.FINALIST_SEEDS, 500))
    largest = [
        trainer.training_seeds(config, first, count) for first, count in ((0, 500), (FIRST, 500), (1_000, 1_000))
    ]
    assert len({seed for seeds in largest for seed in seeds}) == 2_000
    folders = {folder.name for folder in (tmp_path / "run" / "finalists").glob("*")}
    assert folders == {"g0c01", "g1c00"}


def test_without_a_share_nothing_is_trained_again(tmp_path):
    executor = UnevenExecutor()
    result = search(tmp_path, ScriptedDesigner([0.5, 3.0, 2.9, 0.4]), executor)
    assert (result.best.id, result.finalists, fresh_jobs(executor)) == ("g0c01", (), [])


def test_one_program_alone_needs_no_finalists(tmp_path):
    executor = UnevenExecutor({0.5: "failed", 2.9: "failed", 0.4: "failed"})
    result = search(tmp_path, ScriptedDesigner([0.5, 3.0, 2.9, 0.4]), executor, sets=SHARE)
    assert (result.best.id, result.finalists) == ("g0c01", ())


def test_a_finalist_whose_fresh_training_fails_is_not_named(tmp_path):
    class FreshFails(PlayedExecutor):
        def train(self, job, out):
            training = super().train(job, out)
            is_bad = job.program is not None and "'up': 3.0" in job.program and job.seed == FIRST
            return replace(training, status="failed", cause="it diverged") if is_bad else training

    result = search(tmp_path, ScriptedDesigner([0.5, 3.0, 2.9, 0.4]), FreshFails(), sets=SHARE)
    assert result.best.id == "g1c00"
    assert next(finalist for finalist in result.finalists if finalist.candidate == "g0c01").failures == 1


def test_the_order_of_completion_does_not_matter(tmp_path):
    class SecondFirst(UnevenExecutor):
        """Ends the second training of a round before the first."""

        def __init__(self):
            super().__init__()
            self.second_done = threading.Event()

        def train(self, job, out):
            if job.seed == FIRST and "g0c01" in str(out):
                self.second_done.wait(5.0)
            training = super().train(job, out)
            if job.seed == FIRST and "g1c00" in str(out):
                self.second_done.set()
            return training

    runs = []
    for number, executor in enumerate((UnevenExecutor(), SecondFirst())):
        folder = tmp_path / str(number)
        folder.mkdir()
        search(folder, ScriptedDesigner([0.5, 3.0, 2.9, 0.4]), executor, sets=SHARE)
        runs.append(canonical_events(read_journal(folder / "run" / "journal.jsonl")))
    assert runs[0] == runs[1]


class KilledExecutor(UnevenExecutor):
    """Dies at the given fresh training."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at, self.fresh_trainings = at, 0

    def train(self, job, out):
        if FIRST <= job.seed < trainer.FINAL_SEEDS:
            with self.lock:
                self.fresh_trainings += 1
                if self.fresh_trainings >= self.at:
                    raise KeyboardInterrupt
        return super().train(job, out)


@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_search_that_is_killed_among_its_finalists_ends_as_an_uninterrupted_one(tmp_path, at):
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    whole = search(tmp_path / "whole", ScriptedDesigner([0.5, 3.0, 2.9, 0.4]), UnevenExecutor(), sets=SHARE)
    with pytest.raises(KeyboardInterrupt):
        search(tmp_path / "killed", ScriptedDesigner([0.5, 3.0, 2.9, 0.4]), KilledExecutor(at), sets=SHARE)
    executor = UnevenExecutor()
    executor.worth = EveryFolder({"g0c00": 0.5, "g0c01": 3.0, "g1c00": 2.9, "g1c01": 0.4})
    resumed = search(tmp_path / "killed", ScriptedDesigner([None] * 4), executor)
    assert (resumed.best.id, resumed.finalists) == (whole.best.id, whole.finalists)
    journals = [
        canonical_events(read_journal(tmp_path / name / "run" / "journal.jsonl")) for name in ("whole", "killed")
    ]
    assert journals[0] == journals[1]


class EveryFolder(dict):
    """What the policy in a folder is worth, also in one that an earlier session trained."""

    def __init__(self, worth: dict[str, float]) -> None:
        super().__init__()
        self.known = worth

    def __missing__(self, folder: str) -> float:
        *_, phase, id, training = folder.split("/")
        seed = int(training.removeprefix("train-s"))
        worth = self.known[id]
        return (FRESH_WORTH.get(worth, worth) if phase == "finalists" else worth) + 0.001 * (seed % 10)


def test_a_failure_of_the_machine_among_the_finalists_is_tried_again(tmp_path):
    class MachineFails(UnevenExecutor):
        def train(self, job, out):
            training = super().train(job, out)
            return replace(training, status="infrastructure", cause="killed") if job.seed == FIRST else training

    first = search(tmp_path, ScriptedDesigner([0.5, 3.0, 2.9, 0.4]), MachineFails(), sets=SHARE)
    run = Run.open(tmp_path / "run")
    assert final_evaluation.lacks_results(run, first)
    executor = UnevenExecutor()
    executor.worth = EveryFolder({"g0c00": 0.5, "g0c01": 3.0, "g1c00": 2.9, "g1c01": 0.4})
    second = search(tmp_path, ScriptedDesigner([None] * 4), executor)
    assert second.best.id == "g1c00"
    assert not final_evaluation.lacks_results(Run.open(tmp_path / "run"), second)


def test_the_journal_says_what_was_trained_again(tmp_path):
    result = search(tmp_path, ScriptedDesigner([0.5, 3.0, 2.9, 0.4]), UnevenExecutor(), sets=SHARE)
    run = Run.open(tmp_path / "run")
    assert read_finalists(run) == result.finalists
    decided = [event for event in run.read_events() if event.key.startswith("finalists/evolution/")]
    assert decided[0].key == finalist_round_key(0)
    assert decided[0].data == {"candidates": ["g0c01", "g1c00"]}


def test_the_budget_of_steps_keeps_the_finalists_share(tmp_path):
    # 600 steps: a generation of 200, and half of the budget, 300, for three fresh trainings.
    sets = ({"search": {"finalist_share": 0.5}, "budget": {"env_steps": 600}},)
    executor = UnevenExecutor()
    result = search(tmp_path, ScriptedDesigner([2.9, 3.0, 1.0, 1.0]), executor, sets=sets)
    assert "are for the finalists" in result.stopped
    assert [candidate.id for candidate in result.candidates] == ["g0c00", "g0c01"]
    assert (result.best.id, len(fresh_jobs(executor)) <= 4) == ("g0c00", True)


def test_a_round_that_was_decided_is_finished_although_the_wall_clock_has_run_out_and_no_other_begins(tmp_path):
    sets = ({"search": {"finalist_share": 0.5}, "budget": {"wall_s": 1000}},)
    with pytest.raises(KeyboardInterrupt):
        search(tmp_path, ScriptedDesigner([0.5, 3.0, 2.9, 2.8]), KilledExecutor(1), sets=sets)
    (tmp_path / "run" / "clock.json").write_text('{"wall_s": 2000}')
    executor = UnevenExecutor()
    executor.worth = EveryFolder({"g0c00": 0.5, "g0c01": 3.0, "g1c00": 2.9, "g1c01": 2.8})
    result = search(tmp_path, ScriptedDesigner([None] * 4), executor)
    assert (len(fresh_jobs(executor)), "1000 s of wall time are over" in result.stopped) == (2, True)


def test_a_round_that_names_no_candidate_is_a_damaged_journal(tmp_path):
    search(tmp_path, ScriptedDesigner([0.5, 3.0, 2.9, 0.4]), UnevenExecutor(), sets=SHARE)
    journal = tmp_path / "run" / "journal.jsonl"
    text = journal.read_text(encoding="utf-8")
    journal.write_text(
        text.replace('{"candidates": ["g0c01", "g1c00"]}', '{"candidates": ["g9c09"]}'), encoding="utf-8"
    )
    with pytest.raises(RunError, match="a round of finalists names 'g9c09', no candidate"):
        search(tmp_path, ScriptedDesigner([None] * 4))


def test_candidates_ranked_by_comparisons_have_no_finalists(tmp_path):
    result = search(tmp_path, ScriptedDesigner([0.5, 3.0, 2.9, 0.4]))
    compared = [replace(candidate, standing=1.0) for candidate in result.candidates]
    assert finalists.choose_contenders(compared, resolve_config({}).evolution) == []


def test_every_finalist_that_failed_is_better_than_none(tmp_path):
    result = search(tmp_path, ScriptedDesigner([0.5, 3.0, 2.9, 0.4]))
    failed = [Finalist(candidate.id, (), 1) for candidate in result.candidates]
    assert finalists.name_best(result.candidates, failed, resolve_config({}).evolution).id == "g0c01"
    assert finalists.name_best((), failed, resolve_config({}).evolution) is None


def test_evaluations_of_finalists_use_the_episodes_of_the_selection(tmp_path):
    executor = UnevenExecutor()
    search(tmp_path, ScriptedDesigner([0.5, 3.0, 2.9, 0.4]), executor, sets=SHARE)
    selecting = {job.seeds for job in executor.jobs if job.kind == "evaluate" and "/run/candidates/" in str(job.policy)}
    deciding = {job.seeds for job in executor.jobs if job.kind == "evaluate" and "/run/finalists/" in str(job.policy)}
    assert deciding == selecting


def test_another_generation_goes_on_from_the_rounds_before_with_a_larger_share(tmp_path):
    programs = [[write_program(up=1.0), write_program(up=2.0)], [write_program(up=1.9), write_program(up=2.1)]]
    run = make_finished_run(tmp_path / "run", programs, search={"finalist_share": 0.5})
    before = [event for event in run.read_events() if event.key.startswith("finalists/evolution/")]
    executor = PlayedRunExecutor()
    result = searches.run_next_generation(Run.open(run.path), executor=executor)
    after = [event for event in run.read_events() if event.key.startswith("finalists/evolution/")]
    assert result.best.generation == 1
    assert (after[: len(before)], len(after) > len(before) > 0) == (before, True)
    trained = sum(len(finalist.fitness) for finalist in result.finalists)
    assert trained == sum(len(event.data["candidates"]) for event in after) <= 4
