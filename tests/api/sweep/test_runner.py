from __future__ import annotations

import csv
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from rewardsmith.api.sweep import Cell, CellOutcome, SweepFile, SweepStore, build_matrix
from rewardsmith.api.sweep.csv_table import write_csv
from rewardsmith.api.sweep.runner import pending_cells, run_cells
from rewardsmith.api.sweep.store import build_outcome
from rewardsmith.api.sweep.sweep_file import SweepBudget
from rewardsmith.api.sweep.sweeps import estimate_cost
from rewardsmith.contract.errors import RunError, RunFailed, SweepError
from rewardsmith.contract.records import Baselines, Candidate, Interval, ModelUsage, Proposal, Result
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
    return build_matrix(sweep, variables={}).cells


def result(cell: Cell, cost: float | None = 0.0) -> Result:
    best = Candidate("g0c00", 0, 0, Proposal("", "none"), "ok", fitness=1.0)
    figure = Interval(2.0, 1.0, 3.0, (1.5, 2.5))
    spent = ModelUsage(3, 100, cost)
    of = (cell.id, cell.task.text, cell.task.env.env_id, cell.task.fitness)
    return Result(*of, best, (best,), figure, Baselines(0.0, figure), 1.0, 1000, spent)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SweepStore]:
    store = SweepStore.open(tmp_path / "sweep")
    yield store
    store.close()


def test_every_cell_runs_once_in_its_own_directory(store: SweepStore) -> None:
    ran: list[Path] = []

    def search(cell: Cell, path: Path, _: Executor) -> Result:
        ran.append(path)
        return result(cell)

    assert run_cells(cells(), store, NoExecutor(), search=search) is None
    assert sorted(path.name for path in ran) == sorted(cell.id for cell in cells())
    assert {path.parent for path in ran} == {store.path / "cells"}
    standing = pending_cells(cells(), store)
    assert (standing.missing, standing.failed, len(standing.done)) == ((), (), 4)


def test_more_seeds_leave_only_the_new_cells_to_do(store: SweepStore) -> None:
    run_cells(cells(2), store, NoExecutor(), search=lambda cell, *_: result(cell))
    assert [cell.seed for cell in pending_cells(cells(3), store).missing] == [2, 2]


def test_a_cell_that_fails_says_why_stops_no_other_and_can_be_tried_again(store: SweepStore) -> None:
    def search(cell: Cell, *_: object) -> Result:
        if cell.task.name == "hopper":
            raise RunFailed("no program could be scored")
        return result(cell)

    run_cells(cells(), store, NoExecutor(), search=search)
    standing = pending_cells(cells(), store)
    assert ([cell.task.name for cell in standing.failed], len(standing.done)) == (["hopper", "hopper"], 2)
    assert {outcome.cause for outcome in store.load_outcomes().values()} == {None, "no program could be scored"}
    run_cells(standing.failed, store, NoExecutor(), search=lambda cell, *_: result(cell))
    assert pending_cells(cells(), store).failed == ()
    assert len(store.load_outcomes()) == 4


def test_a_disk_that_is_full_ends_the_sweep_and_costs_no_cell_its_turn(store: SweepStore) -> None:
    begun: list[str] = []

    def search(cell: Cell, *_: object) -> Result:
        begun.append(cell.id)
        raise RunError("cannot write the journal: the disk is full")

    with pytest.raises(RunError, match="the disk is full"):
        run_cells(cells(20), store, NoExecutor(), search=search)
    assert len(begun) <= 2
    assert pending_cells(cells(20), store).failed == ()


def test_a_sweep_ends_in_order_when_its_dollars_are_spent(store: SweepStore) -> None:
    why = run_cells(cells(5), store, NoExecutor(), SweepBudget(cost_usd=1.0), search=lambda cell, *_: result(cell, 0.6))
    assert why == "the sweep's budget of $1 is spent"
    assert 2 <= len(pending_cells(cells(5), store).done) <= 4


def test_an_unknown_price_is_no_price_of_nothing(store: SweepStore) -> None:
    why = run_cells(
        cells(5), store, NoExecutor(), SweepBudget(cost_usd=1.0), search=lambda cell, *_: result(cell, None)
    )
    assert why is not None
    assert "price of a call unknown" in why
    assert len(pending_cells(cells(5), store).missing) >= 6


@pytest.mark.parametrize(("open_searches", "expected"), [(0, 2), (4, 4)])
def test_as_many_searches_are_open_as_keep_the_slots_busy_or_as_the_caller_says(
    store: SweepStore, open_searches: int, expected: int
) -> None:
    together = threading.Barrier(expected, timeout=20)
    open_now: set[str] = set()
    most = 0

    def search(cell: Cell, *_: object) -> Result:
        nonlocal most
        open_now.add(cell.id)
        most = max(most, len(open_now))
        together.wait()  # passes only when as many as expected are open at once
        open_now.discard(cell.id)
        return result(cell)

    run_cells(cells(20)[: 2 * expected], store, NoExecutor(), search=search, open_searches=open_searches)
    assert most <= expected
    assert len(store.load_outcomes()) == 2 * expected


def test_an_interrupt_writes_nothing_about_the_cells_that_it_cut_off(store: SweepStore) -> None:
    def search(cell: Cell, *_: object) -> Result:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_cells(cells(), store, NoExecutor(), search=search)
    assert store.load_outcomes() == {}


def test_two_processes_do_not_run_one_sweep(store: SweepStore) -> None:
    with pytest.raises(SweepError, match="being run by another process"):
        SweepStore.open(store.path)


def test_a_sweep_that_runs_can_be_looked_at(store: SweepStore) -> None:
    run_cells(cells(), store, NoExecutor(), search=lambda cell, *_: result(cell))
    assert len(SweepStore.open_readonly(store.path).load_outcomes()) == 4
    with pytest.raises(SweepError, match="no sweep's directory"):
        SweepStore.open_readonly(store.path / "cells")


def test_an_estimate_takes_its_pace_from_finished_cells_and_says_where_it_guesses() -> None:
    wanted = cells()
    guess = estimate_cost(wanted, (), slots=2)
    assert (guess.measured, guess.usd) == (False, 0.0)
    done = [build_outcome(wanted[0], result(wanted[0]), 1.0)]
    assert estimate_cost(wanted, tuple(done), 2).measured is False
    assert guess.env_steps == sum(cell.config.search.trainings * cell.config.search.env_steps for cell in wanted)
    assert guess.hours == pytest.approx(guess.env_steps / 3_000 / 2 / 3600)


def test_an_estimate_takes_each_environment_at_its_own_speed_and_others_at_the_mean() -> None:
    hopper, swimmer = (next(cell for cell in cells(1) if cell.task.name == name) for name in ("hopper", "swimmer"))
    outcome = replace(build_outcome(hopper, result(hopper), 1.0), train_s=100.0, train_steps=100_000)
    fast = replace(build_outcome(swimmer, result(swimmer), 1.0), train_s=100.0, train_steps=900_000)

    def hours(cell: Cell, *done: CellOutcome) -> float:
        steps = cell.config.search.trainings * cell.config.search.env_steps
        return steps / estimate_cost((cell,), done, 1).hours / 3600

    assert hours(hopper, outcome, fast) == pytest.approx(1_000)
    assert hours(swimmer, outcome, fast) == pytest.approx(9_000)
    assert hours(swimmer, outcome) == pytest.approx(1_000)


def test_a_spreadsheet_has_a_row_per_cell_and_empty_fields_for_what_is_unknown(
    store: SweepStore, tmp_path: Path
) -> None:
    def search(cell: Cell, *_: object) -> Result:
        if cell.seed:
            raise RunFailed("it failed")
        return result(cell, None)

    run_cells(cells(), store, NoExecutor(), search=search)
    write_csv(store.load_outcomes().values(), tmp_path / "cells.csv")
    rows = list(csv.DictReader((tmp_path / "cells.csv").read_text().splitlines()))
    assert {(row["status"], row["fitness"], row["cost_usd"]) for row in rows} == {
        ("ok", "2.0", ""),
        ("failed", "", "0.0"),
    }
    assert {row["cause"] for row in rows} == {"", "it failed"}
