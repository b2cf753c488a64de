"""Ablation: what each term of a program earns, with fresh seeds, resumable."""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
from fakes.played_runs import PlayedExecutor, make_finished_run, make_run, write_program
from typer.testing import CliRunner

from rewardsmith.api import searches
from rewardsmith.api.ablation import plan_ablation, run_ablation
from rewardsmith.cli.main import app
from rewardsmith.contract.errors import ConfigError, RunError
from rewardsmith.contract.records import Evaluation, TrainJob
from rewardsmith.contract.reward_program import parse_program
from rewardsmith.search import setup
from rewardsmith.search.callbacks import NullCallback
from rewardsmith.search.steps import trainer
from rewardsmith.search.storage import Run

PROGRAMS = [[write_program(up=2.0, fast=3.0, calm=0.0), write_program(up=1.0)]]


class NoisyExecutor(PlayedExecutor):
    """As its base, but the training seed adds a little to the height that is reached."""

    def run(self, job, out: Path, on_event=None, decide=None):
        record = super().run(job, out, on_event, decide)
        if not isinstance(record, Evaluation) or record.fitness is None or job.policy is None:
            return record
        noise = 0.01 * (int(Path(job.policy).name.removeprefix("train-s")) % 7)
        return Evaluation("ok", record.episodes, record.fitness + noise, 0.1)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return make_finished_run(tmp_path / "run", PROGRAMS)


def list_jobs(executor: PlayedExecutor) -> list[TrainJob]:
    return [job for job in executor.jobs if isinstance(job, TrainJob)]


def test_the_term_that_makes_the_fitness_earns_it_and_the_other_does_not(run: Run) -> None:
    outcome = run_ablation(run, plan_ablation(run), executor=NoisyExecutor())
    by_term = {term.term: term for term in outcome.terms}
    assert list(by_term) == ["up", "fast"]
    assert outcome.complete is not None
    assert outcome.complete.mean == pytest.approx(2.0, abs=0.1)
    assert by_term["up"].difference == pytest.approx(2.0)
    assert by_term["up"].verdict == "earns fitness"
    assert 1.9 < (by_term["up"].low or 0.0) < 2.0 < (by_term["up"].high or 0.0) < 2.1
    assert by_term["fast"].difference == pytest.approx(0.0)
    assert by_term["fast"].verdict == "no significant difference"


def test_every_program_is_trained_on_the_same_seeds_that_nothing_else_had(run: Run) -> None:
    executor = NoisyExecutor()
    run_ablation(run, plan_ablation(run, seeds=4), executor=executor)
    jobs = list_jobs(executor)
    seeds = {job.seed for job in jobs}
    assert len(jobs) == 3 * 4
    assert min(seeds) == trainer.ABLATION_SEEDS
    weights = {tuple(parse_program(job.program or "").weights.items()) for job in jobs}
    calm = ("calm", 0.0)
    assert weights == {
        (("up", 2.0), ("fast", 3.0), calm),
        (("up", 0.0), ("fast", 3.0), calm),
        (("up", 2.0), ("fast", 0.0), calm),
    }


def test_a_term_that_a_limit_holds_is_not_left_out(run: Run) -> None:
    training = replace(run.config.training, constraints=("calm <= 1",))
    run.config = run.config.model_copy(update={"training": training})
    assert list(plan_ablation(run).programs) == [None, "up", "fast"]
    run.config = run.config.model_copy(update={"training": replace(training, constraints=("fast <= 1",))})
    with pytest.raises(ConfigError, match="two terms with a weight or more"):
        plan_ablation(run)


def test_an_interrupted_ablation_trains_only_what_is_missing(run: Run) -> None:
    with pytest.raises(KeyboardInterrupt):
        run_ablation(run, plan_ablation(run), executor=NoisyExecutor(stop_after=4))
    plan = plan_ablation(run)
    assert 0 < plan.missing < 9
    executor = NoisyExecutor()
    resumed = run_ablation(run, plan, executor=executor)
    assert len(list_jobs(executor)) == plan.missing
    fresh = make_finished_run(run.path.with_name("other"), PROGRAMS)
    whole = run_ablation(fresh, plan_ablation(fresh), executor=NoisyExecutor())
    assert resumed.terms == whole.terms
    assert plan_ablation(run, seeds=5).missing == 3 * 2


def test_an_ablation_changes_nothing_of_the_search(run: Run) -> None:
    before = run.layout.result.read_bytes()
    run_ablation(run, plan_ablation(run), executor=NoisyExecutor())
    assert run.layout.result.read_bytes() == before
    run.layout.result.unlink()
    result = searches.continue_run(Run.open(run.path), executor=PlayedExecutor())
    assert result.env_steps == json.loads(before)["env_steps"]


def test_seeds_that_all_give_one_value_are_not_tested(run: Run) -> None:
    outcome = run_ablation(run, plan_ablation(run), executor=PlayedExecutor())
    assert {term.verdict for term in outcome.terms} == {"not tested: all seeds gave the same value"}
    assert outcome.terms[0].difference == pytest.approx(2.0)


def test_a_training_without_a_fitness_leaves_the_difference_open(run: Run) -> None:
    class FailingExecutor(NoisyExecutor):
        def train(self, job, out):
            training = super().train(job, out)
            if "'up': 0.0" not in (job.program or "").replace('"', "'") or job.seed != trainer.ABLATION_SEEDS:
                return training
            return type(training)("failed", job.seed, job.env_steps, (), 0.1, 0.1, 0.0, "it fell")

    notices: list[str] = []

    class Noted(NullCallback):
        def on_notice(self, text: str) -> None:
            notices.append(text)

    outcome = run_ablation(run, plan_ablation(run), Noted(), FailingExecutor())
    assert [term.verdict for term in outcome.terms] == ["a training failed", "no significant difference"]
    assert any("without-up/trainer/s500000000 gave no fitness: it fell" in notice for notice in notices)


@pytest.mark.parametrize("seeds", [0, 1, 501])
def test_a_number_of_seeds_that_gives_no_interval_is_refused(run: Run, seeds: int) -> None:
    with pytest.raises(ConfigError, match=f"--seeds {seeds}: an ablation takes 2 to 500"):
        plan_ablation(run, seeds=seeds)


def test_what_cannot_be_ablated_is_said_in_one_line(run: Run, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"has no candidate 'g9c00'; it has: g0c00, g0c01"):
        plan_ablation(run, "g9c00")
    with pytest.raises(ConfigError, match=r"two terms with a weight or more; g0c01 has 1 \(up\)"):
        plan_ablation(run, "g0c01")
    with pytest.raises(RunError, match="has no result yet"):
        plan_ablation(make_run(tmp_path / "begun"))


def test_the_command_says_what_it_would_train_and_for_how_long(run: Run) -> None:
    answer = CliRunner().invoke(app, ["ablate", str(run.path), "--dry-run"])
    assert answer.exit_code == 0, answer.output
    assert "complete and without each of: up, fast" in answer.output
    assert "they have the weight 0 or a limit: calm" in answer.output
    assert "3 programs × 3 fresh seeds = 9, each of 100 environment steps" in answer.output
    assert "Time       about" in answer.output
    plan = json.loads(CliRunner().invoke(app, ["ablate", str(run.path), "--dry-run", "--json"]).output)
    assert (plan["trainings"], plan["missing"], plan["env_steps"]) == (9, 9, 900)


def test_the_command_prints_a_table_and_json(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup, "open_run_executor", lambda *_: nullcontext(NoisyExecutor()))
    answer = CliRunner().invoke(app, ["ablate", str(run.path)])
    assert answer.exit_code == 0, answer.output
    rows = [line.split() for line in answer.output.splitlines()]
    assert ["up", "2"] in [row[:2] for row in rows]
    assert any(row[:1] == ["up"] and row[-2:] == ["earns", "fitness"] for row in rows)
    lines = CliRunner().invoke(app, ["ablate", str(run.path), "--json"]).output.splitlines()
    outcome = json.loads(lines[-1])
    assert outcome["event"] == "ablation"
    assert outcome["verdicts"] == {"up": "earns fitness", "fast": "no significant difference"}
