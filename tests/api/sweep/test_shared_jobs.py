from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from rewardsmith.api.sweep.shared_jobs import SharedJobExecutor
from rewardsmith.contract import records
from rewardsmith.contract.records import EnvSpec, EvaluateJob, Evaluation, InitialPolicy, Training, TrainJob
from rewardsmith.executors.base import load_finished, prepare_folder
from rewardsmith.search.concurrency import results_or_raise, run_in_threads

ENV = EnvSpec("Hopper-v5")
OWN = TrainJob(ENV, None, "length", 0, 100)
PROGRAM = TrainJob(ENV, "def reward(after): ...", "length", 0, 100)
RANDOM = EvaluateJob(ENV, None, "length", (0, 1))


class Counting:
    """Writes a result for each job, and counts them."""

    slots = 2

    def __init__(self) -> None:
        self.homes: list[Path] = []

    def run(self, job, out, on_event=None, decide=None):
        known = load_finished(job, out)
        if known is not None:
            return known
        self.homes.append(out)
        prepare_folder(job, out)
        found = (
            Training("ok", job.seed, job.env_steps, (), 0.0, 0.0, 0.0)
            if isinstance(job, TrainJob)
            else Evaluation("ok", (), 1.0, 0.0)
        )
        (out / "policy.json").write_text("{}")
        records.write(found, out / "result.json")
        return found

    def close(self) -> None: ...


def test_jobs_without_a_program_are_done_once_for_all_who_ask_at_once(tmp_path: Path) -> None:
    inner = Counting()
    sharing = SharedJobExecutor(inner, tmp_path / "shared")
    results_or_raise(run_in_threads(lambda n: sharing.run(OWN, tmp_path / f"cell{n}"), range(5)))
    results_or_raise(run_in_threads(lambda n: sharing.run(RANDOM, tmp_path / f"random{n}"), range(5)))
    assert len(inner.homes) == 2
    assert all((tmp_path / f"cell{n}" / "policy.json").is_file() for n in range(5))
    assert load_finished(OWN, tmp_path / "cell3") is not None


def test_jobs_that_differ_are_done_apart(tmp_path: Path) -> None:
    inner = Counting()
    sharing = SharedJobExecutor(inner, tmp_path / "shared")
    for seed in range(3):
        sharing.run(TrainJob(ENV, None, "length", seed, 100), tmp_path / f"s{seed}")
    assert len(inner.homes) == 3


def test_equal_programs_are_trained_once_and_every_cell_gets_the_policy(tmp_path: Path) -> None:
    inner = Counting()
    sharing = SharedJobExecutor(inner, tmp_path / "shared")
    for cell in ("smith", "best_of_n"):
        sharing.run(PROGRAM, tmp_path / cell)
    sharing.run(replace(PROGRAM, program="def reward(before): ..."), tmp_path / "other")
    assert len(inner.homes) == 2
    assert (tmp_path / "best_of_n" / "policy.json").is_file()
    assert load_finished(PROGRAM, tmp_path / "smith") == load_finished(PROGRAM, tmp_path / "best_of_n")


def test_a_training_that_depends_on_its_cell_stays_where_it_is_asked_for(tmp_path: Path) -> None:
    inner = Counting()
    jobs = (replace(PROGRAM, rungs=(50,)), replace(PROGRAM, initial_policy=InitialPolicy("policies/a", "g0c00")))
    for number, job in enumerate(jobs):
        SharedJobExecutor(inner, tmp_path / "shared").run(job, tmp_path / f"mine{number}")
    assert inner.homes == [tmp_path / "mine0", tmp_path / "mine1"]
