"""A search in the trackers that people have: TensorBoard's logs, and Weights & Biases.

Every training has a curve of its own: fitness, reward, episode length and each term, over environment steps. Both are
extras; a tracker that fails is told of once and ends no search.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Sequence
from typing import Any

from rewardsmith.contract.errors import ConfigError
from rewardsmith.contract.records import Brief, Candidate, CurvePoint, Result
from rewardsmith.search.callbacks import Silent, Watch
from rewardsmith.search.storage import Run

FOLDER = "tensorboard"


class Several(Watch):
    """Tells several."""

    def __init__(self, watches: Sequence[Watch]) -> None:
        self.watches = watches

    def started(self, trainings: int, env_steps: int) -> None:
        """See `Watch.started`."""
        for watch in self.watches:
            watch.started(trainings, env_steps)

    def generation(self, brief: Brief) -> None:
        """See `Watch.generation`."""
        for watch in self.watches:
            watch.generation(brief)

    def stage(self, candidate: str, stage: str) -> None:
        """See `Watch.stage`."""
        for watch in self.watches:
            watch.stage(candidate, stage)

    def curve(self, training: str, point: CurvePoint) -> None:
        """See `Watch.curve`."""
        for watch in self.watches:
            watch.curve(training, point)

    def trained(self, training: str) -> None:
        """See `Watch.trained`."""
        for watch in self.watches:
            watch.trained(training)

    def judged(self, candidate: Candidate) -> None:
        """See `Watch.judged`."""
        for watch in self.watches:
            watch.judged(candidate)

    def notice(self, text: str) -> None:
        """See `Watch.notice`."""
        for watch in self.watches:
            watch.notice(text)

    def finished(self, result: Result) -> None:
        """See `Watch.finished`."""
        for watch in self.watches:
            watch.finished(result)


class TensorBoard(Silent):
    """Writes a log per training below the run's `tensorboard/`."""

    def __init__(self, run: Run, complain: Callable[[str], None]) -> None:
        """Write nothing yet.

        Raises:
            ConfigError: if the package is missing.
        """
        try:
            from tensorboardX import SummaryWriter
        except ImportError as error:
            raise ConfigError(_missing("tensorboard")) from error
        self._open, self._home = SummaryWriter, run.path / FOLDER
        self._writers: dict[str, Any] = {}
        self._lock, self._once = threading.Lock(), _Once(complain)

    def curve(self, training: str, point: CurvePoint) -> None:
        """Write a point."""
        with self._lock, self._once:
            writer = self._writer(training)
            for name, value in scalars(point).items():
                writer.add_scalar(name, value, point.env_steps)

    def trained(self, training: str) -> None:
        """Close a log."""
        with self._lock, self._once:
            writer = self._writers.pop(training, None)
            if writer:
                writer.close()

    def finished(self, result: Result) -> None:
        """Close what is open, and write the reported figures."""
        with self._lock, self._once:
            for writer in self._writers.values():
                writer.close()
            self._writers.clear()
            with self._open(logdir=str(self._home / "result")) as writer:
                for name, value in figures(result).items():
                    writer.add_scalar(name, value, result.env_steps)

    def _writer(self, training: str) -> Any:
        if training not in self._writers:
            self._writers[training] = self._open(logdir=str(self._home / training.replace("/trainer/", "/")))
        return self._writers[training]


class Wandb(Silent):
    """Logs a search as one run of Weights & Biases, which its own variables configure: WANDB_PROJECT, WANDB_MODE."""

    def __init__(self, run: Run, complain: Callable[[str], None]) -> None:
        """Begin the run, or go on with it where the search is resumed.

        Raises:
            ConfigError: if the package is missing, or it does not begin.
        """
        try:
            import wandb
        except ImportError as error:
            raise ConfigError(_missing("wandb")) from error
        self._lock, self._once, self._known = threading.Lock(), _Once(complain), set[str]()
        about = {"task": run.task.text, "env": run.task.env.env_id, "fitness": run.task.fitness}
        try:
            self._run = wandb.init(
                dir=str(run.path),
                name=run.path.name,
                id=hashlib.sha256(str(run.path.resolve()).encode()).hexdigest()[:16],
                resume="allow",
                config=about | run.config.model_dump(mode="json", exclude={"llm"}),
            )
        except wandb.Error as error:
            hint = "WANDB_MODE=offline needs no account"
            raise ConfigError(f"Weights & Biases does not begin: {error}; {hint}") from error

    def curve(self, training: str, point: CurvePoint) -> None:
        """Log a point."""
        name = training.replace("/trainer/", "/")
        with self._lock, self._once:
            if name not in self._known:
                self._known.add(name)
                self._run.define_metric(f"{name}/*", step_metric=f"{name}/env_steps")
            logged = {f"{name}/{key}": value for key, value in scalars(point).items()}
            self._run.log(logged | {f"{name}/env_steps": point.env_steps})

    def judged(self, candidate: Candidate) -> None:
        """Log a candidate's fitness."""
        if candidate.fitness is not None:
            with self._lock, self._once:
                self._run.log({"search/fitness": candidate.fitness, "search/generation": candidate.generation})

    def finished(self, result: Result) -> None:
        """Write the reported figures and end the run."""
        with self._lock, self._once:
            self._run.summary.update(figures(result) | {"best": result.best.id})
            self._run.finish()


TRACKERS = {"tensorboard": TensorBoard, "wandb": Wandb}


def joined(run: Run, watch: Watch) -> Watch:
    """Return who is told how a search goes: the watch, and the trackers that its configuration names.

    Raises:
        ConfigError: if a tracker's package is missing.
    """
    found = [TRACKERS[name](run, watch.notice) for name in run.config.trackers]
    return Several([watch, *found]) if found else watch


def scalars(point: CurvePoint) -> dict[str, float]:
    """Return a point's figures, those that are known."""
    known = {"fitness": point.fitness, "reward": point.reward, "length": point.length}
    known |= {f"terms/{name}": value for name, value in point.terms.items()}
    return {name: value for name, value in known.items() if value is not None}


def figures(result: Result) -> dict[str, float]:
    """Return a search's reported figures, those that are known."""
    own, reported = result.baselines.own_reward, result.reported
    known = {
        "reported": reported.mean if reported else None,
        "reported_low": reported.low if reported else None,
        "reported_high": reported.high if reported else None,
        "own_reward": own.mean if own else None,
        "random": result.baselines.random,
        "normalised": result.normalised,
    }
    known |= {f"figures/{one.name}": one.reported.mean if one.reported else None for one in result.figures}
    return {name: value for name, value in known.items() if value is not None}


class _Once:
    """Lets no error out of its block, and tells of the first."""

    def __init__(self, complain: Callable[[str], None]) -> None:
        self._complain, self._told = complain, False

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> bool:
        if error is None or not isinstance(error, Exception):
            return False
        if not self._told:
            self._told = True
            self._complain(f"a tracker fails, the search goes on: {type(error).__name__}: {error}")
        return True


def _missing(extra: str) -> str:
    return f"trackers = ['{extra}'] needs a package: pip install 'rewardsmith[{extra}]'"
