"""Behaviour descriptors that the model proposes: asked once, tried on random actions, and the task's from then on."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fakes.scripted_model import Script
from fakes.worker_calls import InProcessExecutor

from rewardsmith.contract.errors import ConfigError, FitnessError, ModelRefused
from rewardsmith.contract.fitness import Fitness, Rollout
from rewardsmith.contract.records import BehaviourDescriptor, EvaluateJob, Evaluation, Probe, ProbeJob, Signal
from rewardsmith.search import behaviour_proposal, proposal_material
from rewardsmith.search.probe import probe_environment
from rewardsmith.search.storage import Run
from rewardsmith.search.storage.journal_keys import BEHAVIOUR_KEY
from rewardsmith.spec.config import resolve_config
from rewardsmith.spec.task_cards import load_task

SPEED = {"name": "speed", "expression": "mean(x_velocity)", "low": -2, "high": 4.5, "bins": 6}
HEIGHT = {"name": "height", "expression": "max(torso_height)", "low": 1, "high": 2, "bins": 5}


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proposal_material, "EPISODES", 1)


class Pool:
    """Gives the same model to every role."""

    def __init__(self, *answers: str) -> None:
        self.model = Script(list(answers))

    def for_role(self, role: str) -> Script:
        return self.model


def answer(*descriptors: dict[str, object]) -> str:
    return json.dumps({"descriptors": descriptors, "reason": "How it hops."})


SIGNALS = (
    Signal("torso_height", (), "m", "Height of the thing.", "obs[0]"),
    Signal("x_velocity", (), "m/s", "Speed of the thing.", "obs[1]"),
)
REWARD = Signal("environment_reward", (), "1", "Pay.", "environment_reward")
LEVELS = {None: 0.3, "none": 0.0, "largest": 1.0, "sine": 0.5}


class LevelExecutor:
    """Simulates nothing: random actions and each motion have a speed and a height of their own."""

    slots = 2

    def run(self, job, out: Path, on_event=None, decide=None):
        if isinstance(job, ProbeJob):
            out.mkdir(parents=True, exist_ok=True)
            (out / "transitions.npz").write_bytes(b"")
            return Probe(SIGNALS, (1,), (-1.0,), (1.0,), None, (2,), 32, 64, privileged_signals=(REWARD,))
        level = LEVELS[job.motion]
        values = {"torso_height": np.full(8, 1.0 + level), "x_velocity": np.full(8, level)}
        rollout = Rollout(values, {name: one[0] for name, one in values.items()}, np.zeros((8, 1)), False)
        measured: dict[str, float | None] = {}
        for name, expression in job.metrics.items():
            try:
                measured[name] = Fitness.parse(expression).evaluate(rollout)
            except FitnessError:
                measured[name] = None
        return Evaluation("ok", (), 0.0, 0.1, metrics=measured)

    def close(self) -> None:
        pass


def open_run(path: Path, designer: str = "llm") -> Run:
    settings = {"search": {"designer": designer, "strategy": "map-elites"}, "llm": {"model": "small"}}
    return Run.create(path / "run", load_task("Hop", "hopper", "mean(x_velocity)"), resolve_config(settings))


def settle(run: Run, pool: Pool | None, executor: LevelExecutor | InProcessExecutor | None = None) -> list[str]:
    """Settle the descriptors of a run; return what the user is told."""
    told: list[str] = []
    executor, journal = executor or LevelExecutor(), run.open_journal()
    try:
        probe = probe_environment(run, journal, executor)
        behaviour_proposal.settle_behaviour(run, journal, executor, pool, probe, told.append)
    finally:
        journal.close()
    return told


def test_the_proposal_is_tried_told_and_the_tasks_from_then_on(tmp_path):
    run, pool, executor = open_run(tmp_path), Pool(answer(SPEED, HEIGHT)), InProcessExecutor()
    told = settle(run, pool, executor)
    expected = (
        BehaviourDescriptor("speed", "mean(x_velocity)", -2.0, 4.5, 6),
        BehaviourDescriptor("height", "max(torso_height)", 1.0, 2.0, 5),
    )
    assert run.task.behaviour == Run.open(run.path).task.behaviour == expected
    assert [event.key for event in run.read_events() if event.key == BEHAVIOUR_KEY]
    assert told[0].startswith("behaviour speed = mean(x_velocity), 6 parts from -2 to 4.5; random actions ")
    assert told[-1] == "small proposed these descriptors: How it hops."

    # They were measured where nothing was learnt.
    jobs = [job for job in executor.jobs if isinstance(job, EvaluateJob)]
    assert {job.motion for job in jobs} == {None, "none", "largest", "sine"}
    assert all(job.policy is None and set(job.metrics) == {"speed", "height"} for job in jobs)


def test_the_model_is_shown_the_signals_and_the_size_of_the_search(tmp_path):
    pool = Pool(answer(SPEED))
    settle(open_run(tmp_path), pool)
    [(role, sample, (system, request))] = pool.model.asked
    assert (role, sample) == ("behaviour", 0)
    assert "rotations(angle, when)" in system.content and "tries 6 programs" in system.content
    assert "torso_height | scalar | m" in request.content
    assert "environment_reward" not in request.content


def test_a_resumed_run_is_not_asked_again(tmp_path):
    run = open_run(tmp_path)
    settle(run, Pool(answer(SPEED)))
    # Killed between the journal and the task's file: the journal counts.
    run.write_task(replace(run.task, behaviour=()))
    reopened = Run.open(run.path)
    settle(reopened, Pool())
    assert [one.name for one in reopened.task.behaviour] == ["speed"]
    assert settle(reopened, Pool()) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"expression": "mean(x_velocit)"}, "no signal 'x_velocit'"),
        ({"expression": "mean(environment_reward)"}, "'environment_reward' is privileged"),
        ({"low": 4, "high": 1}, "low must be below high"),
        ({"bins": 900}, "bins = 900; 2 to 50 are allowed"),
        ({"low": 3, "high": 4}, "under random actions, which its range leaves out"),
        ({"expression": "pi"}, "is 3.142 in every episode, whatever is done"),
        ({"expression": "1 / (length - length)"}, "has no value in an episode"),
    ],
)
def test_what_cannot_be_used_is_asked_again_with_the_reason(change, said, tmp_path):
    pool = Pool(answer(SPEED | change), answer(HEIGHT))
    run = open_run(tmp_path)
    settle(run, pool)
    assert said in pool.model.asked[1][2][-1].content
    assert [one.name for one in run.task.behaviour] == ["height"]


def test_no_usable_answer_twice_names_the_option(tmp_path):
    pool = Pool(answer(SPEED, HEIGHT, SPEED), "I cannot.")
    with pytest.raises(ModelRefused, match=r"write the descriptors yourself: --behaviour NAME="):
        settle(open_run(tmp_path), pool)


def test_without_a_model_to_ask_the_search_ends_in_one_line(tmp_path):
    with pytest.raises(ConfigError, match=r"which the designer 'symbolic' cannot propose"):
        settle(open_run(tmp_path, "symbolic"), None)
