"""Checks during a training that a program still gives the same scores; honest programs are not affected."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fakes.training_case import PENDULUM, SMALL, UPRIGHT, job

from rewardsmith.contract import records
from rewardsmith.contract.records import ReferenceScores, Training, TrainJob
from rewardsmith.contract.reward_program import parse_program
from rewardsmith.worker.training import score_checks
from rewardsmith.worker.training.score_checks import KEPT_TRANSITIONS, ScoreChecker
from rewardsmith.worker.training.train import run

STEADY_MEMORY = """
MEMORY = {"best": 0.0}

def reward(after, memory):
    best = np.maximum(memory.best, np.abs(after.obs[:, 1]))
    gain = best - memory.best
    memory.best = best
    return {"gain": gain}
"""
LATE_STATE = """
CALLS = np.zeros(1)

def reward(after):
    np.add(CALLS, 1.0, out=CALLS)
    return {"up": after.obs[:, 1] + (CALLS > 3)}
"""
LATE_MEMORY = """
CALLS = np.zeros(1)
MEMORY = {"best": 0.0}

def reward(after, memory):
    np.add(CALLS, 1.0, out=CALLS)
    return {"up": after.obs[:, 1] + (CALLS > 70)}
"""
SIZE_OF_THE_CALL = 'def reward(after):\n    return {"up": after.obs[:, 1] + len(after.obs)}\n'
OTHER_NAMES_LATER = """
CALLS = np.zeros(1)

def reward(after):
    np.add(CALLS, 1.0, out=CALLS)
    return {"late" if CALLS > 2 else "early": after.obs[:, 1]}
"""
FAILS_WHEN_SMALL = 'def reward(after):\n    return {"up": after.obs[:, 1] + 0 * after.obs[255, 1]}\n'


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the parts that are scored again."""
    sizes: list[int] = []
    score_again = ScoreChecker._score_again

    def count_check(self: ScoreChecker, process: object, batch: score_checks.ScoredBatch) -> None:
        sizes.append(batch.transitions.n)
        score_again(self, process, batch)  # type: ignore[arg-type]

    monkeypatch.setattr(ScoreChecker, "_score_again", count_check)
    return sizes


def reference(**terms: float) -> ReferenceScores:
    """Return a reference of one transition: a pole at an angle of 0.1, and what its terms are said to be."""
    obs = (0.0, 0.1, 0.0, 0.0)
    return ReferenceScores((0.5,), {}, {"obs": obs}, {}, {name: (value,) for name, value in terms.items()})


def trained(tmp_path: Path, program: str, **changes: object) -> Training:
    return run(job(program, **({"env_steps": 1024} | changes)), tmp_path)


@pytest.mark.parametrize(
    ("program", "cause"),
    [
        (LATE_STATE, "that it had scored"),
        (LATE_MEMORY, "that it had scored"),
        (SIZE_OF_THE_CALL, "the term 'up' gave"),
        (OTHER_NAMES_LATER, "are not those of an earlier call"),
        (FAILS_WHEN_SMALL, "transitions that it had scored before: IndexError"),
    ],
    ids=["state", "state-beside-memory", "size", "names", "failure"],
)
def test_a_program_that_does_not_score_as_before_fails_with_the_reason(
    tmp_path: Path, program: str, cause: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The draw is an honest one; here the parts are small, so that one training is enough.
    monkeypatch.setattr(ScoreChecker, "_draw_size", lambda self, most: max(1, most // 3))
    training = trained(tmp_path, program)

    assert training.status == "failed"
    assert cause in (training.cause or "")
    assert "\n" not in (training.cause or "")
    assert not (tmp_path / "policy.json").exists()


def test_a_changed_score_is_told_with_both_values(tmp_path: Path) -> None:
    training = trained(tmp_path, SIZE_OF_THE_CALL, reference=reference(up=3.1))

    assert "a reward must depend on its arguments alone" in (training.cause or "")


@pytest.mark.parametrize(
    ("terms", "cause"),
    [
        ({"upright": 0.5, "effort": -0.25}, "the term 'upright' gave"),
        ({"height": 1.0}, "the terms 'upright', 'effort' are not those of the trial scoring, 'height'"),
    ],
    ids=["values", "names"],
)
def test_a_training_whose_scores_are_not_those_of_the_trial_scoring_fails(
    tmp_path: Path, terms: dict[str, float], cause: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(score_checks, "INTERVAL", 1)  # a check after every rollout, of which half are of the reference
    training = trained(tmp_path, UPRIGHT, reference=reference(**terms), env_steps=16 * 256)

    assert training.status == "failed"
    assert cause in (training.cause or "")


HONEST_REFERENCE = reference(upright=float(np.exp(-20.0 * 0.1**2)), effort=-0.25)


@pytest.mark.parametrize("trainer", ["fast", "td3"])
@pytest.mark.parametrize(
    ("program", "known"), [(UPRIGHT, HONEST_REFERENCE), (STEADY_MEMORY, None)], ids=["plain", "memory"]
)
def test_an_honest_training_is_the_same_to_the_last_bit_with_the_checks(
    tmp_path: Path,
    program: str,
    known: ReferenceScores | None,
    trainer: str,
    checks: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = replace(SMALL, trainer=trainer)
    if trainer == "td3":
        settings = replace(settings, off_policy=replace(settings.off_policy, learning_starts=64, net_arch=(16,)))
    whole = job(program, settings=settings, env_steps=1024, env=replace(PENDULUM, max_episode_steps=6), reference=known)
    policies = []
    for name in ("checked", "unchecked"):
        (tmp_path / name).mkdir()
        training = run(whole, tmp_path / name)
        assert (training.status, training.cause) == ("ok", None)
        policies.append((tmp_path / name / "policy.safetensors").read_bytes())
        if name == "checked":
            assert len(checks) >= 3
            monkeypatch.setattr(ScoreChecker, "check_scores", lambda *_: None)
    assert policies[0] == policies[1]


def test_the_moments_and_sizes_are_other_ones_each_time() -> None:
    drawn = []
    for _ in range(2):
        checker = ScoreChecker(parse_program(UPRIGHT), 10**6, None)
        drawn.append([(checker._draw_interval(), checker._draw_size(KEPT_TRANSITIONS)) for _ in range(20)])
    assert drawn[0] != drawn[1]
    assert all(1 <= size <= KEPT_TRANSITIONS for _, size in drawn[0])


def test_the_layers_that_held_the_program_stand_in_the_training(tmp_path: Path) -> None:
    assert {"seccomp", "limits", "no-new-privs"} <= set(trained(tmp_path, UPRIGHT).layers)
    assert run(job(None), tmp_path).layers == ()


def test_a_job_with_a_reference_travels_as_json() -> None:
    whole: TrainJob = job(UPRIGHT, reference=HONEST_REFERENCE)
    assert records.load(TrainJob, records.dump(whole)) == whole
