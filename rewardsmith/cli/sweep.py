"""`rewardsmith sweep`: run, show and resume a matrix of searches.

rewardsmith sweep FILE.toml            run the cells that have no outcome yet
rewardsmith sweep status FILE|DIR      show its state
rewardsmith sweep retry FILE.toml      also run the cells that failed
"""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rewardsmith.cli.console import print_error, print_json, print_line, print_rows, verbosity
from rewardsmith.cli.options import ExecutorOption, JsonOption, VerbOrNameGroup, complete_run, parse_executor
from rewardsmith.contract.text import pluralize

if TYPE_CHECKING:
    from rewardsmith.api.sweep import Cell, CellOutcome, SweepMatrix
    from rewardsmith.api.sweep.sweeps import Sweep
    from rewardsmith.search.callbacks import SearchCallback

FileArgument = Annotated[
    Path, typer.Argument(help="The sweep's TOML file: tasks, presets, models, seeds and settings.")
]
ScaleOption = Annotated[str | None, typer.Option("--scale", help="One of the file's scales, such as laptop.")]
FolderOption = Annotated[
    Path | None, typer.Option("--out", help="The sweep's directory. [default: runs/<file>[-<scale>]]")
]
SlotsOption = Annotated[
    int | None, typer.Option("--jobs", help="Trainings at the same time, over all cells. [default: one per core]")
]
SkipOption = Annotated[bool, typer.Option("--skip", help="Leave out the cells that cannot run here.")]
ModelsOption = Annotated[list[str] | None, typer.Option("--model", help="Language models, instead of the file's.")]


class _SweepGroup(VerbOrNameGroup):
    """A group of verbs in which a file instead of a verb means `run FILE`."""

    verb_alone = None
    verb_of_names = "run"


app = typer.Typer(
    name="sweep",
    cls=_SweepGroup,
    help="Run a matrix of searches: tasks × presets × models × seeds.",
    rich_markup_mode=None,
    no_args_is_help=True,
    subcommand_metavar="[FILE | status FILE | retry FILE]",
)


@app.command("run")
def run(
    file: FileArgument,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the cells, their time and cost; run nothing.")
    ] = False,
    scale: ScaleOption = None,
    jobs: SlotsOption = None,
    model: ModelsOption = None,
    out: FolderOption = None,
    skip: SkipOption = False,
    executor: ExecutorOption = None,
) -> None:
    """Run the cells that have no outcome yet; the same without the verb. A failed cell does not stop the others."""
    from rewardsmith.api.sweep import sweeps

    cells, folder = _build_matrix(file, scale, model), sweeps.default_folder(file, out, scale)
    if dry_run:
        _print_plan(cells, folder, jobs or 0)
    else:
        _run_cells(file, cells, folder, jobs or 0, skip, False, executor)


@app.command("retry")
def retry(
    file: FileArgument,
    scale: ScaleOption = None,
    jobs: SlotsOption = None,
    model: ModelsOption = None,
    out: FolderOption = None,
    skip: SkipOption = False,
    executor: ExecutorOption = None,
) -> None:
    """Run the cells that failed, and those that are missing."""
    from rewardsmith.api.sweep import sweeps

    cells, folder = _build_matrix(file, scale, model), sweeps.default_folder(file, out, scale)
    _run_cells(file, cells, folder, jobs or 0, skip, True, executor)


@app.command("status")
def status(
    sweep: Annotated[
        Path, typer.Argument(help="The sweep's TOML file, or its directory.", autocompletion=complete_run)
    ],
    scale: ScaleOption = None,
    model: ModelsOption = None,
    out: FolderOption = None,
    json_: JsonOption = False,
) -> None:
    """Show the outcomes of the cells so far; also while they run."""
    from rewardsmith.api.sweep import SweepStore, sweeps
    from rewardsmith.api.sweep.runner import pending_cells
    from rewardsmith.contract import records

    store = SweepStore.open_readonly(sweep if sweep.is_dir() else sweeps.default_folder(sweep, out, scale))
    outcomes = store.load_outcomes()
    missing = len(pending_cells(_build_matrix(sweep, scale, model).cells, store).missing) if sweep.is_file() else 0
    if json_:
        print_json({"outcomes": [records.dump(outcome) for outcome in outcomes.values()], "missing": missing})
        return
    _print_outcomes(tuple(outcomes.values()))
    _print_counts(tuple(outcomes.values()), missing, store.path)


def _build_matrix(file: Path, scale: str | None, models: list[str] | None) -> SweepMatrix:
    """Read a sweep's file, and return its cells."""
    from rewardsmith.api.sweep import matrix, sweep_file

    sweep = sweep_file.apply_scale(sweep_file.load_sweep_file(file), scale)
    return matrix.build_matrix(sweep.model_copy(update={"models": tuple(models)}) if models else sweep)


def _print_plan(matrix: SweepMatrix, path: Path, jobs: int) -> None:
    """Print what a sweep would do.

    Args:
        matrix: its cells.
        path: its directory.
        jobs: trainings at the same time; 0: as the settings say.
    """
    from rewardsmith.api.sweep import SweepStore, sweeps
    from rewardsmith.api.sweep.runner import SweepProgress, pending_cells
    from rewardsmith.api.sweep.store import is_sweep
    from rewardsmith.executors import host, slots_for
    from rewardsmith.report.text import format_duration

    # The cells.
    progress = SweepProgress(matrix.cells, (), ())
    if is_sweep(path):
        progress = pending_cells(matrix.cells, SweepStore.open_readonly(path))
    _print_cells(matrix.cells, progress.missing)
    for refusal in matrix.refused:
        cells = pluralize(refusal.cells, "cell")
        print_line(f"cannot run: {refusal.task}, {refusal.preset} ({cells}): {refusal.cause}")

    # What is left of them.
    finished = f"{len(progress.done)} of them done, {len(progress.failed)} failed"
    print_line(f"\n{pluralize(len(matrix.cells), 'cell')}, {finished}; directory {path}")
    slots = jobs or (slots_for(matrix.cells[0].config) if matrix.cells else host.count_cores())
    cost = sweeps.estimate_cost(progress.missing, progress.done, slots)
    env_steps = pluralize(cost.env_steps, "environment step")
    print_line(f"left: {pluralize(len(progress.missing), 'cell')}, at most {env_steps}")

    # Time and cost.
    source = "measured here" if cost.measured else "a guess: no cell has finished yet"
    speed = f"{cost.steps_per_s:,.0f} steps/s per training ({source})"
    trainings = f"{pluralize(slots, 'training')} at the same time"
    print_line(f"time: about {format_duration(3600 * cost.hours)}, {trainings}, {speed}")
    usd = "unknown" if cost.usd is None else f"about ${cost.usd:.2f}"
    print_line(f"cost: {pluralize(cost.calls, 'call')} of language models, {usd}")


def _run_cells(
    file: Path, matrix: SweepMatrix, path: Path, jobs: int, skip: bool, retry: bool, executor: str | None
) -> None:
    """Run the cells that have no outcome, with `retry` also the failed ones.

    Raises:
        SweepError: if cells cannot run here and `skip` does not leave them out.
    """
    from rewardsmith.api.sweep import SweepStore, sweeps
    from rewardsmith.contract.errors import SweepError

    if matrix.refused:
        if not (skip and matrix.cells):
            raise SweepError(sweeps.format_refusals(matrix) + "\n--skip leaves them out")
        print_error(sweeps.format_refusals(matrix).replace("; nothing has begun", " and are left out"))
    with closing(SweepStore.open(path)) as store:
        store.copy_sweep_file(file)
        cells = pluralize(len(matrix.cells), "cell")
        print_line(f"{cells} in {store.path}; you can interrupt at any time, the same command resumes")
        outcome = sweeps.run_pending(
            matrix, store, jobs=jobs, retry=retry, where=parse_executor(executor), callback=_ProgressLines()
        )
    _print_end(outcome)


class _ProgressLines:
    """Prints a line for every cell that starts and ends, unless `--quiet` was given."""

    def on_cell_start(self, cell: Cell) -> SearchCallback:
        """See `SweepCallback.on_cell_start`."""
        from rewardsmith.search.callbacks import NullCallback

        self._print(f"starts  {cell.task.name}, {cell.preset}, seed {cell.seed}")
        return NullCallback()

    def on_cell_end(self, outcome: CellOutcome, done: int, of: int) -> None:
        """See `SweepCallback.on_cell_end`."""
        cell = f"{outcome.task}, {outcome.preset}, seed {outcome.seed}"
        self._print(f"{done}/{of}  {cell}: {_describe_outcome(outcome)}")

    def _print(self, text: str) -> None:
        if not verbosity.quiet:
            print_line(f"{time.strftime('%H:%M:%S')}  {text}")

    def on_stop(self, why: str) -> None:
        """See `SweepCallback.on_stop`."""
        print_error(f"no further cell starts: {why}")

    def on_notice(self, text: str) -> None:
        """See `SweepCallback.on_notice`."""
        print_error(text)


def _describe_outcome(outcome: CellOutcome) -> str:
    from rewardsmith.report.result_lines import format_interval, format_metrics
    from rewardsmith.report.text import format_duration

    if outcome.status == "failed":
        return f"failed: {outcome.cause}"
    fitness = format_interval(outcome.reported) if outcome.reported else "no reported fitness"
    score = "" if outcome.normalised is None else f", normalised score {outcome.normalised:.2f}"
    return f"{fitness}{score}{format_metrics(outcome.metrics)}, {format_duration(outcome.wall_s)}"


def _print_end(sweep: Sweep) -> None:
    _print_outcomes(sweep.outcomes)
    _print_counts(sweep.outcomes, sweep.missing, sweep.path)
    print_line(f"full report: {sweep.path / 'report.html'}")
    if sweep.stopped:
        print_error(sweep.stopped)


def _print_counts(outcomes: tuple[CellOutcome, ...], missing: int, path: Path) -> None:
    failed = sum(outcome.status == "failed" for outcome in outcomes)
    print_line(f"{pluralize(len(outcomes) - failed, 'cell')} done, {failed} failed, {missing} missing; {path}")
    if failed:
        print_line("run the failed cells again with: rewardsmith sweep retry FILE")


def _print_cells(cells: tuple[Cell, ...], missing: tuple[Cell, ...]) -> None:
    missing_ids = {cell.id for cell in missing}
    rows = []
    for cell in cells:
        search = cell.config.search
        size = f"{search.population} × {search.generations} × {search.env_steps:,}"
        state = "" if cell.id in missing_ids else "done"
        rows.append((cell.task.name, cell.preset, str(cell.seed), size, state, cell.id))
    print_rows(("task", "preset", "seed", "programs × steps", "", "directory"), rows)


def _print_outcomes(outcomes: tuple[CellOutcome, ...]) -> None:
    rows = [(outcome.task, outcome.preset, str(outcome.seed), _describe_outcome(outcome)) for outcome in outcomes]
    print_rows(("task", "preset", "seed", "fitness"), rows)
