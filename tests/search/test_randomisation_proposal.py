"""Domain randomisation that is proposed: what a policy withstands is measured, and a model chooses within it."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path

import pytest
from fakes.robots import write_puppy
from fakes.scripted_model import Script

from rewardsmith.api import randomisation_proposals
from rewardsmith.contract.errors import ConfigError, ModelRefused, RunError
from rewardsmith.contract.records import EnvSpec, EvaluateJob, Evaluation, Probe, Signal
from rewardsmith.contract.records.randomisation import RandomisationPrior
from rewardsmith.contract.robots.options import Randomisation
from rewardsmith.report.export.trained_policy import TrainedPolicy
from rewardsmith.search import randomisation_proposal as proposals
from rewardsmith.search import setup
from rewardsmith.search.storage import Run
from rewardsmith.spec.config import resolve_config
from rewardsmith.spec.task_cards import Task, find_env, load_card

FREE = (Signal("forward_velocity", (), "m/s", "", "obs[3]"),)
PROBE = Probe(FREE, (2,), (-1.0,) * 2, (1.0,) * 2, None, (9,), 500, 64)
ENV = EnvSpec("robot/puppy", {"model": "puppy.xml", "digest": "d", "randomisation": {"mass": [0.5, 3.0]}})


class Physics:
    """Gives the fitness of a policy that loses `loss` for each unit by which a parameter is off."""

    slots = 2

    def __init__(self, policy: float = 2.0, **loss: float) -> None:
        self.policy, self.loss, self.jobs = policy, loss, list[EvaluateJob]()

    def run(self, job, out: Path, on_event=None, decide=None):
        self.jobs.append(job)
        if job.policy is None:
            return Evaluation("ok", (), 0.0, 0.1)
        drawn = dict(job.env.kwargs.get("randomisation", {"evaluation": True}))
        assert drawn.pop("evaluation") is True
        lost = sum(
            self.loss.get(name, 0.1) * abs(low - proposals.PARAMETERS[name].model_value)
            for name, (low, _) in drawn.items()
        )
        return Evaluation("ok", (), self.policy - lost, 0.1)

    def close(self) -> None:
        pass


def job() -> EvaluateJob:
    return EvaluateJob(ENV, "policy", "length", tuple(range(20)), record=("height",))


def measure(tmp_path: Path, physics: Physics, probe: Probe = PROBE) -> RandomisationPrior:
    return proposals.measure_prior(job(), "final", physics, probe, tmp_path)


def answer(**ranges: object) -> str:
    return json.dumps({**ranges, "reason": "Floors differ."})


def test_each_parameter_is_moved_away_from_the_model_until_the_policy_fails(tmp_path):
    physics = Physics(friction=1.0, mass=9.0, latency=0.2)
    prior = measure(tmp_path, physics)
    assert (prior.fitness, prior.random, prior.floor) == (2.0, 0.0, 1.5)
    ranges = {name: (sweep.low, sweep.high) for name, sweep in prior.sweeps.items()}
    # 0.5 may be lost: the nearest values of mass, 0.9 and 1.1, lose 0.9 already.
    assert ranges["friction"] == (0.5, 1.5) and ranges["mass"] == (1.0, 1.0) and ranges["latency"] == (0.0, 2.0)
    assert ranges["motor_strength"] == (0.4, 2.0) and ranges["pushes"] == (0.0, 2.0)

    # One parameter at a time, in the model of the card without its own randomisation; the first failure ends a side.
    drawn = [set(one.env.kwargs.get("randomisation", {})) - {"evaluation"} for one in physics.jobs]
    assert max(map(len, drawn)) == 1
    assert list(prior.sweeps["friction"].values) == ["0.35", "0.5", "0.7", "0.85", "1", "1.2", "1.5", "2"]
    assert all(len(one.seeds) == proposals.EPISODES and one.record == () for one in physics.jobs)


def test_a_fixed_base_is_not_pushed(tmp_path):
    prior = measure(tmp_path, Physics(), replace(PROBE, signals=()))
    assert "pushes" not in prior.sweeps


def test_a_policy_that_is_no_better_than_random_actions_is_refused(tmp_path):
    with pytest.raises(RunError, match="comes to -1 and random actions to 0, so there is nothing that it could keep"):
        measure(tmp_path, Physics(policy=-1.0))


def propose(tmp_path: Path, *answers: str) -> tuple[proposals.RandomisationProposal, Script]:
    model = Script(list(answers))
    task = Task("puppy", "Trot", ENV, "A small robot.", "two numbers", "length")
    prior = measure(tmp_path, Physics(friction=1.0, mass=9.0))
    return proposals.propose_ranges(task, PROBE, "def reward(after): ...", prior, model), model


def test_the_model_chooses_within_what_was_measured(tmp_path):
    proposal, model = propose(tmp_path, answer(friction=[0.6, 1.3], latency=[0, 1], mass=None))
    assert proposal.ranges == {"friction": (0.6, 1.3), "latency": (0.0, 1.0)}
    assert (proposal.reason, proposal.model) == ("Floors differ.", "small")
    [(role, _, (_, request))] = model.asked
    assert role == "randomisation" and "<task>\nTrot\n</task>" in request.content
    assert "def reward" in request.content and "friction: factor on the sliding friction" in request.content
    assert "; 0.5 to 1.5; 0.35: 1.35, 0.5: 1.5, 0.7: 1.7" in request.content


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"friction": [0.1, 1.0]}, "leaves the measured range, 0.5 to 1.5"),
        ({"friction": [1.0]}, "a range is two numbers"),
        ({"latency": [0, 1.5]}, "whole numbers"),
        ({}, "no parameter has a range"),
        ({"friction": "wide"}, "valid array"),
    ],
)
def test_a_range_that_cannot_be_used_is_asked_again(wrong, said, tmp_path):
    proposal, model = propose(tmp_path, answer(**wrong), answer(friction=[0.9, 1.1]))
    assert proposal.ranges == {"friction": (0.9, 1.1)}
    assert said in model.asked[1][2][-1].content


def test_without_a_model_the_measured_ranges_are_the_proposal(tmp_path):
    ranges = proposals.list_ranges(measure(tmp_path, Physics(mass=9.0, friction=1.0)), None)
    assert "mass" not in ranges and ranges["friction"] == (0.5, 1.5)


def test_the_section_is_one_that_a_card_takes(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    text = proposals.render_section({"friction": (0.5, 1.5), "latency": (0.0, 2.0)})
    write_puppy(tmp_path)
    card = tmp_path / "card.toml"
    head = (
        'text = "Trot"\nabout = "A robot."\naction = "Two numbers."\nfitness = "length"\n[robot]\nmodel = "puppy.xml"\n'
    )
    card.write_text(
        f"{head}{text}\n[signals]\nheight = {{ source = 'xpos[trunk,2]', unit = 'm', meaning = 'height' }}\n",
        encoding="utf-8",
    )
    assert load_card(card).env.kwargs["randomisation"] == {"friction": [0.5, 1.5], "latency": [0, 2]}


# ---------------------------------------------------------------- a run


def open_run(tmp_path: Path, env: EnvSpec, designer: str = "llm") -> Run:
    task = Task("puppy", "Trot", env, "A small robot.", "two numbers", "length")
    settings = {"search": {"designer": designer}, "llm": {"model": "small"}}
    return Run.create(tmp_path / "run", task, resolve_config(settings))


def run_command(run: Run, tmp_path: Path, physics: Physics) -> randomisation_proposals.Outcome:
    folder = tmp_path / "policy"
    policy = TrainedPolicy("environment-reward", 0, folder, job(), 2.0, (), 0)
    return randomisation_proposals.propose_randomisation(run, policy, executor=physics)


def test_a_run_measures_and_asks_once(tmp_path, monkeypatch):
    run, physics, model = (
        open_run(tmp_path, find_env("quadruped")[0]),
        Physics(friction=1.0),
        Script(["no answer", "none", answer(mass=[1, 2])]),
    )
    monkeypatch.setattr(randomisation_proposals, "probe_environment", lambda *_: PROBE)
    monkeypatch.setattr(setup, "open_models", lambda *_: Opened(model))
    with pytest.raises(ModelRefused, match="what was measured is kept"):
        run_command(run, tmp_path, physics)
    measured = len(physics.jobs)
    prior, proposal = run_command(run, tmp_path, physics)
    assert proposal is not None and proposal.ranges == {"mass": (1.0, 2.0)}
    assert run_command(run, tmp_path, physics) == (prior, proposal)
    assert len(physics.jobs) == measured and not model.answers


class Opened:
    """Stands for the opened models of a run."""

    def __init__(self, model: Script) -> None:
        self.model = model

    def __enter__(self) -> Opened:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def for_role(self, role: str) -> Script:
        assert role == "designer"
        return self.model


def test_the_symbolic_designer_is_not_asked(tmp_path, monkeypatch):
    monkeypatch.setattr(randomisation_proposals, "probe_environment", lambda *_: PROBE)
    _, proposal = run_command(open_run(tmp_path, find_env("quadruped")[0], "symbolic"), tmp_path, Physics())
    assert proposal is None


def test_an_environment_without_a_model_file_is_one_line(tmp_path):
    with pytest.raises(ConfigError, match=r"Hopper-v5 is no robot from a model file, and only those have \[random"):
        run_command(open_run(tmp_path, EnvSpec("Hopper-v5")), tmp_path, Physics())


def test_a_card_a_measurement_and_an_answer_know_the_same_parameters():
    named = [field.name for field in fields(Randomisation) if field.name != "evaluation"]
    assert named == list(proposals.PARAMETERS)
    assert set(proposals.RangesAnswer.model_fields) == {*named, "reason"}
