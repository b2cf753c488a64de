"""`rewardsmith sweep`: a matrix of searches, run, looked at and taken up again.

rewardsmith sweep FILE.toml            run the cells that have no outcome yet
rewardsmith sweep status FILE|DIR      how far it is
rewardsmith sweep retry FILE.toml      run the cells that failed, too
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from rewardsmith.cli.console import complain, say, say_json, say_table
from rewardsmith.cli.options import EXECUTOR_HELP, executor_layer
from rewardsmith.contract.text import counted

if TYPE_CHECKING:
    from rewardsmith.api.sweep import Cell, Matrix, Outcome
    from rewardsmith.api.sweep.sweeps import Sweep
    from rewardsmith.search.callbacks import Watch

File = Annotated[Path, typer.Argument(help="The sweep's TOML file; docs/sweeps.md says what it holds.")]
Scale = Annotated[str | None, typer.Option(help="One of the file's scales, such as laptop.")]
Out = Annotated[Path | None, typer.Option(help="The sweep's directory. [default: runs/<file>[-<scale>]]")]
Jobs = Annotated[int, typer.Option(help="Trainings at once, over all cells. [default: one per core]")]
Where = Annotated[str | None, typer.Option("--executor", help=EXECUTOR_HELP)]
Skip = Annotated[bool, typer.Option("--skip", help="Leave out the cells that cannot run here.")]
Models = Annotated[list[str] | None, typer.Option("--model", help="Language models in place of the file's.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


class _Verbs(TyperGroup):
    """A group whose first verb is what is meant where a file stands in a verb's place."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the verb in that the arguments mean."""
        first = next((argument for argument in args if not argument.startswith("-")), None)
        if first is not None and first not in self.commands:
            args = ["run", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    name="sweep",
    cls=_Verbs,
    help="Run a matrix of searches: tasks × presets × models × seeds.",
    rich_markup_mode=None,
    no_args_is_help=True,
    subcommand_metavar="[FILE | status FILE | retry FILE]",
)


@app.command("run")
def run(
    file: File,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the cells and what they take; run nothing.")] = False,
    scale: Scale = None,
    jobs: Jobs = 0,
    model: Models = None,
    out: Out = None,
    skip: Skip = False,
    executor: Where = None,
) -> None:
    """Run the cells that have no outcome yet; the same without the verb. A failed cell does not stop the others."""
    from rewardsmith.api.sweep import sweeps

    if dry_run:
        _plan(_laid(file, scale, model), sweeps.home(file, out, scale), jobs)
    else:
        _run(file, _laid(file, scale, model), sweeps.home(file, out, scale), jobs, skip, False, executor)


@app.command("retry")
def retry(
    file: File,
    scale: Scale = None,
    jobs: Jobs = 0,
    model: Models = None,
    out: Out = None,
    skip: Skip = False,
    executor: Where = None,
) -> None:
    """Run the cells that failed, and those that are missing."""
    from rewardsmith.api.sweep import sweeps

    _run(file, _laid(file, scale, model), sweeps.home(file, out, scale), jobs, skip, True, executor)


@app.command("status")
def status(
    sweep: Annotated[Path, typer.Argument(help="The sweep's TOML file, or its directory.")],
    scale: Scale = None,
    model: Models = None,
    out: Out = None,
    json_: Json = False,
) -> None:
    """Show what came of the cells so far; also while they run."""
    from rewardsmith.api.sweep import Book, sweeps
    from rewardsmith.api.sweep.runner import left
    from rewardsmith.contract import records

    book = Book.look(sweep if sweep.is_dir() else sweeps.home(sweep, out, scale))
    outcomes = book.outcomes()
    missing = len(left(_laid(sweep, scale, model).cells, book).missing) if sweep.is_file() else 0
    if json_:
        say_json({"outcomes": [records.dump(outcome) for outcome in outcomes.values()], "missing": missing})
        return
    _say_outcomes(tuple(outcomes.values()))
    _say_count(tuple(outcomes.values()), missing, book.path)


def _laid(file: Path, scale: str | None, models: list[str] | None) -> Matrix:
    from rewardsmith.api.sweep import matrix

    sweep = matrix.scaled(matrix.read(file), scale)
    return matrix.lay_out(sweep.model_copy(update={"models": tuple(models)}) if models else sweep)


def _plan(laid: Matrix, path: Path, jobs: int) -> None:
    """Say what a sweep would do."""
    from rewardsmith.api.sweep import Book, sweeps
    from rewardsmith.api.sweep.runner import Left, left
    from rewardsmith.api.sweep.store import is_sweep
    from rewardsmith.executors import host, slots_for

    standing = left(laid.cells, Book.look(path)) if is_sweep(path) else Left(laid.cells, (), ())
    slots = jobs or (slots_for(laid.cells[0].config) if laid.cells else host.cores())
    _say_cells(laid.cells, standing.missing)
    for refusal in laid.refused:
        say(f"cannot run: {refusal.task}, {refusal.recipe} ({counted(refusal.cells, 'cell')}): {refusal.cause}")
    settled = f"{len(standing.done)} of them done, {len(standing.failed)} failed"
    say(f"\n{counted(len(laid.cells), 'cell')}, {settled}; directory {path}")
    took = sweeps.estimate(standing.missing, standing.done, slots)
    how = "measured here" if took.measured else "a guess: no cell has finished yet"
    most = counted(took.env_steps, "environment step")
    say(f"left: {counted(len(standing.missing), 'cell')}, at most {most}")
    pace = f"{took.steps_per_s:,.0f} steps/s each ({how})"
    say(f"time: about {took.hours:.1f} h with {counted(slots, 'training')} at once, at {pace}")
    cost = "unknown" if took.usd is None else f"about ${took.usd:.2f}"
    say(f"cost: {counted(took.calls, 'call')} of language models, {cost}")


def _run(file: Path, laid: Matrix, path: Path, jobs: int, skip: bool, retry: bool, executor: str | None) -> None:
    from rewardsmith.api.sweep import sweeps
    from rewardsmith.contract.errors import SweepError

    if laid.refused:
        if not (skip and laid.cells):
            raise SweepError(sweeps.refusals(laid) + "\n--skip leaves them out")
        complain(sweeps.refusals(laid).replace("; nothing has begun", " and are left out"))
    with sweeps.opened(path) as book:
        book.keep_file(file)
        say(f"{counted(len(laid.cells), 'cell')} in {book.path}; interrupting is safe, the same command goes on")
        found = sweeps.run_left(laid, book, jobs=jobs, retry=retry, where=executor_layer(executor), watch=_Lines())
    _say_end(found)


class _Lines:
    """A line for every cell that begins and ends."""

    def began(self, cell: Cell) -> Watch:
        """See `SweepWatch.began`."""
        from rewardsmith.search.callbacks import Silent

        say(f"{_now()}  begins  {cell.task.name}, {cell.recipe}, seed {cell.seed}")
        return Silent()

    def settled(self, outcome: Outcome, done: int, of: int) -> None:
        """See `SweepWatch.settled`."""
        say(f"{_now()}  {done}/{of}  {outcome.task}, {outcome.recipe}, seed {outcome.seed}: {_told(outcome)}")

    def stopped(self, why: str) -> None:
        """See `SweepWatch.stopped`."""
        complain(f"no further cell begins: {why}")

    def notice(self, text: str) -> None:
        """See `SweepWatch.notice`."""
        complain(text)


def _now() -> str:
    return time.strftime("%H:%M:%S")


def _told(outcome: Outcome) -> str:
    from rewardsmith.report.tables import beside, interval

    if outcome.status == "failed":
        return f"failed: {outcome.cause}"
    figure = interval(outcome.reported) if outcome.reported else "no reported figure"
    normalised = "" if outcome.normalised is None else f", normalised {outcome.normalised:.2f}"
    return f"{figure}{normalised}{beside(outcome.figures)}, {outcome.wall_s / 60:.1f} min"


def _say_end(sweep: Sweep) -> None:
    _say_outcomes(sweep.outcomes)
    _say_count(sweep.outcomes, sweep.missing, sweep.path)
    say(f"all of it to read: {sweep.path / 'report.html'}")
    if sweep.stopped:
        complain(sweep.stopped)


def _say_count(outcomes: tuple[Outcome, ...], missing: int, path: Path) -> None:
    failed = sum(outcome.status == "failed" for outcome in outcomes)
    say(f"{counted(len(outcomes) - failed, 'cell')} done, {failed} failed, {missing} missing; {path}")
    if failed:
        say("`rewardsmith sweep retry FILE` runs the failed ones again")


def _say_cells(cells: tuple[Cell, ...], missing: tuple[Cell, ...]) -> None:
    left = {cell.id for cell in missing}
    rows = []
    for cell in cells:
        search = cell.config.search
        shape = f"{search.population} × {search.generations} × {search.env_steps:,}"
        rows.append((cell.task.name, cell.recipe, str(cell.seed), shape, "" if cell.id in left else "done", cell.id))
    say_table(("task", "recipe", "seed", "programs × steps", "", "directory"), rows)


def _say_outcomes(outcomes: tuple[Outcome, ...]) -> None:
    rows = [(o.task, o.recipe, str(o.seed), _told(o)) for o in outcomes]
    say_table(("task", "recipe", "seed", "fitness"), rows)
