"""The expected fitness of a retrained program, shown next to the fitness for people and for programs."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from fakes.evolution_case import candidate
from fakes.played_runs import make_finished_run, write_program
from fakes.studio_case import make_run
from rich.console import Console
from typer.testing import CliRunner

from rewardsmith.api.exports import BEST, find_candidate
from rewardsmith.cli.main import app
from rewardsmith.cli.video import choose_default_owner
from rewardsmith.contract.records import Episode, Finalist, Result
from rewardsmith.contract.text import format_number
from rewardsmith.report import html
from rewardsmith.report.estimates import TIE_MARK, build_estimates, load_estimates
from rewardsmith.report.live import JsonLines, LiveTable
from rewardsmith.report.result_lines import describe_fitness, summarize_result
from rewardsmith.report.run_data import load_run_data, write_data
from rewardsmith.report.tables import print_candidates
from rewardsmith.search.storage import Run

CLOSE = [
    candidate("g0c00", 5.0, seeds=(4.0, 5.0, 6.0)),
    candidate("g0c01", 4.8, seeds=(4.7, 4.8, 4.9)),
    candidate("g0c02", -30.0, seeds=(-31.0, -30.0, -29.0)),
    candidate("g0c03", None, "failed"),
]

EPISODES = (Episode(0, 5.0, 10, False),)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Return a finished run of four programs with two fresh trainings."""
    programs = [[write_program(up=1.0), write_program(up=2.0)], [write_program(up=1.9), write_program(up=-9.0)]]
    folder = tmp_path_factory.mktemp("estimates")
    return make_finished_run(folder / "run", programs, search={"finalist_share": 0.34, "generations": 2})


@pytest.fixture(scope="module")
def result(run: Run) -> Result:
    """Return its outcome."""
    outcome = run.read_result()
    assert outcome is not None
    return outcome


def test_a_candidate_that_cannot_be_told_apart_is_marked_and_a_bad_one_is_not() -> None:
    estimates = build_estimates(CLOSE, best="g0c00")
    assert [estimates.choose_mark(one.id) for one in CLOSE] == ["★", TIE_MARK, "", ""]
    assert estimates.find_mean("g0c03") is None
    assert estimates.dump()["g0c01"]["tied"] is True


def test_one_candidate_alone_has_no_estimate_and_comparisons_make_no_ties() -> None:
    assert build_estimates(CLOSE[:1], best="g0c00").by_candidate == {}
    compared = [replace(one, standing=1.0) for one in CLOSE]
    assert build_estimates(compared, best="g0c00").ties == ()


def test_the_table_shows_the_estimate_beside_the_fitness_and_says_what_the_marks_mean() -> None:
    stream = io.StringIO()
    print_candidates(CLOSE, build_estimates(CLOSE, best="g0c00"), Console(file=stream, width=120))
    lines = stream.getvalue().splitlines()
    assert lines[0].split()[:4] == ["candidate", "status", "fitness", "expected"]
    assert lines[2].startswith(TIE_MARK)
    assert [line.partition(" ")[0] for line in lines[-2:]] == ["expected:", TIE_MARK]


def test_fresh_trainings_count_in_every_estimate(run: Run, result: Result) -> None:
    assert [finalist.candidate for finalist in result.finalists] == ["g0c01", "g1c00"]
    loaded = load_estimates(run, result.best.id)
    assert loaded == build_estimates(result.candidates, result.finalists, result.best.id)
    assert {id: one.trainings for id, one in loaded.by_candidate.items()} == {
        "g0c00": 1, "g0c01": 2, "g1c00": 2, "g1c01": 1,
    }  # fmt: skip
    (line,) = [line for line in summarize_result(result) if line.strip().startswith("expected")]
    assert line.split()[:4] == ["expected,", "from", "2", "trainings"]


def test_a_run_without_a_report_says_what_is_to_be_expected(result: Result) -> None:
    mean = build_estimates(result.candidates, result.finalists).find_mean(result.best.id)
    described = describe_fitness(result.best, replace(result, reported=None))
    assert described == f"2 (selection score, {format_number(mean, 3)} expected when retrained)"


def test_show_gives_programs_the_estimates(run: Run, result: Result) -> None:
    shown = json.loads(CliRunner().invoke(app, ["show", str(run.path), "--json"]).stdout)
    assert shown["estimates"] == load_estimates(run, result.best.id).dump()
    assert shown["finalists"][0]["candidate"] == "g0c01"
    one = json.loads(CliRunner().invoke(app, ["show", str(run.path), "--candidate", "g1c00", "--json"]).stdout)
    assert one["estimate"]["trainings"] == 2
    table = CliRunner().invoke(app, ["show", str(run.path), "--candidate", "g1c00"]).stdout
    assert "expected" in table.splitlines()[0]


def test_the_live_views_show_the_estimates_at_the_end(run: Run, result: Result) -> None:
    table, stream = LiveTable(run), io.StringIO()
    for one in result.candidates:
        table.on_candidate_end(one)
    table.on_search_end(result)
    Console(file=stream, width=120, force_terminal=True, color_system=None).print(table)
    assert "expected" in stream.getvalue()
    assert f"g1c00 {TIE_MARK}" in stream.getvalue()

    lines = io.StringIO()
    JsonLines(lines, run).on_search_end(result)
    assert json.loads(lines.getvalue().splitlines()[-1])["estimates"]["g0c01"]["trainings"] == 2


def test_the_report_and_its_data_hold_the_estimates(run: Run, result: Result, tmp_path: Path) -> None:
    data = load_run_data(run)
    page = html.render_report(run, data, tmp_path)
    assert '<th class="n">expected</th>' in page
    assert "g0c01 with 1 fresh training" in page
    _, candidates, _ = write_data(data, tmp_path)
    with candidates.open(encoding="utf-8") as file:
        rows = {row["candidate"]: row for row in csv.DictReader(file)}
    expected = build_estimates(result.candidates, result.finalists).find_mean("g1c00")
    assert float(rows["g1c00"]["expected"]) == pytest.approx(expected)


def test_finalists_that_failed_leave_the_estimate_of_the_search() -> None:
    with_failure = build_estimates(CLOSE, [Finalist("g0c00", (), 1)])
    assert with_failure.by_candidate == build_estimates(CLOSE).by_candidate


def test_an_unfinished_search_has_one_best_program_for_report_export_and_video(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    for one in CLOSE:
        run.save_candidate(
            replace(one, evaluations=tuple(replace(made, episodes=EPISODES) for made in one.evaluations))
        )
    best = load_run_data(run).best
    # The mean of g0c00 is higher, and its lower bound over the training seeds is not.
    assert best is not None
    assert best.id == find_candidate(run, BEST).id == choose_default_owner(run) == "g0c01"
