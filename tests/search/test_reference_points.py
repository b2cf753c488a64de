"""Random actions and the environment's reward are measured before the programs, and stand in the prompts."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from fakes.played_search import PlayedExecutor, ScriptedDesigner, search

from rewardsmith.contract.records import EvaluateJob, ProbeJob, TrainJob
from rewardsmith.search.callbacks import NullCallback
from rewardsmith.search.training_facts import describe_training
from rewardsmith.spec.config import resolve_config

LLM = {"search": {"designer": "llm", "generations": 2}}
CODING_AGENT = {"search": {"designer": "coding-agent"}}


def run(tmp_path: Path, *sets: dict) -> tuple[ScriptedDesigner, PlayedExecutor]:
    designer, executor = ScriptedDesigner([1.0, 2.0, 3.0, 4.0]), PlayedExecutor()
    search(tmp_path, designer, executor, (LLM, *sets))
    return designer, executor


def test_random_actions_are_evaluated_before_the_first_program_is_written(tmp_path: Path) -> None:
    designer, executor = run(tmp_path)
    kinds = [type(job) for job in executor.jobs]
    assert kinds[:2] == [ProbeJob, EvaluateJob]
    assert executor.jobs[1].policy is None
    assert designer.briefs[0].scale == "Fitness is in m; for comparison: random actions 0."


def test_the_second_generation_is_told_what_the_environment_s_reward_reaches(tmp_path: Path) -> None:
    designer, executor = run(tmp_path)
    assert {brief.scale for brief in designer.briefs if brief.generation == 1} == {
        "Fitness is in m; for comparison: random actions 0, policies trained on the environment's own reward 5."
    }
    baseline = [job for job in executor.jobs if isinstance(job, TrainJob) and job.program is None]
    assert len(baseline) == 2  # once for each final seed: the report takes them from the journal


def test_a_coding_agent_is_told_the_same_as_a_language_model(tmp_path: Path) -> None:
    designer, executor = run(tmp_path, CODING_AGENT)
    assert executor.jobs[1].policy is None
    assert [brief.scale for brief in designer.briefs if brief.generation == 0] == [
        "Fitness is in m; for comparison: random actions 0."
    ] * 2
    assert "policies trained on the environment's own reward 5." in designer.briefs[-1].scale


def test_under_a_limit_of_wall_time_the_programs_come_first(tmp_path: Path) -> None:
    designer, executor = run(tmp_path, {"budget": {"wall_s": 1000.0}})
    assert "environment's own reward" not in designer.briefs[-1].scale
    trainings = [job for job in executor.jobs if isinstance(job, TrainJob)]
    assert all(job.program is not None for job in trainings[:4])


def test_a_search_without_a_language_model_measures_them_at_its_end(tmp_path: Path) -> None:
    executor = PlayedExecutor()
    search(tmp_path, ScriptedDesigner([1.0, 2.0, 3.0, 4.0]), executor)
    first_trainings = [job for job in executor.jobs if isinstance(job, TrainJob)][:4]
    assert all(job.program is not None for job in first_trainings)


def test_a_baseline_that_fails_is_left_out_of_the_prompts(tmp_path: Path) -> None:
    designer, executor = ScriptedDesigner([1.0, 2.0, 3.0, 4.0]), PlayedExecutor({5.0: "failed"})
    search(tmp_path, designer, executor, (LLM,))
    assert designer.briefs[-1].scale == "Fitness is in m; for comparison: random actions 0."


class Events(NullCallback):
    """Counts what a search tells of its trainings; a slow executor makes the two parts that train the baseline meet."""

    def __init__(self) -> None:
        self.ended: list[str] = []

    def on_training_end(self, training: str) -> None:
        self.ended.append(training)


class SlowBaseline(PlayedExecutor):
    """Plays trainings on the environment's reward slowly, so that the report begins before they end."""

    def run(self, job, out, on_event=None, decide=None):
        if isinstance(job, TrainJob) and job.program is None:
            time.sleep(0.3)
        return super().run(job, out, on_event, decide)


def test_each_baseline_is_trained_and_announced_once_also_if_the_report_meets_it(tmp_path: Path) -> None:
    executor, events = SlowBaseline(), Events()
    search(tmp_path, ScriptedDesigner([1.0, 2.0]), executor, (LLM, {"search": {"generations": 1}}), callback=events)
    baseline = [job.seed for job in executor.jobs if isinstance(job, TrainJob) and job.program is None]
    assert sorted(baseline) == sorted(set(baseline))
    assert len(baseline) == 2
    assert sorted(events.ended) == sorted(set(events.ended))


def test_a_search_that_people_rank_trains_no_baseline_before_they_have_answered(tmp_path: Path) -> None:
    _, executor = run(tmp_path, {"feedback": {"rank": "people"}})
    assert all(job.program is not None for job in executor.jobs if isinstance(job, TrainJob))


# ---------------------------------------------------------------- what a prompt says of the trainings


@pytest.mark.parametrize(
    ("training", "says", "hides"),
    [
        ({}, "PPO for 200,000 environment steps, discount 0.99 (69 steps away a reward counts half)", "gamma="),
        ({"gamma": 0.9999}, "Give `shaping.potential` gamma=0.9999.", "0.99 ("),
        ({"gamma": 0.9999}, "a constant can freeze the policy", "0.99 ("),
        ({"normalize_reward": False}, "A constant term pays for the length", "running deviation"),
        ({"trainer": "sac"}, "trained by SAC", "running deviation"),
    ],
)
def test_the_facts_of_training_follow_the_settings(training: dict, says: str, hides: str) -> None:
    text = describe_training(resolve_config({"training": training}))
    assert says in text
    assert hides not in text


def test_the_prompts_get_noise_once_there_are_three_programs(tmp_path: Path) -> None:
    designer = ScriptedDesigner([1.0, 2.0, 3.0, 2.5, 1.5, 4.0])
    search(tmp_path, designer, PlayedExecutor(), (LLM, {"search": {"population": 3}}))
    later = designer.briefs[-1]
    assert designer.briefs[0].noise is None
    assert later.noise is not None
    assert later.noise > 0.0
