"""Curves in TensorBoard's logs and in Weights & Biases, read back with their own readers."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from fakes.small_search import SMALL_SEARCH

import rewardsmith
from rewardsmith.contract.errors import ConfigError
from rewardsmith.contract.records import CurvePoint
from rewardsmith.report import trackers
from rewardsmith.search.callbacks import NullCallback
from rewardsmith.search.storage import Run

SETTINGS = SMALL_SEARCH | {"search.env_steps": 4_096, "search.final_seeds": 2}


class Noted(NullCallback):
    """Remembers what was said."""

    def __init__(self) -> None:
        self.notices: list[str] = []

    def on_notice(self, text: str) -> None:
        self.notices.append(text)


def test_every_training_has_a_log_with_its_curve(tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    out = tmp_path / "run"
    result = rewardsmith.design(
        "Balance.", "inverted_pendulum", out=out, settings=SETTINGS | {"trackers": ["tensorboard"]}
    )
    training = result.candidates[0].trainings[0]
    log = EventAccumulator(str(out / "tensorboard" / "g0c00" / "s0")).Reload()
    known = {event.step: event.value for event in log.Scalars("fitness")}
    assert known == pytest.approx({one.env_steps: one.fitness for one in training.curve if one.fitness is not None})
    assert training.curve[-1].terms
    for term in training.curve[-1].terms:
        assert log.Scalars(f"terms/{term}")
    for name in ("approx_kl", "clip_fraction"):
        recorded = [event.value for event in log.Scalars(f"train/{name}")]
        assert recorded == pytest.approx([getattr(point, name) for point in training.curve])
    assert len(list((out / "tensorboard").glob("final/*/s*/events*"))) == 2
    reported = EventAccumulator(str(out / "tensorboard" / "result")).Reload().Scalars("reported")
    assert reported[0].value == pytest.approx(result.reported.mean if result.reported else None)


def test_weights_and_biases_gets_the_curves_without_an_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    out = tmp_path / "run"
    rewardsmith.design("Balance.", "inverted_pendulum", out=out, settings=SETTINGS | {"trackers": ["wandb"]})
    (log,) = (out / "wandb").glob("offline-run-*/*.wandb")
    content = log.read_bytes()
    for name in (b"g0c00/s0/fitness", b"search/fitness", b"reported"):
        assert name in content


def test_mlflow_gets_the_curves_and_a_resumed_search_goes_on_in_the_same_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "mlflow").as_uri())
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    out = tmp_path / "run"
    result = rewardsmith.design("Balance.", "inverted_pendulum", out=out, settings=SETTINGS | {"trackers": ["mlflow"]})
    again = trackers.MlflowCallback(Run.open(out), pytest.fail)
    again.on_search_end(result)

    client = mlflow.MlflowClient()
    (run,) = client.search_runs([client.get_experiment_by_name("rewardsmith").experiment_id])
    assert run.info.status == "FINISHED"
    assert run.data.params["task"] == "Balance."
    curve = result.candidates[0].trainings[0].curve
    logged = {one.step: one.value for one in client.get_metric_history(run.info.run_id, "g0c00/s0/fitness")}
    assert logged == pytest.approx({one.env_steps: one.fitness for one in curve if one.fitness is not None})
    assert run.data.metrics["result/reported"] == pytest.approx(result.reported.mean if result.reported else None)


def test_a_tracker_that_fails_ends_no_search(tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX")
    rewardsmith.design("Balance.", "inverted_pendulum", out=tmp_path / "run", settings=SETTINGS)
    noted = Noted()
    board = trackers.TensorBoardCallback(Run.open(tmp_path / "run"), noted.on_notice)
    (tmp_path / "run" / "tensorboard").write_text("a file in the place of the folder")
    for steps in (1, 2):
        board.on_curve_point("g0c00/trainer/s0", CurvePoint(steps, 1, 1.0, 1.0, 1.0))
    (notice,) = noted.notices
    assert "the search goes on" in notice


def test_a_missing_package_is_named_with_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(ConfigError, match=r"rewardsmith\[tensorboard\]"):
        rewardsmith.design(
            "Balance.", "inverted_pendulum", out=tmp_path / "run", settings=SETTINGS | {"trackers": ["tensorboard"]}
        )
