"""What the command and a Python call of a sweep have in common."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rewardsmith.api.sweep import html_report, matrix
from rewardsmith.api.sweep.matrix import Cell, Matrix, SweepFile
from rewardsmith.api.sweep.runner import Left, SweepWatch, left, run
from rewardsmith.api.sweep.store import Book, Outcome
from rewardsmith.contract.errors import SweepError
from rewardsmith.contract.text import counted
from rewardsmith.executors import workplace
from rewardsmith.executors.base import Executor
from rewardsmith.spec import config as configuration
from rewardsmith.spec.config import Layer

SWEEPS = Path("runs")


@dataclass(frozen=True)
class Sweep:
    """What stands of a sweep when a call has ended."""

    path: Path
    outcomes: tuple[Outcome, ...]
    """Of the cells that the file asks for now and that have one."""
    missing: int
    """Cells without an outcome."""
    stopped: str | None
    """Why no further cell began; None where all had their turn."""


@dataclass(frozen=True)
class Estimate:
    """What the cells that are left will take."""

    env_steps: int
    hours: float
    steps_per_s: float
    """Of one training."""
    measured: bool
    """False where no finished cell says how fast trainings are, so that `GUESS` stands in."""
    calls: int
    usd: float | None
    """None where no finished cell says what a call costs."""


GUESS = 3_000.0
"""Environment steps per second of one training, where nothing is measured: Hopper-v5 on a slow core."""


def sweep(
    file: Path | str | Mapping[str, Any],
    *,
    out: Path | str | None = None,
    scale: str | None = None,
    jobs: int = 0,
    retry: bool = False,
    watch: SweepWatch | None = None,
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
        watch: is told how it goes.
        executor: where all jobs run; None takes what the settings name.

    Raises:
        SweepError: if the file is wrong, or another process runs the sweep.
        ConfigError: if a setting is wrong.
        TaskError: if cells cannot run; nothing has begun.
        RunError: if the directory cannot be written; a later call goes on.
    """
    found = matrix.scaled(load(file), scale)
    laid = matrix.lay_out(found)
    if laid.refused:
        raise SweepError(refusals(laid))
    with opened(home(file, out, scale)) as book:
        if not isinstance(file, Mapping):
            book.keep_file(Path(file))
        return run_left(laid, book, jobs=jobs, retry=retry, watch=watch, executor=executor)


def run_left(
    laid: Matrix,
    book: Book,
    *,
    jobs: int = 0,
    retry: bool = False,
    where: Layer | None = None,
    watch: SweepWatch | None = None,
    executor: Executor | None = None,
) -> Sweep:
    """Run what is left of a matrix; see `sweep`.

    `where` is configuration over the cells' own that says where their jobs run.
    """
    cells = _wanted(left(laid.cells, book), retry)
    stopped = None
    if cells:
        with nullcontext(executor) if executor else _workplace(cells[0], jobs, where, watch) as opened_here:
            stopped = run(cells, book, opened_here, laid.budget, watch)
        html_report.write(book)
    known = book.outcomes()
    outcomes = tuple(known[cell.id] for cell in laid.cells if cell.id in known)
    return Sweep(book.path, outcomes, len(laid.cells) - len(outcomes), stopped)


def load(file: Path | str | Mapping[str, Any]) -> SweepFile:
    """Read a sweep from its file or its content; see `matrix.read` for what it raises."""
    if not isinstance(file, Mapping):
        return matrix.read(Path(file))
    try:
        return SweepFile.model_validate(file)
    except ValidationError as error:
        first = error.errors()[0]
        raise SweepError(f"the sweep's {'.'.join(map(str, first['loc']))}: {first['msg']}") from error


def home(file: Path | str | Mapping[str, Any], out: Path | str | None, scale: str | None) -> Path:
    """Return a sweep's directory.

    >>> home("benchmarks/mujoco.toml", None, "laptop").as_posix()
    'runs/mujoco-laptop'

    Raises:
        SweepError: if neither the directory nor a file is named.
    """
    if out is not None:
        return Path(out)
    if isinstance(file, Mapping):
        raise SweepError("a sweep that has no file needs a directory: out=")
    return SWEEPS / "-".join(filter(None, (Path(file).stem, scale)))


def refusals(laid: Matrix) -> str:
    """Return a line for every group of cells that cannot run."""
    count = sum(refusal.cells for refusal in laid.refused)
    lines = [f"{count} of {counted(count + len(laid.cells), 'cell')} cannot run; nothing has begun"]
    for refusal in laid.refused:
        lines.append(f"  {refusal.task}, {refusal.recipe}: {refusal.cause}")
    return "\n".join(lines)


def estimate(cells: tuple[Cell, ...], done: tuple[Outcome, ...], slots: int) -> Estimate:
    """Return what cells will take, from what finished ones took.

    Args:
        cells: that are left.
        done: outcomes of finished cells.
        slots: trainings at once.
    """
    seconds, trained = sum(outcome.train_s for outcome in done), sum(outcome.train_steps for outcome in done)
    rate = trained / seconds if seconds else GUESS
    steps = Matrix(cells, (), matrix.SweepBudget()).env_steps
    calls = sum(cell.calls for cell in cells)
    asked, costs = sum(outcome.spent.calls for outcome in done), [outcome.spent.cost_usd for outcome in done]
    known = [cost for cost in costs if cost is not None]
    price = sum(known) / asked if asked and len(known) == len(costs) else None
    usd = 0.0 if not calls else None if price is None else calls * price
    return Estimate(steps, steps / rate / slots / 3600, rate, bool(seconds), calls, usd)


@contextmanager
def opened(path: Path) -> Iterator[Book]:
    """Open a sweep's directory for writing."""
    book = Book.open(path)
    try:
        yield book
    finally:
        book.close()


def _wanted(standing: Left, retry: bool) -> tuple[Cell, ...]:
    return (*standing.missing, *standing.failed) if retry else standing.missing


@contextmanager
def _workplace(cell: Cell, jobs: int, where: Layer | None, watch: SweepWatch | None) -> Iterator[Executor]:
    """Open where jobs run, as the settings that all cells share say."""
    config = configuration.resolve(cell.config.model_dump(), {"jobs": jobs or cell.config.jobs}, where or {})
    with workplace(config, watch.notice if watch else lambda text: None) as executor:
        yield executor
