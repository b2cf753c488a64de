"""Stages of a card: each is a search of its own, and the next begins with its best policy."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from fakes.journals import canonical_events
from fakes.played_runs import TASK, PlayedExecutor, write_ledger, write_program

from rewardsmith.api import planning, searches
from rewardsmith.contract import records
from rewardsmith.contract.errors import FitnessError, RunError, TaskError
from rewardsmith.contract.records import Result, TrainJob
from rewardsmith.report import result_lines
from rewardsmith.search.callbacks import NullCallback
from rewardsmith.search.storage import Run
from rewardsmith.search.storage.journal import read_journal, strip_times
from rewardsmith.spec.config import resolve_config
from rewardsmith.spec.task_cards import Stage, load_card, load_task

STAGES = (Stage("Stand up", "mean(height)", 40), Stage("Run", "speed[-1]", 60))
STAGED = replace(TASK, stages=STAGES)
PROGRAMS = [[write_program(up=2.0, fast=1.0), write_program(up=1.0, fast=4.0)]]
"""The first program is the best for standing up and rising, the second for running."""


class Notices(NullCallback):
    """Keeps the notices."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def on_notice(self, text: str) -> None:
        self.texts.append(text)


class StageExecutor(PlayedExecutor):
    """Evaluates the fitness of each stage by the signal that it names."""

    def run(self, job, out, on_event=None, decide=None):  # type: ignore[no-untyped-def]
        result = super().run(job, out, on_event, decide)
        if getattr(job, "kind", "") != "evaluate" or "speed" not in job.fitness or job.policy is None:
            return result
        import numpy as np

        speed = float(np.load(Path(job.policy) / "weights.npz")["fast"])
        return replace(result, fitness=speed)

    def train(self, job, out):  # type: ignore[no-untyped-def]
        """An interrupt comes in a program's training; the baseline's run in a thread of their own."""
        if job.program is None:
            with self.lock:
                self.trained -= 1
        return super().train(job, out)


def make_staged_run(path: Path) -> Run:
    answers = write_ledger(path.with_name(f"{path.name}-ledger.jsonl"), PROGRAMS)
    search = {"population": 2, "generations": 1, "final_seeds": 2, "env_steps": 100, "designer": "llm"}
    llm = {"replay": str(answers), "replay_by": "position"}
    return Run.create(path, STAGED, resolve_config({"search": search, "llm": llm}))


def list_jobs(executor: PlayedExecutor) -> list[TrainJob]:
    return [job for job in executor.jobs if isinstance(job, TrainJob)]


def name_folder(job: TrainJob, run: Run) -> str | None:
    """Return where a training's initial policy lies in the run."""
    return job.initial_policy and str(Path(job.initial_policy.folder).relative_to(run.path))


def test_each_stage_is_a_run_that_the_next_continues(tmp_path: Path) -> None:
    run, executor, notices = make_staged_run(tmp_path / "run"), StageExecutor(), Notices()
    result = searches.continue_run(run, notices, executor)
    first, second = run.path / "previous-stage/previous-stage", run.path / "previous-stage"
    jobs = list_jobs(executor)

    # The searches, in the order of the stages.
    assert [(job.env_steps, job.fitness, name_folder(job, run)) for job in jobs if job.seed == 0][::2] == [
        (40, "mean(height)", None),
        (60, "speed[-1]", "previous-stage/previous-stage/candidates/g0c00/train-s0"),
        (100, "height[-1]", "previous-stage/candidates/g0c01/train-s0"),
    ]
    assert [Run.open(path).task.text for path in (first, second)] == ["Stand up", "Run"]
    assert (result.best.id, result.fitness) == ("g0c00", "height[-1]")
    assert any(text.startswith("stage 1: Stand up (40 steps a training)") for text in notices.texts)
    assert "stage 2: g0c01 ok, fitness 4" in notices.texts

    # The report: each fresh seed goes through all stages from nothing, and the baseline has as many steps.
    chain = {(name_folder(job, run), job.env_steps) for job in jobs if job.seed == 1000 and job.program}
    assert chain == {(None, 40), ("final/stage-1/train-s1000", 60), ("final/stage-2/train-s1000", 100)}
    baseline = [job for job in jobs if job.program is None]
    assert [(job.env_steps, job.initial_policy) for job in baseline] == [(200, None)] * 2
    assert [(stage.text, stage.reached, stage.env_steps) for stage in result.stages] == [
        ("Stand up", 2.0, 40),
        ("Run", 4.0, 60),
    ]
    assert result.env_steps == 2 * (40 + 60 + 100) + 2 * (40 + 60 + 100) + 2 * 200
    assert "stage 2, 60 steps: Run (selection score 4)" in "\n".join(result_lines.summarize_result(result))
    assert searches.find_complete_result(Run.open(run.path)) is not None


@pytest.mark.parametrize("trained", [1, 3, 5, 8])
def test_a_killed_curriculum_goes_on_to_the_same_result(trained: int, tmp_path: Path) -> None:
    whole = make_staged_run(tmp_path / "whole")
    expected = searches.continue_run(whole, executor=StageExecutor())
    run = make_staged_run(tmp_path / "run")
    with pytest.raises(KeyboardInterrupt):
        searches.continue_run(run, executor=StageExecutor(stop_after=trained))
    result = searches.continue_run(Run.open(run.path), executor=StageExecutor())
    assert _without_times(result) == _without_times(expected)
    for name in ("journal.jsonl", "previous-stage/journal.jsonl", "previous-stage/previous-stage/journal.jsonl"):
        assert canonical_events(read_journal(run.path / name)) == canonical_events(read_journal(whole.path / name))


def test_a_lost_policy_of_the_stage_before_is_one_line(tmp_path: Path) -> None:
    run = make_staged_run(tmp_path / "run")
    with pytest.raises(KeyboardInterrupt):
        searches.continue_run(run, executor=StageExecutor(stop_after=4))
    (run.path / "previous-stage/candidates/g0c01/train-s0/policy.safetensors").unlink()
    with pytest.raises(RunError, match=r"its policy is missing, and the next stage begins with it; restore") as caught:
        searches.continue_run(Run.open(run.path), executor=StageExecutor())
    assert "\n" not in str(caught.value)


def test_a_stage_with_an_unknown_signal_is_refused_before_anything_is_trained(tmp_path: Path) -> None:
    run, executor = make_staged_run(tmp_path / "run"), StageExecutor()
    wrong = replace(STAGED, stages=(STAGES[0], Stage("Fly", "mean(altitude)", 10)))
    records.write(wrong, run.layout.task)
    with pytest.raises(FitnessError, match=r"stage 2 of the card 'thing': .*altitude") as caught:
        searches.continue_run(Run.open(run.path), executor=executor)
    assert "\n" not in str(caught.value)
    assert not executor.jobs
    assert not run.layout.previous_stage_dir.exists()


def test_a_plan_counts_the_trainings_of_all_stages() -> None:
    sizes = {"population": 2, "generations": 2, "final_seeds": 3, "baseline": True, "designer": "symbolic"}
    plan = planning.plan_search(None, "hopper_back_flip_land", overrides={"search": sizes})
    assert [stage.env_steps for stage in plan.task.stages] == [150_000]
    assert plan.trainings == (4 + 6) + (4 + 3)
    assert plan.env_steps == 10 * plan.config.search.env_steps + 7 * 150_000


CARD = (Path(__file__).parents[2] / "envs/gymnasium_mujoco/hopper_back_flip_land.toml").read_text()


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("env_steps = 150_000", "env_steps = 0", "stage 1: env_steps is 0; 1 to 1,000,000,000,000 is allowed"),
        ('text = "Do a back flip: jump', 'text = ""#', "stage 1: text is empty"),
        ('"max(rotations(-torso_pitch, ground_force < 1))"', '"max(rotations(-torso_pitch"', "stage 1: "),
        ("env_steps = 150_000", "steps = 150_000", "steps"),
    ],
)
def test_a_wrong_stage_of_a_card_is_named_in_a_line(old: str, new: str, expected: str, tmp_path: Path) -> None:
    assert CARD.count(old) == 1
    path = tmp_path / "card.toml"
    path.write_text(CARD.replace(old, new))
    with pytest.raises(TaskError) as caught:
        load_card(path)
    assert expected in str(caught.value)
    assert str(path) in str(caught.value)


def test_stages_are_measured_with_the_card_alone() -> None:
    assert len(load_task(None, "hopper_back_flip_land").stages) == 1
    assert load_task(None, "hopper_back_flip").stages == ()


def _without_times(result: Result) -> object:
    return strip_times(records.dump(replace(result, run="")))
