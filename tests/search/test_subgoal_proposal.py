"""Subgoals that the model writes: asked once, tried on recorded states, and fixed in the run's task."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from fakes.scripted_model import Script

from rewardsmith.api import planning
from rewardsmith.contract.errors import ConfigError, ModelRefused
from rewardsmith.contract.records import ProbeJob
from rewardsmith.search import subgoal_proposal
from rewardsmith.search.storage import Run
from rewardsmith.spec.config import resolve_config
from rewardsmith.spec.env_options import EnvOptions
from rewardsmith.spec.learned_signals import parse_signal_options
from rewardsmith.spec.subgoals import list_open_signals
from rewardsmith.spec.task_cards import load_task
from rewardsmith.worker import probe

OPEN = parse_signal_options(['reached = { provider = "subgoals", most = 3 }'])
GOOD = [("leans right", "pole_angle > 0.1"), ("far off", "abs(cart_position) > 0.5 and pole_angle < 0.1")]


class InProcessExecutor:
    """Runs probes in this process."""

    slots = 1

    def __init__(self) -> None:
        self.jobs: list[ProbeJob] = []

    def run(self, job, out: Path, on_event=None, decide=None):
        out.mkdir(parents=True, exist_ok=True)
        self.jobs.append(job)
        return probe.run(job, out)

    def close(self) -> None:
        pass


class Models:
    """The models of a run: one for every role."""

    def __init__(self, model: Script) -> None:
        self.model, self.roles = model, list[str]()

    def for_role(self, role: str) -> Script:
        self.roles.append(role)
        return self.model


def answer(subgoals: list[tuple[str, str]] | None, reason: str = "It has to lean first.") -> str:
    lines = None if subgoals is None else [{"text": text, "condition": condition} for text, condition in subgoals]
    return json.dumps({"subgoals": lines, "reason": reason})


def open_run(path: Path) -> Run:
    task = load_task("Lean to the right, then go far", "cartpole")
    task = replace(task, env=EnvOptions(signals=OPEN).apply(task.env))
    return Run.create(path / "run", task, resolve_config({"search": {"designer": "llm"}, "llm": {"model": "small"}}))


def settle(run: Run, model: Script, executor: InProcessExecutor | None = None) -> list[str]:
    notices: list[str] = []
    journal = run.open_journal()
    try:
        models, running = Models(model), executor or InProcessExecutor()
        subgoal_proposal.settle_subgoals(run, journal, running, models, notices.append)  # type: ignore[arg-type]
    finally:
        journal.close()
    return notices


def test_the_subgoals_become_the_signal_s_options(tmp_path):
    run, model = open_run(tmp_path), Script([answer(GOOD)])
    notices = settle(run, model)
    (signal,) = Run.open(run.path).task.env.learned_signals
    assert [(one["text"], one["condition"]) for one in signal.options["subgoals"]] == GOOD
    assert "1 leans right; 2 far off" in signal.meaning
    assert notices[0] == "reached, subgoal 1: leans right: pole_angle > 0.1"

    # From now on a job of this environment counts them.
    out = tmp_path / "probe"
    out.mkdir()
    assert "reached" in [one.name for one in probe.run(ProbeJob(run.task.env, 0, 64), out).signals]


def test_the_model_is_asked_with_the_task_the_signals_and_the_language(tmp_path):
    model, executor = Script([answer(GOOD)]), InProcessExecutor()
    settle(open_run(tmp_path), model, executor)
    [(role, sample, (system, request))] = model.asked
    assert (role, sample) == ("subgoals", 0)
    assert "At most 3" in system.content and "norm(x)" in system.content
    assert "<task>\nLean to the right, then go far\n</task>" in request.content
    assert "pole_angle | scalar | rad" in request.content and "reached" not in request.content
    assert not executor.jobs[0].env.learned_signals


def test_a_resumed_run_asks_nobody(tmp_path):
    run = open_run(tmp_path)
    before = run.task.env
    settle(run, Script([answer(GOOD)]))
    # Killed between the journal and the task's file: the journal counts.
    run.write_task(replace(run.task, env=before))
    settle(Run.open(run.path), Script([]))
    assert not list_open_signals(Run.open(run.path).task.env)


@pytest.mark.parametrize(
    ("subgoals", "said"),
    [
        ([("a", "pole_angel > 0")], "no signal 'pole_angel'"),
        ([("a", "pole_angle[-1] > 0")], "an index begins with `:`"),
        ([("a", "mean(pole_angle) > 0")], "looks along an episode"),
        ([("a", "abs(pole_angle) < 1")], "subgoal 1, 'a', holds at the start of every episode"),
        ([("a", "1 > 0")], "reads no signal"),
        ([], "there are 0 subgoals"),
        ([("a", "pole_angle > 0.1")] * 4, "there are 4 subgoals; 1 to 3 are allowed"),
    ],
)
def test_subgoals_that_cannot_be_used_are_asked_again_with_the_reason(subgoals, said, tmp_path):
    model = Script([answer(subgoals), answer(GOOD)])
    settle(open_run(tmp_path), model)
    assert said in model.asked[1][2][-1].content


def test_signals_that_do_not_show_the_steps_end_with_the_next_step(tmp_path):
    with pytest.raises(ModelRefused, match=r"small finds that .* There is no music. List them yourself"):
        settle(open_run(tmp_path), Script([answer(None, "There is no music.")]))


def test_without_a_model_the_user_is_told_before_anything_is_made():
    with pytest.raises(ConfigError, match=r"subgoals of the signal 'reached' .* name one \(--model"):
        planning.plan_search("Lean", "cartpole", env_options=EnvOptions(signals=OPEN), variables={})


def test_the_preset_calm_adds_the_signal_and_counts_its_call():
    settings = {"preset": "calm", "llm": {"model": "small"}}
    plan = planning.plan_search("Lean", "cartpole", overrides=settings, variables={})
    assert [signal.name for signal in list_open_signals(plan.task.env)] == ["subgoals_reached"]
    assert (plan.config.search.designer, plan.config.search.population, plan.calls) == ("subgoals", 1, 1)
