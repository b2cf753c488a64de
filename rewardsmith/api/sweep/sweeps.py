"""Functions behind the command `rewardsmith sweep` and its Python call."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rewardsmith.api.speed import GUESSED_SPEED
from rewardsmith.api.sweep import html_report, matrix
from rewardsmith.api.sweep.matrix import Cell, SweepMatrix
from rewardsmith.api.sweep.runner import RunCell, SweepCallback, pending_cells, run_cells
from rewardsmith.api.sweep.store import CellOutcome, SweepStore
from rewardsmith.api.sweep.sweep_file import NESTED, SweepFile, apply_scale, load_sweep_file
from rewardsmith.contract import import_path
from rewardsmith.contract.errors import SweepError
from rewardsmith.contract.text import pluralize
from rewardsmith.executors import open_executor
from rewardsmith.executors.base import Executor
from rewardsmith.llm.ledger import sum_usage
from rewardsmith.spec import config as configuration
from rewardsmith.spec import toml_files
from rewardsmith.spec.config import Layer
from rewardsmith.spec.validation_errors import collect_faults, join_lines

SWEEPS = Path("runs")


@dataclass(frozen=True)
class Sweep:
    """State of a sweep when a call has ended."""

    path: Path
    outcomes: tuple[CellOutcome, ...]
    """Outcomes of the cells that the file asks for now."""
    missing: int
    """Cells without an outcome."""
    stopped: str | None
    """Why no further cell began; None where all were run."""


@dataclass(frozen=True)
class CostEstimate:
    """Time and cost that the pending cells will take."""

    env_steps: int
    hours: float
    steps_per_s: float
    """Speed of one training, on average over the steps that are left."""
    measured: bool
    """Whether a finished cell gave the speed of trainings; else it is `GUESSED_SPEED`."""
    calls: int
    usd: float | None
    """None if no finished cell gave the cost of a call."""


def sweep(
    file: Path | str | Mapping[str, Any],
    *,
    out: Path | str | None = None,
    scale: str | None = None,
    jobs: int = 0,
    retry: bool = False,
    callback: SweepCallback | None = None,
    executor: Executor | None = None,
) -> Sweep:
    """Run the cells of a sweep that have no outcome yet; one that fails does not stop the others.

    >>> sweep({"tasks": ["hopper", "swimmer"], "presets": ["smith", "symbolic"], "seeds": 3})  # doctest: +SKIP

    Args:
        file: the sweep's TOML file, or its content.
        out: its directory; None takes `runs/<the file's name>`, which content without a file does not have.
        scale: the name of one of the file's scales.
        jobs: trainings at once; 0: as the settings say, one per core.
        retry: run the cells that failed too.
        callback: receives the events.
        executor: where all jobs run; None takes what the settings name.

    Raises:
        SweepError: if the file is wrong, or another process runs the sweep.
        ConfigError: if a setting is wrong.
        TaskError: if cells cannot run; nothing has begun.
        RunError: if the directory cannot be written; a later call goes on.
    """
    cells = matrix.build_matrix(apply_scale(load_sweep(file), scale))
    if cells.refused:
        raise SweepError(format_refusals(cells))
    with closing(SweepStore.open(default_folder(file, out, scale))) as store:
        if not isinstance(file, Mapping):
            store.copy_sweep_file(Path(file))
        return run_pending(cells, store, jobs=jobs, retry=retry, callback=callback, executor=executor)


def run_pending(
    cells: SweepMatrix,
    store: SweepStore,
    *,
    jobs: int = 0,
    retry: bool = False,
    where: Layer | None = None,
    callback: SweepCallback | None = None,
    executor: Executor | None = None,
    search: RunCell | None = None,
    open_searches: int = 0,
) -> Sweep:
    """Run the pending cells of a matrix; see `sweep`.

    `where` is configuration over the cells' own that says where their jobs run; `search` runs one cell, in place of
    `runner.run_search`; for `open_searches` see `runner.run_cells`.
    """
    progress = pending_cells(cells.cells, store)
    selected = (*progress.missing, *progress.failed) if retry else progress.missing
    stopped = None
    if selected:
        shared_executor = nullcontext(executor) if executor else _open_executor(selected[0], jobs, where, callback)
        with shared_executor as opened:
            stopped = run_cells(selected, store, opened, cells.budget, callback, search, open_searches)
        html_report.write_report(store)
    recorded = store.load_outcomes()
    outcomes = tuple(recorded[cell.id] for cell in cells.cells if cell.id in recorded)
    return Sweep(store.path, outcomes, len(cells.cells) - len(outcomes), stopped)


def load_sweep(file: Path | str | Mapping[str, Any]) -> SweepFile:
    """Read a sweep from its file or its content; see `sweep_file.load_sweep_file` for what it raises."""
    if not isinstance(file, Mapping):
        return load_sweep_file(Path(file))
    try:
        return SweepFile.model_validate(file)
    except ValidationError as error:
        faults = [toml_files.describe_fault(fault, SweepFile, NESTED) for fault in collect_faults(error, file)]
        raise SweepError(join_lines([f"the sweep: {line}" for line in faults])) from error


def default_folder(file: Path | str | Mapping[str, Any], out: Path | str | None, scale: str | None) -> Path:
    """Return a sweep's directory.

    >>> default_folder("benchmarks/mujoco.toml", None, "laptop").as_posix()
    'runs/mujoco-laptop'

    Raises:
        SweepError: if neither the directory nor a file is named.
    """
    if out is not None:
        return Path(out)
    if isinstance(file, Mapping):
        raise SweepError("a sweep that has no file needs a directory: out=")
    return SWEEPS / "-".join(filter(None, (Path(file).stem, scale)))


def format_refusals(cells: SweepMatrix) -> str:
    """Return a line for every group of cells that cannot run."""
    count = sum(refusal.cells for refusal in cells.refused)
    lines = [f"{count} of {pluralize(count + len(cells.cells), 'cell')} cannot run; nothing has begun"]
    for refusal in cells.refused:
        lines.append(f"  {refusal.task}, {refusal.preset}: {refusal.cause}")
    return "\n".join(lines)


def estimate_cost(cells: tuple[Cell, ...], done: tuple[CellOutcome, ...], slots: int) -> CostEstimate:
    """Estimate what cells will take, from what finished ones took.

    Args:
        cells: the pending cells.
        done: outcomes of finished cells.
        slots: trainings at once.
    """
    # Time, from the speed of the finished cells' trainings: on the same environment, else on all of them.
    speeds = {
        outcome.env_id: _measure_speed(other for other in done if other.env_id == outcome.env_id) for outcome in done
    }
    overall = _measure_speed(done)
    env_steps, seconds = 0, 0.0
    for cell in cells:
        cell_steps = cell.config.search.trainings * cell.config.search.env_steps
        env_steps += cell_steps
        seconds += cell_steps / (speeds.get(cell.task.env.env_id) or overall or GUESSED_SPEED)
    steps_per_s = env_steps / seconds if seconds else overall or GUESSED_SPEED
    hours = seconds / slots / 3600

    # Cost, from the mean price of their calls, where the price of each is known.
    calls = sum(cell.calls for cell in cells)
    spent = sum_usage(outcome.spent for outcome in done)
    usd: float | None = None
    if not calls:
        usd = 0.0
    elif spent.calls and spent.cost_usd is not None:
        usd = calls * spent.cost_usd / spent.calls
    return CostEstimate(env_steps, hours, steps_per_s, overall is not None, calls, usd)


def _measure_speed(outcomes: Iterable[CellOutcome]) -> float | None:
    """Return the environment steps per second of one training; None if nothing was trained."""
    outcomes = tuple(outcomes)
    seconds = sum(outcome.train_s for outcome in outcomes)
    return sum(outcome.train_steps for outcome in outcomes) / seconds if seconds else None


def _open_executor(
    cell: Cell, jobs: int, where: Layer | None, callback: SweepCallback | None
) -> AbstractContextManager[Executor]:
    """Open the executor that the settings name; all cells share it."""
    config = configuration.resolve_config(cell.config.model_dump(), {"jobs": jobs or cell.config.jobs}, where or {})
    notice = callback.on_notice if callback else lambda text: None
    return open_executor(config, notice, import_path.find_module_folder(("any",), Path.cwd()))
