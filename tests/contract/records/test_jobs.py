"""The job records: each has its type of result, on disk and for a failure."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rewardsmith.contract import records
from rewardsmith.contract.records import (
    CurvePoint,
    EnvSpec,
    EvaluateJob,
    Evaluation,
    Job,
    JobResult,
    PolicyJob,
    Probe,
    ProbeJob,
    RenderJob,
    Training,
    TrainJob,
    Video,
    load_job,
)

ENV = EnvSpec("Pendulum-v1")
JOBS: tuple[tuple[Job[JobResult], str, type[JobResult]], ...] = (
    (ProbeJob(ENV, 0, 16), "probe", Probe),
    (TrainJob(ENV, None, "length", 7, 100), "train", Training),
    (EvaluateJob(ENV, "policy", "length", (1, 2)), "evaluate", Evaluation),
    (RenderJob(ENV, None, "length", 7), "render", Video),
)


@pytest.mark.parametrize(("job", "kind", "result_type"), JOBS)
def test_a_job_returns_from_its_json(job: Job[JobResult], kind: str, result_type: type[JobResult]) -> None:
    data = json.loads(json.dumps(records.dump(job)))
    assert data["kind"] == kind
    assert load_job(data) == job


@pytest.mark.parametrize(("job", "kind", "result_type"), JOBS)
def test_a_job_that_could_not_be_done_has_a_result_of_its_kind(
    job: Job[JobResult], kind: str, result_type: type[JobResult]
) -> None:
    result = job.build_unfinished("infrastructure", "the node was lost")
    assert type(result) is job.result_type is result_type
    assert (result.status, result.cause) == ("infrastructure", "the node was lost")
    assert records.load(job.result_type, records.dump(result)) == result


def test_an_unfinished_training_keeps_its_curve() -> None:
    curve = (CurvePoint(50, 1, 1.0, 10.0, 0.5),)
    result = TrainJob(ENV, None, "length", 7, 100).build_unfinished("timeout", "late", curve)
    assert (result.seed, result.env_steps, result.curve) == (7, 50, curve)


def test_the_jobs_in_which_a_policy_acts_take_it_from_another_folder() -> None:
    moved = [job.with_policy(Path("there")).policy for job, *_ in JOBS if isinstance(job, PolicyJob)]
    assert moved == ["there", "there"]
