"""What outcomes say together, and the page that tells it."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

from rewardsmith.api.sweep import Book, Outcome
from rewardsmith.api.sweep import html_report as sweep_report
from rewardsmith.api.sweep.aggregate import Summary, summarise
from rewardsmith.contract import records
from rewardsmith.contract.records import Interval, ReportedFigure, Spent


def outcome(
    task: str, recipe: str, seed: int, fitness: float, own: float | None = 2.0, cost: float | None = 0.5
) -> Outcome:
    """Return a cell's outcome: random actions have 0, so that the score is fitness over the own reward."""
    return Outcome(
        f"{task}-{recipe}-s{seed}",
        task,
        f"{task}-v0",
        recipe,
        seed,
        "ok",
        reported=Interval(fitness, fitness - 1, fitness + 1, (fitness - 0.5, fitness + 0.5)),
        random=0.0,
        own_reward=None if own is None else Interval(own, None, None, (own,)),
        normalised=None if own is None else fitness / own,
        env_steps=1_000,
        wall_s=60.0,
        spent=Spent(2, 100, cost),
    )


def failed(task: str, recipe: str, seed: int) -> Outcome:
    return Outcome(
        f"{task}-{recipe}-s{seed}", task, f"{task}-v0", recipe, seed, "failed", "it <b>fell</b>", wall_s=30.0
    )


OUTCOMES = (
    outcome("hop", "good", 0, 3.0),
    outcome("hop", "good", 1, 5.0),
    outcome("hop", "bad", 0, 1.0),
    failed("hop", "bad", 1),
    outcome("swim", "good", 0, 2.0),
    outcome("swim", "bad", 0, 1.0, cost=None),
)


def test_a_recipe_is_told_by_its_scores_over_tasks() -> None:
    found = summarise(OUTCOMES)
    good, bad = found.recipes
    assert (good.recipe, good.cells, good.failed, good.tasks) == ("good", 3, 0, 2)
    assert good.mean is not None
    assert good.mean.value == pytest.approx((2.0 + 1.0) / 2)
    assert (good.solved, good.compared, bad.solved, bad.compared) == (2, 2, 0, 2)
    assert (bad.cells, bad.failed) == (3, 1)
    assert good.interquartile_mean is not None
    assert good.interquartile_mean.value == pytest.approx((1.5 + 2.5 + 1.0) / 3)  # int(3 / 4) = 0 are left out


def test_cost_and_time_are_told_per_solved_task_and_an_unknown_price_stays_unknown() -> None:
    good, bad = summarise(OUTCOMES).recipes
    assert good.wall_s_per_solved == pytest.approx(90.0)
    assert good.cost_usd_per_solved == pytest.approx(0.75)
    assert bad.cost_usd is None
    assert bad.wall_s_per_solved is None


def test_recipes_are_held_against_each_other_on_the_tasks_that_both_have() -> None:
    (versus,) = summarise(OUTCOMES).versus
    assert (versus.first, versus.second, versus.tasks) == ("good", "bad", 2)
    assert versus.probability.value == 1.0


def test_a_task_with_one_cell_has_the_interval_over_its_training_seeds() -> None:
    tasks = {(one.task, one.recipe): one for one in summarise(OUTCOMES).tasks}
    assert tasks["swim", "good"].fitness == OUTCOMES[4].reported
    several = tasks["hop", "good"].fitness
    assert several is not None
    assert several.values == (3.0, 5.0)


def test_without_a_baseline_there_is_fitness_and_no_score() -> None:
    found = summarise([outcome("hop", "good", 0, 3.0, own=None)])
    assert found.recipes[0].interquartile_mean is None
    assert found.recipes[0].profile == ()
    assert found.tasks[0].solved is None
    assert found.versus == ()


def test_nothing_is_a_summary_too() -> None:
    assert summarise([]) == Summary((), (), ())


@pytest.fixture
def book(tmp_path: Path) -> Book:
    """Return a sweep's directory with outcomes and no run directories, as after the runs were thrown away."""
    book = Book.open(tmp_path / "sweep")
    for one in OUTCOMES:
        book.settle(one)
    book.close()
    return Book.look(tmp_path / "sweep")


class Links(HTMLParser):
    """Collects where a page leads."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if name in ("href", "src") and value]


def test_the_page_shows_every_search_and_leads_to_the_data(book: Book) -> None:
    page = sweep_report.write(book)
    text = page.read_text(encoding="utf-8")
    links = Links()
    links.feed(text)
    assert {"cells.csv", "summary.json", "journal.jsonl"} <= {link.rpartition("/")[2] for link in links.found}
    for link in links.found:
        assert (page.parent / unquote(link)).exists(), link
    assert "it &lt;b&gt;fell&lt;/b&gt;" in text
    assert text.count("<tr>") > len(OUTCOMES)
    assert not re.search(r"https?://", text)


def test_the_data_are_the_figures_of_the_page(book: Book, tmp_path: Path) -> None:
    sweep_report.write_data(book, tmp_path / "data")
    known = json.loads((tmp_path / "data" / "summary.json").read_text(encoding="utf-8"))
    assert records.load(Summary, known) == summarise(OUTCOMES)
    with (tmp_path / "data" / "cells.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["cell"] for row in rows} == {one.cell for one in OUTCOMES}


def test_a_sweep_without_an_outcome_has_a_page(tmp_path: Path) -> None:
    Book.open(tmp_path / "empty").close()
    text = sweep_report.write(Book.look(tmp_path / "empty")).read_text(encoding="utf-8")
    assert "No search of this sweep has an outcome yet" in text


def fell(*values: float, random: float | None = 0.5, expression: str = "1 - survived") -> tuple[ReportedFigure, ...]:
    mean = sum(values) / len(values)
    reported = Interval(mean, min(values), max(values), values)
    return (ReportedFigure("fell", expression, "share of <falls>", reported, None, random),)


BESIDE = (
    replace(outcome("hop", "good", 0, 3.0), figures=fell(0.1, 0.3)),
    replace(outcome("hop", "good", 1, 5.0), figures=fell(0.4, 0.6, random=None)),
    replace(outcome("swim", "good", 0, 2.0), figures=()),
)


def test_what_is_measured_beside_the_fitness_is_told_over_cells_and_changes_no_score() -> None:
    found = summarise(BESIDE)
    hop, swim = found.tasks
    (figure,) = hop.figures
    assert figure.reported is not None
    assert figure.reported.values == (0.2, 0.5)
    assert (figure.name, figure.meaning, figure.random, figure.own_reward) == ("fell", "share of <falls>", 0.5, None)
    assert swim.figures == ()
    assert found.recipes == summarise([replace(one, figures=()) for one in BESIDE]).recipes


def test_one_cell_has_its_interval_over_training_seeds_beside_the_fitness_too() -> None:
    assert summarise(BESIDE[:1]).tasks[0].figures == BESIDE[0].figures


def test_a_figure_whose_expression_changed_is_another_one() -> None:
    other = replace(BESIDE[1], figures=fell(0.4, 0.6, expression="length < 9"))
    assert [one.expression for one in summarise([BESIDE[0], other]).tasks[0].figures] == ["1 - survived", "length < 9"]


def test_the_page_and_its_data_tell_what_was_measured_beside_the_fitness(tmp_path: Path) -> None:
    book = Book.open(tmp_path / "sweep")
    for one in BESIDE:
        book.settle(one)
    book.close()
    text = sweep_report.write(Book.look(book.path)).read_text(encoding="utf-8")
    assert "fell 0.2 [0.1, 0.3]" in text
    assert "share of &lt;falls&gt;: 1 - survived" in text
    with (book.path / "cells.csv").open(encoding="utf-8") as file:
        rows = {row["cell"]: row for row in csv.DictReader(file)}
    columns = ("figure.fell", "figure.fell_low", "figure.fell_high")
    assert [rows["hop-good-s0"][name] for name in columns] == ["0.2", "0.1", "0.3"]
    assert [rows["swim-good-s0"][name] for name in columns] == ["", "", ""]
    summary = json.loads((book.path / "summary.json").read_text(encoding="utf-8"))
    assert records.load(Summary, summary).tasks[0].figures == summarise(BESIDE).tasks[0].figures


def test_an_outcome_from_before_there_were_figures_still_loads() -> None:
    old = records.dump(OUTCOMES[0])
    del old["figures"]
    assert records.load(Outcome, old) == OUTCOMES[0]
