from __future__ import annotations

import csv
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rewardsmith.api.sweep import Book, Cell, SweepFile, lay_out
from rewardsmith.api.sweep.csv_table import to_csv
from rewardsmith.api.sweep.matrix import SweepBudget
from rewardsmith.api.sweep.runner import left, run
from rewardsmith.api.sweep.store import outcome_of
from rewardsmith.api.sweep.sweeps import estimate
from rewardsmith.contract.errors import RunError, RunFailed, SweepError
from rewardsmith.contract.records import Baselines, Candidate, Interval, Proposal, Result, Spent
from rewardsmith.executors.base import Executor

Stub = Callable[[Cell, Path, Executor], Result]


class NoExecutor:
    """Runs nothing."""

    slots = 2

    def run(self, *_: object) -> None:
        raise AssertionError("a stubbed search runs no job")

    def close(self) -> None: ...


def cells(seeds: int = 2) -> tuple[Cell, ...]:
    sweep = SweepFile.model_validate({"tasks": ["hopper", "swimmer"], "presets": ["symbolic"], "seeds": seeds})
    return lay_out(sweep, environment={}).cells


def result(cell: Cell, cost: float | None = 0.0) -> Result:
    best = Candidate("g0c00", 0, 0, Proposal("", "none"), "ok", fitness=1.0)
    figure = Interval(2.0, 1.0, 3.0, (1.5, 2.5))
    spent = Spent(3, 100, cost)
    of = (cell.id, cell.task.text, cell.task.env.env_id, cell.task.fitness)
    return Result(*of, best, (best,), figure, Baselines(0.0, figure), 1.0, 1000, spent)


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    book = Book.open(tmp_path / "sweep")
    yield book
    book.close()


def test_every_cell_runs_once_in_its_own_directory(book: Book) -> None:
    ran: list[Path] = []

    def search(cell: Cell, path: Path, _: Executor) -> Result:
        ran.append(path)
        return result(cell)

    assert run(cells(), book, NoExecutor(), search=search) is None
    assert sorted(path.name for path in ran) == sorted(cell.id for cell in cells())
    assert {path.parent for path in ran} == {book.path / "cells"}
    standing = left(cells(), book)
    assert (standing.missing, standing.failed, len(standing.done)) == ((), (), 4)


def test_more_seeds_leave_only_the_new_cells_to_do(book: Book) -> None:
    run(cells(2), book, NoExecutor(), search=lambda cell, *_: result(cell))
    assert [cell.seed for cell in left(cells(3), book).missing] == [2, 2]


def test_a_cell_that_fails_says_why_stops_no_other_and_can_be_tried_again(book: Book) -> None:
    def search(cell: Cell, *_: object) -> Result:
        if cell.task.name == "hopper":
            raise RunFailed("no program could be scored")
        return result(cell)

    run(cells(), book, NoExecutor(), search=search)
    standing = left(cells(), book)
    assert ([cell.task.name for cell in standing.failed], len(standing.done)) == (["hopper", "hopper"], 2)
    assert {outcome.cause for outcome in book.outcomes().values()} == {None, "no program could be scored"}
    run(standing.failed, book, NoExecutor(), search=lambda cell, *_: result(cell))
    assert left(cells(), book).failed == ()
    assert len(book.outcomes()) == 4


def test_a_disk_that_is_full_ends_the_sweep_and_costs_no_cell_its_turn(book: Book) -> None:
    begun: list[str] = []

    def search(cell: Cell, *_: object) -> Result:
        begun.append(cell.id)
        raise RunError("cannot write the journal: the disk is full")

    with pytest.raises(RunError, match="the disk is full"):
        run(cells(20), book, NoExecutor(), search=search)
    assert len(begun) <= 2
    assert left(cells(20), book).failed == ()


def test_a_sweep_ends_in_order_when_its_dollars_are_spent(book: Book) -> None:
    why = run(cells(5), book, NoExecutor(), SweepBudget(cost_usd=1.0), search=lambda cell, *_: result(cell, 0.6))
    assert why == "the sweep's budget of $1 is spent"
    assert 2 <= len(left(cells(5), book).done) <= 4


def test_an_unknown_price_is_no_price_of_nothing(book: Book) -> None:
    why = run(cells(5), book, NoExecutor(), SweepBudget(cost_usd=1.0), search=lambda cell, *_: result(cell, None))
    assert why is not None
    assert "price of a call unknown" in why
    assert len(left(cells(5), book).missing) >= 6


def test_only_as_many_searches_are_open_as_keep_the_slots_busy(book: Book) -> None:
    open_now, most, lock = 0, 0, threading.Lock()

    def search(cell: Cell, *_: object) -> Result:
        nonlocal open_now, most
        with lock:
            open_now += 1
            most = max(most, open_now)
        with lock:
            open_now -= 1
        return result(cell)

    run(cells(20), book, NoExecutor(), search=search)
    assert most <= 2


def test_an_interrupt_writes_nothing_about_the_cells_that_it_cut_off(book: Book) -> None:
    def search(cell: Cell, *_: object) -> Result:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(cells(), book, NoExecutor(), search=search)
    assert book.outcomes() == {}


def test_two_processes_do_not_run_one_sweep(book: Book) -> None:
    with pytest.raises(SweepError, match="being run by another process"):
        Book.open(book.path)


def test_a_sweep_that_runs_can_be_looked_at(book: Book) -> None:
    run(cells(), book, NoExecutor(), search=lambda cell, *_: result(cell))
    assert len(Book.look(book.path).outcomes()) == 4
    with pytest.raises(SweepError, match="no sweep's directory"):
        Book.look(book.path / "cells")


def test_an_estimate_takes_its_pace_from_finished_cells_and_says_where_it_guesses() -> None:
    wanted = cells()
    guess = estimate(wanted, (), slots=2)
    assert (guess.measured, guess.usd) == (False, 0.0)
    done = [outcome_of(wanted[0], result(wanted[0]), 1.0)]
    assert estimate(wanted, tuple(done), 2).measured is False
    assert guess.env_steps == sum(cell.config.search.trainings * cell.config.search.env_steps for cell in wanted)
    assert guess.hours == pytest.approx(guess.env_steps / 3_000 / 2 / 3600)


def test_a_spreadsheet_has_a_row_per_cell_and_empty_fields_for_what_is_unknown(book: Book, tmp_path: Path) -> None:
    def search(cell: Cell, *_: object) -> Result:
        if cell.seed:
            raise RunFailed("it failed")
        return result(cell, None)

    run(cells(), book, NoExecutor(), search=search)
    to_csv(book.outcomes().values(), tmp_path / "cells.csv")
    rows = list(csv.DictReader((tmp_path / "cells.csv").read_text().splitlines()))
    assert {(row["status"], row["fitness"], row["cost_usd"]) for row in rows} == {
        ("ok", "2.0", ""),
        ("failed", "", "0.0"),
    }
    assert {row["cause"] for row in rows} == {"", "it failed"}
