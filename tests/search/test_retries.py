"""A failure of the machine is tried again by `resume`, also in a finished run; finished work does not change."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
from fakes.journals import canonical_events
from fakes.played_search import PROGRAM, TASK, PlayedExecutor, ScriptedDesigner

from rewardsmith.api import searches
from rewardsmith.api.searches import SearchPlan
from rewardsmith.cli.main import app
from rewardsmith.contract import records
from rewardsmith.contract.errors import ConfigError
from rewardsmith.contract.records import Evaluation, Result
from rewardsmith.contract.reward_program import parse_program
from rewardsmith.search import setup
from rewardsmith.search.steps.critic import trial_scoring
from rewardsmith.search.storage import Event, Run
from rewardsmith.spec.config import resolve_config

WORTHS = [1.0, 3.0, 2.0, 4.0]
SIZES = {"population": 2, "generations": 2, "final_seeds": 2, "env_steps": 100, "designer": "symbolic"}


class Faulty(PlayedExecutor):
    """Trains like the others, but the machine fails in one folder."""

    def __init__(self, folder: str | None) -> None:
        super().__init__()
        self.folder = folder

    def run(self, job, out: Path, on_event=None, decide=None):
        result = super().run(job, out, on_event, decide)
        if self.folder is None or not str(out).endswith(self.folder):
            return result
        if isinstance(result, Evaluation):
            return Evaluation("infrastructure", (), None, 0.0, "the worker was killed")
        return replace(result, status="infrastructure", cause="the worker was killed")


@pytest.fixture
def carried_on(monkeypatch, tmp_path):
    """Run a search, with a machine that fails in a folder; again: a machine that does not."""
    designer = ScriptedDesigner(WORTHS)
    monkeypatch.setattr(setup, "build_designer", lambda run, models, watch: designer)
    monkeypatch.setattr(trial_scoring, "SLOW_US", math.inf)  # on a busy machine few transitions cost much each

    def run(name: str, fault: str | None = None, **search: object) -> Result:
        path = tmp_path / name
        config = resolve_config({"search": SIZES | search})
        found = Run.open(path) if path.exists() else Run.create(path, TASK, config)
        executor = Faulty(fault)
        executor.worth = {str(file.parent): float(file.read_text()) for file in tmp_path.rglob("worth")}
        result = searches.continue_run(found, executor=executor)
        for folder, worth in executor.worth.items():
            (Path(folder) / "worth").write_text(str(worth))
        return result

    return run


def untimed(result: Result) -> object:
    """Return a result without the times that were measured, its directory, and the number of wasted steps."""
    data = records.dump(replace(result, run="", env_steps=0))
    return canonical_events([Event("result", "loop", "", data)])


@pytest.mark.parametrize(
    "fault",
    [
        *("candidates/g1c01/train-s0", "candidates/g1c00/eval-s0", "final/g1c01/train-s1001"),
        *("final/g1c01/eval-s1000", "baseline/train-s1000", "baseline/eval-s1001", "baseline/eval-random"),
    ],
)
def test_a_finished_run_tries_again_what_the_machine_ended_and_comes_to_the_uninterrupted_result(
    carried_on, tmp_path, fault
):
    whole = carried_on("whole")
    broken = carried_on("broken", fault)
    assert (broken.reported, broken.baselines, broken.candidates) != (whole.reported, whole.baselines, whole.candidates)
    mended = carried_on("broken")
    assert untimed(mended) == untimed(whole)
    known = {event.key: event for event in canonical_events(Run.open(tmp_path / "broken").read_events())}
    assert all(known[event.key] == event for event in canonical_events(Run.open(tmp_path / "whole").read_events()))


def test_a_failure_that_comes_back_is_tried_once_by_each_call(carried_on):
    carried_on("run", "baseline/train-s1000")
    again = carried_on("run", "baseline/train-s1000")
    assert len(again.baselines.environment_reward.values) == 1


def test_a_candidate_of_an_earlier_generation_is_tried_again_and_the_later_generations_stay(carried_on, tmp_path):
    first = carried_on("run", "candidates/g0c01/train-s0", target_fitness=2.5)
    assert [one.status for one in first.candidates] == ["ok", "infrastructure", "ok", "ok"]
    before = {event.key: event for event in Run.open(tmp_path / "run").read_events()}
    # Its fitness of 3 reaches the target before the second generation, which has been run all the same.
    second = carried_on("run")
    assert [one.status for one in second.candidates] == ["ok"] * 4
    assert second.candidates[2:] == first.candidates[2:]
    assert second.best.id == "g1c01"
    after = {event.key: event for event in Run.open(tmp_path / "run").read_events()}
    assert all(after[key] == event for key, event in before.items())


@pytest.fixture
def measured(tmp_path):
    """Return a run that measures one program and has not started."""
    config = resolve_config({"search": SIZES | {"population": 1, "generations": 1}})
    return searches.create_run(
        SearchPlan(TASK, config, 2, 200, 0), tmp_path / "run", measured=parse_program(PROGRAM.format(worth=2.0))
    )


def test_a_run_of_one_program_that_was_interrupted_measures_it_and_searches_nothing(measured):
    class Interrupted(PlayedExecutor):
        def train(self, job, out):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        searches.continue_run(measured, executor=Interrupted())
    executor = PlayedExecutor()
    result = searches.continue_run(Run.open(measured.path), executor=executor)
    assert [one.id for one in result.candidates] == ["user"]
    trained = {job.program for job in executor.jobs if job.kind == "train"}
    assert trained == {PROGRAM.format(worth=2.0), None}


def test_a_run_of_one_given_program_is_measured_again_and_not_searched(measured):
    run = measured
    broken = searches.continue_run(run, executor=Faulty("final/user/train-s1000"))
    executor = Faulty(None)
    executor.worth = {str(run.path / f"final/user/train-s100{seed}"): 2.0 for seed in range(2)}
    mended = searches.continue_run(Run.open(run.path), executor=executor)
    assert (len(broken.reported.values), len(mended.reported.values)) == (1, 2)
    assert [job.seed for job in executor.jobs if job.kind == "train"] == [1000]


def test_a_resumed_run_may_be_given_more_memory_and_no_other_search(tmp_path, monkeypatch):
    run, seen = Run.create(tmp_path / "run", TASK, resolve_config({"search": SIZES})), []
    monkeypatch.setattr("rewardsmith.cli.resume.run_search", lambda run, *_: seen.append(run.config.limits.memory_mib))
    app(["resume", str(run.path), "--set", "limits.memory_mib=8192"], standalone_mode=False)
    assert seen == [8192]
    with pytest.raises(ConfigError, match="only budget, llm, jobs, limits and executor may change"):
        app(["resume", str(run.path), "--set", "search.population=3"], standalone_mode=False)
