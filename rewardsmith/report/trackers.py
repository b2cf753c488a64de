"""Experiment trackers: callbacks that log a search to TensorBoard, to Weights & Biases and to MLflow.

Every training has its own curves: fitness, reward, episode length and each term, over environment steps. The trackers
are optional extras; the first error of a tracker is reported as a notice, and the search goes on.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable
from typing import Any

from rewardsmith.contract.errors import ConfigError
from rewardsmith.contract.records import Candidate, CurvePoint, Result
from rewardsmith.contract.term_limits import parse_limit
from rewardsmith.contract.text import flatten_text
from rewardsmith.search.callbacks import CallbackList, SearchCallback
from rewardsmith.search.storage import Run


class TensorBoardCallback(SearchCallback):
    """Writes a log per training below the run's `tensorboard/`."""

    def __init__(self, run: Run, report_problem: Callable[[str], None]) -> None:
        """Import the package; nothing is written yet.

        Args:
            run: the search to log.
            report_problem: called with a line of text when the tracker fails for the first time.

        Raises:
            ConfigError: if the package is missing.
        """
        try:
            from tensorboardX import SummaryWriter
        except ImportError as error:
            raise ConfigError(_missing_package_message("tensorboard")) from error
        self._make_writer, self._folder = SummaryWriter, run.layout.tensorboard_dir
        self._writers: dict[str, Any] = {}
        self._lock, self._guard = threading.Lock(), _ErrorGuard(report_problem)

    def on_curve_point(self, training: str, point: CurvePoint) -> None:
        """Write a point of a training's curves."""
        with self._lock, self._guard:
            writer = self._open_writer(training)
            for name, value in point_scalars(point).items():
                writer.add_scalar(name, value, point.env_steps)

    def on_training_end(self, training: str) -> None:
        """Close a training's log."""
        with self._lock, self._guard:
            writer = self._writers.pop(training, None)
            if writer:
                writer.close()

    def on_search_end(self, result: Result) -> None:
        """Close the open logs, and write the numbers of the result."""
        with self._lock, self._guard:
            for writer in self._writers.values():
                writer.close()
            self._writers.clear()
            with self._make_writer(logdir=str(self._folder / "result")) as writer:
                for name, value in result_scalars(result).items():
                    writer.add_scalar(name, value, result.env_steps)

    def _open_writer(self, training: str) -> Any:
        if training not in self._writers:
            self._writers[training] = self._make_writer(logdir=str(self._folder / _curve_name(training)))
        return self._writers[training]


class WandbCallback(SearchCallback):
    """Logs a search as one run of Weights & Biases, configured by wandb's variables: WANDB_PROJECT, WANDB_MODE."""

    def __init__(self, run: Run, report_problem: Callable[[str], None]) -> None:
        """Start the run at Weights & Biases, or continue it where the search is resumed.

        Args:
            run: the search to log.
            report_problem: called with a line of text when the tracker fails for the first time.

        Raises:
            ConfigError: if the package is missing, or wandb cannot start.
        """
        try:
            import wandb
        except ImportError as error:
            raise ConfigError(_missing_package_message("wandb")) from error
        self._lock, self._guard = threading.Lock(), _ErrorGuard(report_problem)
        self._defined_curves = set[str]()
        task = {"task": run.task.heading, "env": run.task.env.env_id, "fitness": run.fitness_name}
        try:
            self._run = wandb.init(
                dir=str(run.path),
                name=run.path.name,
                id=_digest_path(run),
                resume="allow",
                config=task | run.config.model_dump(mode="json", exclude={"llm"}),
            )
        except wandb.Error as error:
            hint = "WANDB_MODE=offline needs no account"
            raise ConfigError(f"Weights & Biases cannot start: {error}; {hint}") from error

    def on_curve_point(self, training: str, point: CurvePoint) -> None:
        """Log a point of a training's curves."""
        name = _curve_name(training)
        with self._lock, self._guard:
            if name not in self._defined_curves:
                self._defined_curves.add(name)
                self._run.define_metric(f"{name}/*", step_metric=f"{name}/env_steps")
            values = {f"{name}/{key}": value for key, value in point_scalars(point).items()}
            self._run.log(values | {f"{name}/env_steps": point.env_steps})

    def on_candidate_end(self, candidate: Candidate) -> None:
        """Log a candidate's fitness."""
        if candidate.fitness is not None:
            with self._lock, self._guard:
                self._run.log({"search/fitness": candidate.fitness, "search/generation": candidate.generation})

    def on_search_end(self, result: Result) -> None:
        """Write the numbers of the result and finish the run."""
        with self._lock, self._guard:
            self._run.summary.update(result_scalars(result) | {"best": result.best.id})
            self._run.finish()


class MlflowCallback(SearchCallback):
    """Logs a search as one run of MLflow, configured by its variables: MLFLOW_TRACKING_URI, MLFLOW_EXPERIMENT_NAME."""

    def __init__(self, run: Run, report_problem: Callable[[str], None]) -> None:
        """Start the run at MLflow, or continue it where the search is resumed.

        Args:
            run: the search to log.
            report_problem: called with a line of text when the tracker fails for the first time.

        Raises:
            ConfigError: if the package is missing, or MLflow cannot start.
        """
        try:
            import mlflow
        except ImportError as error:
            raise ConfigError(_missing_package_message("mlflow")) from error
        self._lock, self._guard = threading.Lock(), _ErrorGuard(report_problem)
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", "rewardsmith")
        try:
            self._client = mlflow.MlflowClient()
            experiment = self._client.get_experiment_by_name(name)
            experiment_id = experiment.experiment_id if experiment else self._client.create_experiment(name)
            self._run_id = self._open_run(run, experiment_id)
        except (mlflow.MlflowException, ImportError, OSError) as error:
            hint = "MLFLOW_TRACKING_URI names a server; a database on this machine takes `pip install mlflow`"
            raise ConfigError(f"MLflow cannot start: {flatten_text(str(error), 200)}; {hint}") from error

    def _open_run(self, run: Run, experiment_id: str) -> str:
        """Return the id of the run at MLflow that has this run directory's tag; it is made if it is missing."""
        tag, value = "rewardsmith-run", _digest_path(run)
        found = self._client.search_runs([experiment_id], f"tags.`{tag}` = '{value}'", max_results=1)
        if found:
            self._client.update_run(found[0].info.run_id, status="RUNNING")
            return str(found[0].info.run_id)

        run_id = str(self._client.create_run(experiment_id, tags={tag: value}, run_name=run.path.name).info.run_id)
        settings = {"task": run.task.heading, "env": run.task.env.env_id, "fitness": run.fitness_name}
        settings |= {f"search.{key}": value for key, value in run.config.search.model_dump(mode="json").items()}
        for key, value in settings.items():
            self._client.log_param(run_id, key, value)
        return run_id

    def on_curve_point(self, training: str, point: CurvePoint) -> None:
        """Log a point of a training's curves."""
        name = _curve_name(training)
        with self._lock, self._guard:
            for key, value in point_scalars(point).items():
                self._client.log_metric(self._run_id, f"{name}/{key}", value, step=point.env_steps)

    def on_candidate_end(self, candidate: Candidate) -> None:
        """Log a candidate's fitness, over the generations."""
        if candidate.fitness is not None:
            with self._lock, self._guard:
                self._client.log_metric(self._run_id, "search/fitness", candidate.fitness, step=candidate.generation)

    def on_search_end(self, result: Result) -> None:
        """Write the numbers of the result and finish the run."""
        with self._lock, self._guard:
            for key, value in result_scalars(result).items():
                self._client.log_metric(self._run_id, f"result/{key}", value, step=result.env_steps)
            self._client.set_tag(self._run_id, "best", result.best.id)
            self._client.set_terminated(self._run_id)


TRACKERS = {"tensorboard": TensorBoardCallback, "wandb": WandbCallback, "mlflow": MlflowCallback}


def add_trackers(run: Run, callback: SearchCallback) -> SearchCallback:
    """Return the callback together with the trackers that the run's configuration names.

    Raises:
        ConfigError: if a tracker's package is missing.
    """
    trackers = [TRACKERS[name](run, callback.on_notice) for name in run.config.trackers]
    return CallbackList([callback, *trackers]) if trackers else callback


def point_scalars(point: CurvePoint) -> dict[str, float]:
    """Return the known values of a point of a learning curve, by tag."""
    values = {"fitness": point.fitness, "reward": point.reward, "length": point.length}
    values |= {"train/approx_kl": point.approx_kl, "train/clip_fraction": point.clip_fraction}
    values |= {f"terms/{name}": value for name, value in point.terms.items()}
    # MLflow takes no "<=" in a name.
    values |= {f"multipliers/{parse_limit(limit).tag}": value for limit, value in point.multipliers.items()}
    values |= {f"weights/{name}": value for name, value in point.weights.items()}
    return {name: value for name, value in values.items() if value is not None}


def result_scalars(result: Result) -> dict[str, float]:
    """Return the known numbers of a result, by tag."""
    baseline, reported = result.baselines.environment_reward, result.reported
    values = {
        "reported": reported.mean if reported else None,
        "reported_low": reported.low if reported else None,
        "reported_high": reported.high if reported else None,
        "environment_reward": baseline.mean if baseline else None,
        "random": result.baselines.random,
        "normalised": result.normalised,
    }
    values |= {f"metrics/{metric.name}": metric.reported.mean if metric.reported else None for metric in result.metrics}
    return {name: value for name, value in values.items() if value is not None}


def _curve_name(training: str) -> str:
    """Return a training's name in a tracker: its key without the step."""
    return training.replace("/trainer/", "/")


def _digest_path(run: Run) -> str:
    """Return a name for a run directory, by which a resumed search finds its run at a tracker."""
    return hashlib.sha256(str(run.path.resolve()).encode()).hexdigest()[:16]


class _ErrorGuard:
    """Suppresses the errors of its block, and reports the first."""

    def __init__(self, report_problem: Callable[[str], None]) -> None:
        self._report_problem, self._has_reported = report_problem, False

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> bool:
        if error is None or not isinstance(error, Exception):
            return False
        if not self._has_reported:
            self._has_reported = True
            self._report_problem(f"a tracker failed, the search goes on: {type(error).__name__}: {error}")
        return True


def _missing_package_message(extra: str) -> str:
    return f"trackers = ['{extra}'] needs a package: pip install 'rewardsmith[{extra}]'"
