"""Aggregated outcomes of a sweep, and the report that shows them."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

from rewardsmith.api.sweep import CellOutcome, SweepStore
from rewardsmith.api.sweep import html_report as sweep_report
from rewardsmith.api.sweep.aggregate import SweepSummary, summarize_outcomes
from rewardsmith.contract import records
from rewardsmith.contract.errors import SweepError
from rewardsmith.contract.records import Interval, ModelUsage, ReportedMetric


def outcome(
    task: str, preset: str, seed: int, fitness: float, own: float | None = 2.0, cost: float | None = 0.5
) -> CellOutcome:
    """Return a cell's outcome: random actions have 0, so that the score is fitness over the environment reward's."""
    return CellOutcome(
        f"{task}-{preset}-s{seed}",
        task,
        f"{task}-v0",
        preset,
        seed,
        "ok",
        reported=Interval(fitness, fitness - 1, fitness + 1, (fitness - 0.5, fitness + 0.5)),
        random=0.0,
        environment_reward=None if own is None else Interval(own, None, None, (own,)),
        normalised=None if own is None else fitness / own,
        env_steps=1_000,
        wall_s=60.0,
        spent=ModelUsage(2, 100, cost),
    )


def failed(task: str, preset: str, seed: int) -> CellOutcome:
    return CellOutcome(
        f"{task}-{preset}-s{seed}", task, f"{task}-v0", preset, seed, "failed", "it <b>fell</b>", wall_s=30.0
    )


OUTCOMES = (
    outcome("hop", "good", 0, 3.0),
    outcome("hop", "good", 1, 5.0),
    outcome("hop", "bad", 0, 1.0),
    failed("hop", "bad", 1),
    outcome("swim", "good", 0, 2.0),
    outcome("swim", "bad", 0, 1.0, cost=None),
)


def test_a_preset_is_told_by_its_scores_over_tasks() -> None:
    found = summarize_outcomes(OUTCOMES)
    good, bad = found.presets
    assert (good.preset, good.cells, good.failed, good.tasks) == ("good", 3, 0, 2)
    assert good.mean is not None
    assert good.mean.value == pytest.approx((2.0 + 1.0) / 2)
    assert (good.solved, good.compared, bad.solved, bad.compared) == (2, 2, 0, 2)
    assert (bad.cells, bad.failed) == (3, 1)
    assert good.interquartile_mean is not None
    assert good.interquartile_mean.value == pytest.approx((1.5 + 2.5 + 1.0) / 3)  # int(3 / 4) = 0 are left out


def test_cost_and_time_are_told_per_solved_task_and_an_unknown_price_stays_unknown() -> None:
    good, bad = summarize_outcomes(OUTCOMES).presets
    assert good.wall_s_per_solved == pytest.approx(90.0)
    assert good.cost_usd_per_solved == pytest.approx(0.75)
    assert bad.cost_usd is None
    assert bad.wall_s_per_solved is None


def test_presets_are_held_against_each_other_on_the_tasks_that_both_have() -> None:
    (versus,) = summarize_outcomes(OUTCOMES).comparisons
    assert (versus.first, versus.second, versus.tasks) == ("good", "bad", 2)
    assert versus.probability.value == 1.0


def test_a_task_with_one_cell_has_the_interval_over_its_training_seeds() -> None:
    tasks = {(one.task, one.preset): one for one in summarize_outcomes(OUTCOMES).tasks}
    assert tasks["swim", "good"].fitness == OUTCOMES[4].reported
    several = tasks["hop", "good"].fitness
    assert several is not None
    assert several.values == (3.0, 5.0)


def test_without_a_baseline_there_is_fitness_and_no_score() -> None:
    found = summarize_outcomes([outcome("hop", "good", 0, 3.0, own=None)])
    assert found.presets[0].interquartile_mean is None
    assert found.presets[0].profile == ()
    assert found.tasks[0].solved is None
    assert found.comparisons == ()


def test_nothing_is_a_summary_too() -> None:
    assert summarize_outcomes([]) == SweepSummary((), (), ())


@pytest.fixture
def store(tmp_path: Path) -> SweepStore:
    """Return a sweep's directory with outcomes and no run directories, as after the runs were thrown away."""
    store = SweepStore.open(tmp_path / "sweep")
    for one in OUTCOMES:
        store.record_outcome(one)
    store.close()
    return SweepStore.open_readonly(tmp_path / "sweep")


class Links(HTMLParser):
    """Collects where a page leads."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if name in ("href", "src") and value]


def test_the_page_shows_every_search_and_leads_to_the_data(store: SweepStore) -> None:
    page = sweep_report.write_report(store)
    text = page.read_text(encoding="utf-8")
    links = Links()
    links.feed(text)
    assert {"cells.csv", "summary.json", "journal.jsonl"} <= {link.rpartition("/")[2] for link in links.found}
    for link in links.found:
        assert (page.parent / unquote(link)).exists(), link
    assert "it &lt;b&gt;fell&lt;/b&gt;" in text
    assert text.count("<tr>") > len(OUTCOMES)
    assert not re.search(r"https?://", text)


def test_the_data_are_the_figures_of_the_page(store: SweepStore, tmp_path: Path) -> None:
    sweep_report.write_data(store, tmp_path / "data")
    known = json.loads((tmp_path / "data" / "summary.json").read_text(encoding="utf-8"))
    assert records.load(SweepSummary, known) == summarize_outcomes(OUTCOMES)
    with (tmp_path / "data" / "cells.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["cell"] for row in rows} == {one.cell for one in OUTCOMES}


def test_a_sweep_without_an_outcome_has_a_page(tmp_path: Path) -> None:
    SweepStore.open(tmp_path / "empty").close()
    text = sweep_report.write_report(SweepStore.open_readonly(tmp_path / "empty")).read_text(encoding="utf-8")
    assert "No search of this sweep has an outcome yet" in text


def fell(*values: float, random: float | None = 0.5, expression: str = "1 - survived") -> tuple[ReportedMetric, ...]:
    mean = sum(values) / len(values)
    reported = Interval(mean, min(values), max(values), values)
    return (ReportedMetric("fell", expression, "share of <falls>", reported, None, random),)


BESIDE = (
    replace(outcome("hop", "good", 0, 3.0), metrics=fell(0.1, 0.3)),
    replace(outcome("hop", "good", 1, 5.0), metrics=fell(0.4, 0.6, random=None)),
    replace(outcome("swim", "good", 0, 2.0), metrics=()),
)


def test_what_is_measured_beside_the_fitness_is_told_over_cells_and_changes_no_score() -> None:
    found = summarize_outcomes(BESIDE)
    hop, swim = found.tasks
    (figure,) = hop.metrics
    assert figure.reported is not None
    assert figure.reported.values == (0.2, 0.5)
    assert (figure.name, figure.meaning, figure.random, figure.environment_reward) == (
        "fell",
        "share of <falls>",
        0.5,
        None,
    )
    assert swim.metrics == ()
    assert found.presets == summarize_outcomes([replace(one, metrics=()) for one in BESIDE]).presets


def test_one_cell_has_its_interval_over_training_seeds_beside_the_fitness_too() -> None:
    assert summarize_outcomes(BESIDE[:1]).tasks[0].metrics == BESIDE[0].metrics


def test_a_metric_whose_expression_changed_is_another_one() -> None:
    other = replace(BESIDE[1], metrics=fell(0.4, 0.6, expression="length < 9"))
    assert [one.expression for one in summarize_outcomes([BESIDE[0], other]).tasks[0].metrics] == [
        "1 - survived",
        "length < 9",
    ]


def test_the_page_and_its_data_tell_what_was_measured_beside_the_fitness(tmp_path: Path) -> None:
    store = SweepStore.open(tmp_path / "sweep")
    for one in BESIDE:
        store.record_outcome(one)
    store.close()
    text = sweep_report.write_report(SweepStore.open_readonly(store.path)).read_text(encoding="utf-8")
    assert "fell 0.2 [0.1, 0.3]" in text
    assert "share of &lt;falls&gt;: 1 - survived" in text
    with (store.path / "cells.csv").open(encoding="utf-8") as file:
        rows = {row["cell"]: row for row in csv.DictReader(file)}
    columns = ("metric.fell", "metric.fell_low", "metric.fell_high")
    assert [rows["hop-good-s0"][name] for name in columns] == ["0.2", "0.1", "0.3"]
    assert [rows["swim-good-s0"][name] for name in columns] == ["", "", ""]
    summary = json.loads((store.path / "summary.json").read_text(encoding="utf-8"))
    assert records.load(SweepSummary, summary).tasks[0].metrics == summarize_outcomes(BESIDE).tasks[0].metrics


def test_outcomes_of_format_1_are_read(tmp_path: Path) -> None:
    (tmp_path / "cells").mkdir()
    data = records.dump(BESIDE[0])
    names = {"preset": "recipe", "environment_reward": "own_reward", "metrics": "figures"}
    old = {names.get(key, key): value for key, value in data.items() if key != "format"}
    old["figures"] = [{names.get(key, key): value for key, value in metric.items()} for metric in old["figures"]]
    without_figures = {key: value for key, value in old.items() if key != "figures"} | {"cell": "earlier"}
    events = [
        {"key": f"{event['cell']}/0", "step": "loop", "time": "2026-01-01T00:00:00+00:00", "data": event}
        for event in (old, without_figures)
    ]
    (tmp_path / "journal.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events), encoding="utf-8")

    outcomes = SweepStore.open_readonly(tmp_path).load_outcomes()

    assert outcomes[BESIDE[0].cell] == BESIDE[0]
    assert outcomes["earlier"] == replace(BESIDE[0], cell="earlier", metrics=())


def test_outcomes_of_a_later_version_are_refused_in_a_line(tmp_path: Path) -> None:
    store = SweepStore.open(tmp_path / "sweep")
    store.record_outcome(replace(OUTCOMES[0], format=99))
    store.close()
    with pytest.raises(SweepError, match="has outcomes of format 99; this rewardsmith reads up to 2"):
        SweepStore.open_readonly(store.path).load_outcomes()
