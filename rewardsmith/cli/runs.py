"""Runs as the verbs use them: open one, choose whose policy acts, run a search with a view of its progress."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from rewardsmith.cli.console import is_terminal, print_error, verbosity
from rewardsmith.contract.errors import RunError, RunFailed

if TYPE_CHECKING:
    from rewardsmith.contract.records import Result
    from rewardsmith.search.callbacks import SearchCallback
    from rewardsmith.search.storage import Run


def open_run(path: Path) -> Run:
    """Open a run directory.

    Raises:
        RunError: if it is not one; a sweep's directory is named as such.
    """
    from rewardsmith.api.sweep.store import is_sweep
    from rewardsmith.search.storage import Run

    if is_sweep(path):
        raise RunError(f"{path} is a sweep, not a run; `rewardsmith sweep status {path}` shows it")
    return Run.open(path)


def choose_default_owner(run: Run) -> str:
    """Return the owner of the policy that acts by default: the best program, retrained if it was.

    Raises:
        RunError: if nothing has been evaluated yet.
    """
    from rewardsmith.report import video as videos
    from rewardsmith.search.steps.evolution import find_incumbent
    from rewardsmith.search.storage.layout import final_owner

    result = run.read_result()
    if result is not None:
        is_retrained = bool(run.layout.list_evaluations(final_owner(result.best.id)))
        return videos.FINAL_OWNER if is_retrained else result.best.id
    filmable = videos.list_filmable_candidates(run)
    best = find_incumbent([one for one in run.read_candidates() if one.id in filmable], run.config.evolution)
    if best is None:
        raise RunError(f"{run.path} has no evaluated candidate yet, so there is nothing to film")
    return best.id


def confirm_run(run: Run, trust: bool, *, executor_is_given: bool = False) -> None:
    """Ask on a terminal whether a run from another machine may do what it asks for; the answer "yes" is remembered.

    Without a terminal nothing is asked, and the run is refused where it would act.

    Args:
        run: the run.
        trust: the user says yes beforehand, to its model's endpoint too.
        executor_is_given: as in `trusted_runs.list_demands`.
    """
    from rewardsmith.search import setup, trusted_runs

    demands = trusted_runs.list_unconfirmed(run, executor_is_given=executor_is_given)
    if demands and not trust and is_terminal(sys.stdin) and is_terminal(sys.stderr):
        print_error(f"{run.path} was not started on this machine, and it {', and it '.join(demands)}.")
        trust = typer.confirm("Do you trust it?", err=True)
    elif trust:
        setup.trust_endpoints(run)
    if demands and trust:
        trusted_runs.remember_run(run)


# ---------------------------------------------------------------- searches


def run_new_search(run: Run, json_: bool, yes: bool = False) -> None:
    """Run a search that was just created; if a user error ends it before anything was paid for, remove its directory.

    Args:
        run: the run.
        json_: whether to print JSON lines.
        yes: take a proposed fitness without asking.

    Raises:
        UserError: if the search cannot start.
    """
    from rewardsmith.api.searches import discard_unused

    with discard_unused(run):
        run_search(run, json_, yes)


def run_search(run: Run, json_: bool, yes: bool = False) -> None:
    """Run or resume a search with a view of its progress, and print its result.

    Args:
        run: the run.
        json_: whether to print JSON lines.
        yes: take a proposed fitness without asking.

    Raises:
        Exit: if it was interrupted or failed; the message says how to resume it.
        UserError: if the user can correct what is wrong.
    """
    from rewardsmith.cli.fitness import settle_fitness
    from rewardsmith.report.tables import make_console, print_result

    settle_fitness(run, yes)
    result = run_with_view(run, json_)
    if not json_:
        print_result(result, make_console(sys.stdout), run.path)


def run_with_view(run: Run, json_: bool) -> Result:
    """Run or resume a search with a view of its progress; see `run_search` for what it raises."""
    from rewardsmith.api import searches

    with say_how_to_continue(f"Resume with: rewardsmith resume {run.path}"), open_run_view(run, json_) as callback:
        return searches.continue_run(run, callback)


@contextmanager
def say_how_to_continue(how: str) -> Iterator[None]:
    """Say how to go on if the block is interrupted or fails, as what is done stays done.

    Raises:
        Exit: with the code of the interruption or failure.
    """
    try:
        yield
    except KeyboardInterrupt:
        print_error(f"interrupted; progress saved. {how}")
        raise typer.Exit(130) from None
    except RunFailed as error:
        print_error(f"{error}\nProgress saved. {how}")
        raise typer.Exit(1) from None


@contextmanager
def open_run_view(run: Run, json_: bool) -> Iterator[SearchCallback]:
    """Open the view that suits stdout; with `--quiet` there is no view, except for JSON lines."""
    from rewardsmith.report.live import open_view
    from rewardsmith.search.callbacks import NullCallback

    if verbosity.quiet and not json_:
        yield NullCallback()
        return
    with open_view(sys.stdout, json_, run) as callback:
        yield callback
