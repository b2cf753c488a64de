"""Anchors: measured once, kept, and written into cards."""

from __future__ import annotations

import statistics
from dataclasses import replace

import pytest

from rewardsmith.api import baselines
from rewardsmith.contract.errors import RunFailed, TaskError
from rewardsmith.contract.records import Evaluation, Metric
from rewardsmith.executors.local import LocalExecutor
from rewardsmith.spec.config import resolve_config
from rewardsmith.spec.task_cards import Anchor, find_card_file, load_card, load_task

PENDULUM = load_task(None, "pendulum")
SMALL = resolve_config(
    {
        "search": {"env_steps": 512, "final_seeds": 2},
        "training": {"n_envs": 2, "n_steps": 128, "n_epochs": 1},
        "evaluation": {"final_episodes": 2},
    }
)
OWN = Anchor("environment-reward", 1234.5678, 12.3, 200_000, 3, "torch 2.13.0")


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def measured(cache):
    told = []
    return baselines.measure_anchors(PENDULUM, SMALL, cache, told.append), told


@pytest.fixture
def no_worker(monkeypatch):
    def refuse(self):
        raise RunFailed("a worker was started")

    monkeypatch.setattr(LocalExecutor, "_ensure_worker", refuse)


def test_random_and_own_reward_are_measured_under_the_stated_budget(measured):
    (random, own), told = measured
    assert (random.anchor.policy, random.anchor.seeds, random.anchor.env_steps) == ("random", 100, 0)
    assert (own.anchor.policy, own.anchor.seeds, own.anchor.env_steps) == ("environment-reward", 2, 512)
    for figure in (random, own):
        assert figure.anchor.fitness == pytest.approx(statistics.mean(figure.interval.values))
        assert figure.anchor.std == pytest.approx(statistics.stdev(figure.interval.values))
        assert figure.interval.low < figure.anchor.fitness < figure.interval.high
    assert "torch" in own.anchor.versions
    assert "torch" not in random.anchor.versions
    assert "pendulum, environment reward, train-s1000: 512 of 512 steps" in told


def test_what_was_measured_is_not_measured_again(measured, cache, no_worker):
    assert baselines.measure_anchors(PENDULUM, SMALL, cache, print) == measured[0]


def test_a_meaning_can_change_without_another_measurement(measured, cache, no_worker):
    signals = tuple(replace(signal, meaning="otherwise said") for signal in PENDULUM.env.signals)
    task = replace(PENDULUM, env=replace(PENDULUM.env, signals=signals), text="otherwise")
    assert baselines.measure_anchors(task, SMALL, cache, print) == measured[0]


@pytest.mark.parametrize("change", ["fitness", "budget", "environment", "versions"])
def test_whatever_a_figure_depends_on_is_measured_anew(measured, cache, no_worker, change, monkeypatch):
    task, config = PENDULUM, SMALL
    if change == "fitness":
        task = replace(task, fitness="-mean(cos_angle)")
    elif change == "environment":
        task = replace(task, env=replace(task.env, kwargs={"g": 9.0}))
    elif change == "budget":
        config = SMALL.model_copy(update={"search": SMALL.search.model_copy(update={"env_steps": 1024})})
    else:
        monkeypatch.setattr(baselines.importlib.metadata, "version", lambda name: "99")
    with pytest.raises(RunFailed, match="a worker was started"):
        baselines.measure_anchors(task, config, cache, print)


def test_without_seeds_only_the_random_policy_is_measured(measured, cache, no_worker):
    config = SMALL.model_copy(update={"search": SMALL.search.model_copy(update={"final_seeds": 0})})
    assert baselines.measure_anchors(PENDULUM, config, cache, print) == measured[0][:1]


def test_a_measurement_without_a_figure_is_an_error(tmp_path, monkeypatch):
    failed = Evaluation("failed", (), None, 0.0, "fitness: the result is nan")
    monkeypatch.setattr(LocalExecutor, "run", lambda *_: failed)
    with pytest.raises(RunFailed, match="pendulum, random: no result: fitness: the result is nan"):
        baselines.measure_anchors(PENDULUM, SMALL, tmp_path, print)


def test_anchors_replace_those_of_the_same_policy_and_nothing_else(tmp_path):
    before = find_card_file("pendulum").read_text()
    card = tmp_path / "pendulum.toml"
    card.write_text(before)
    random = Anchor("random", -0.3, 0.4, 0, 100, "gymnasium 1.4.0")
    baselines.write_anchors([OWN], card)
    assert card.read_text().startswith(before.split("[[anchors]]")[0])
    baselines.write_anchors([random, replace(OWN, fitness=2.0)], card)
    assert load_card(card).anchors == (random, replace(OWN, fitness=2.0))
    assert replace(load_card(card), anchors=()) == replace(PENDULUM, anchors=())


def test_a_written_anchor_reads_back_with_four_digits(tmp_path):
    card = tmp_path / "pendulum.toml"
    card.write_text(find_card_file("pendulum").read_text().split("[[anchors]]")[0])
    baselines.write_anchors([replace(OWN, std=None)], card)
    assert load_card(card).anchors == (replace(OWN, fitness=1235.0, std=None),)


def test_a_card_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(TaskError, match="nowhere"):
        baselines.write_anchors([OWN], tmp_path / "nowhere" / "card.toml")


STILL = Metric("still", "abs(angular_velocity[-1])", "how fast it turns at the end")


def test_figures_are_measured_of_the_policies_that_there_are(measured, cache):
    # After the other tests of this cache: they count on what lies in it.
    before = {path.name for path in cache.glob("*-train-*")}
    random, own = baselines.measure_anchors(replace(PENDULUM, metrics=(STILL,)), SMALL, cache, print)
    assert {path.name for path in cache.glob("*-train-*")} == before
    assert [figure.anchor for figure in (random, own)] == [figure.anchor for figure in measured[0]]
    assert [len(figure.metrics["still"].values) for figure in (random, own)] == [100, 2]
    assert random.metrics["still"].low < random.metrics["still"].mean < random.metrics["still"].high


def test_a_figure_without_a_value_in_some_episode_is_left_out_of_a_baseline(cache, measured):
    lost = Metric("lost", "sqrt(cos_angle[-1])", "no number for half of them")
    config = SMALL.model_copy(update={"search": SMALL.search.model_copy(update={"final_seeds": 0})})
    (random,) = baselines.measure_anchors(replace(PENDULUM, metrics=(lost,)), config, cache, print)
    assert random.metrics == {}
    assert random.anchor == measured[0][0].anchor
