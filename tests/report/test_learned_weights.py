"""Learned weights in the report, the trackers, the alarms and the facts that designers read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from fakes.small_search import SMALL_SEARCH

import rewardsmith
from rewardsmith.contract.records import CurvePoint, Training
from rewardsmith.report import html, run_data
from rewardsmith.report.trackers import point_scalars
from rewardsmith.search.steps.analyzer.alarms import _find_falling_return
from rewardsmith.search.steps.analyzer.term_curves import read_curves
from rewardsmith.search.storage import Run
from rewardsmith.search.training_facts import describe_training
from rewardsmith.spec.config import resolve_config

SETTINGS = SMALL_SEARCH | {"training.blend": "barfi"}


def make_training(weights: dict[str, float]) -> Training:
    points = (CurvePoint(at * 1_000, 1, 9.0 - at, 9.0, None, {"rush": 1.0}, weights=weights) for at in range(1, 8))
    return Training("ok", 0, 7_000, tuple(points), 1.0, 1.0, 0.1)


def test_a_search_records_the_weights_and_its_report_shows_them(tmp_path: Path) -> None:
    rewardsmith.design("Swing it up.", "pendulum", out=tmp_path / "run", settings=SETTINGS)
    run = Run.open(tmp_path / "run")
    data = run_data.load_run_data(run)
    assert data.best is not None and data.result is not None
    assert {name for name, _ in data.learned_weights} == set(data.best.trainings[0].curve[-1].terms)
    assert "Learned weights" in html.render_report(run, data, tmp_path)
    assert "Learned weights" not in html.render_report(run, replace(data, learned_weights=()), tmp_path)

    # A finished search that is resumed is read again, and trains nothing
    rewardsmith.resume(run.path)
    assert run_data.load_run_data(Run.open(run.path)).learned_weights == data.learned_weights


def test_trackers_get_the_weights() -> None:
    point = CurvePoint(100, 1, None, None, None, weights={"rush": 0.25})
    assert point_scalars(point) == {"weights/rush": 0.25}


@pytest.mark.parametrize(("weights", "alarms"), [({}, True), ({"rush": 0.1}, False)])
def test_a_falling_return_is_no_alarm_where_the_weights_are_learned(weights: dict[str, float], alarms: bool) -> None:
    assert bool(_find_falling_return(read_curves([make_training(weights)]))) == alarms


def test_designers_are_told_that_weights_are_learned() -> None:
    assert "weights of the terms are learned" in describe_training(resolve_config({"training": {"blend": "barfi"}}))
    assert "weights of the terms are learned" not in describe_training(resolve_config({}))
