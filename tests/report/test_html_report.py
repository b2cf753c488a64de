"""A run's report: it holds every number of the run, loads nothing from elsewhere, and hostile text stays text."""

from __future__ import annotations

import csv
import json
import re
import shutil
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from typer.testing import CliRunner

import rewardsmith
from rewardsmith.contract import records
from rewardsmith.contract.errors import RunError
from rewardsmith.contract.fitness import Fitness, Rollout
from rewardsmith.contract.records import CurvePoint, Evaluation, Training
from rewardsmith.report import html, run_data
from rewardsmith.search.storage import Run
from rewardsmith.spec.task_cards import find_card_file

SETTINGS = {
    "search.designer": "symbolic",
    "search.population": 2,
    "search.generations": 2,
    "search.env_steps": 4_096,
    "search.final_seeds": 2,
    "evaluation.episodes": 2,
    "evaluation.final_episodes": 2,
}


FIGURES = """[figures]
drift = { expression = "mean(cart_position)", meaning = "where the cart is on average" }
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Return a finished small search, with the report that it wrote."""
    out = tmp_path_factory.mktemp("report") / "run"
    source = find_card_file("inverted_pendulum")
    assert source is not None
    card = out.parent / "beside.toml"
    card.write_text(source.read_text(encoding="utf-8").replace("[search]", FIGURES + "\n[search]", 1))
    rewardsmith.design("Balance the pole.", str(card), out=out, settings=SETTINGS)
    return Run.open(out)


class Links(HTMLParser):
    """Collects the addresses that a page names."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take note of where a tag leads."""
        self.found += [value for name, value in attrs if name in ("href", "src", "data", "action") and value]


def links(page: Path) -> list[str]:
    """Return the addresses that a page names."""
    parser = Links()
    parser.feed(page.read_text(encoding="utf-8"))
    return parser.found


def test_a_search_ends_with_a_report_whose_links_lead_somewhere(run: Run) -> None:
    page = run.path / "report.html"
    found = links(page)
    assert len(found) > 10
    for address in found:
        assert (page.parent / unquote(address)).exists(), address


def test_it_needs_nothing_from_elsewhere(run: Run) -> None:
    text = (run.path / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"https?://", text.replace("http://www.w3.org", ""))
    assert "<script" not in text


def test_it_shows_the_reported_figure_as_the_result_has_it(run: Run) -> None:
    from rewardsmith.contract.text import format_number
    from rewardsmith.report.text import compare_with_baseline

    text = (run.path / "report.html").read_text(encoding="utf-8")
    result = run.read_result()
    assert result is not None
    assert result.reported is not None
    assert format_number(result.reported.mean, 3) in text
    said = compare_with_baseline(result)
    assert said is not None
    assert said[1:] in unescape(text)
    for candidate in result.candidates:
        assert candidate.id in text


def test_another_place_keeps_the_links_right(run: Run, tmp_path: Path) -> None:
    page = html.write_report(run, tmp_path / "elsewhere.html")
    for address in links(page):
        assert (tmp_path / unquote(address)).exists(), address


def test_the_data_files_hold_the_same_figures(run: Run, tmp_path: Path) -> None:
    found = run_data.load_run_data(run)
    run_data.write_data(found, tmp_path / "data")
    known = json.loads((tmp_path / "data" / "figures.json").read_text(encoding="utf-8"))
    assert records.load(run_data.RunData, known) == found
    with (tmp_path / "data" / "candidates.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["candidate"] for row in rows] == [one.id for one in run.read_candidates()]


def test_hostile_words_stay_words(run: Run, tmp_path: Path) -> None:
    other = tmp_path / "run"
    shutil.copytree(run.path, other)
    for name in ("result.json", "task.json"):
        path = other / name
        path.write_text(path.read_text(encoding="utf-8").replace("Balance the pole.", "<script>alert(1)</script>"))
    text = html.write_report(Run.open(other)).read_text(encoding="utf-8")
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)" in text


def test_a_search_that_has_not_ended_is_told_as_it_is(run: Run, tmp_path: Path) -> None:
    other = tmp_path / "run"
    shutil.copytree(run.path, other)
    (other / "result.json").unlink()
    text = html.write_report(Run.open(other)).read_text(encoding="utf-8")
    assert "has not ended" in text
    assert "g1c01" in text


def test_a_place_that_cannot_be_written_is_named(run: Run, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="nowhere"):
        html.write_report(run, tmp_path / "nowhere" / "report.html")


def test_a_mean_course_is_taken_between_the_points_of_all_seeds() -> None:
    def training(seed: int, *values: tuple[int, float]) -> Training:
        curve = tuple(CurvePoint(at, 1, 0.0, 1.0, value) for at, value in values)
        return Training("ok", seed, 30, curve, 0.0, 0.0, 0.0)

    found = run_data.average_curves("both", [training(0, (10, 0.0), (20, 2.0)), training(1, (10, 4.0), (30, 8.0))])
    assert found is not None
    assert found.points == ((10.0, 2.0, 0.0, 4.0), (20.0, 4.0, 2.0, 6.0))
    assert run_data.average_curves("none", [training(0, (10, 1.0))]) is None


def test_what_is_measured_beside_the_fitness_follows_from_the_recorded_episodes(run: Run) -> None:
    expression = Fitness.parse("mean(cart_position)")
    result = run.read_result()
    assert result is not None
    (drift,) = result.metrics
    measured = []
    for folder in sorted((run.path / "final" / result.best.id).glob("eval-*")):
        evaluation = records.read(Evaluation, folder / "result.json")
        with np.load(folder / "episodes.npz", allow_pickle=False) as arrays:
            values = [
                expression.evaluate(
                    Rollout(
                        {"cart_position": arrays[f"{index}/cart_position"]},
                        {},
                        arrays[f"{index}/action"],
                        one.terminated,
                    )
                )
                for index, one in enumerate(evaluation.episodes)
            ]
        assert values == [one.metrics["drift"] for one in evaluation.episodes]
        measured.append(sum(values) / len(values))
    assert drift.reported is not None
    assert drift.reported.values == pytest.approx(measured)
    assert (len(measured), drift.reported.low is None) == (2, False)
    assert drift.environment_reward is not None
    assert drift.random is not None


def test_what_is_measured_beside_the_fitness_is_told_on_the_page_and_in_the_end(run: Run, tmp_path: Path) -> None:
    from rewardsmith.cli.main import app
    from rewardsmith.contract.text import format_number

    result = run.read_result()
    assert result is not None
    (drift,) = result.metrics
    assert drift.reported is not None
    text = (run.path / "report.html").read_text(encoding="utf-8")
    shown = text.partition("<h2>Metrics</h2>")[2].partition("</section>")[0]
    ends = f"[{format_number(drift.reported.low, 3)}, {format_number(drift.reported.high, 3)}]"
    assert f"{format_number(drift.reported.mean, 3)} {ends}" in shown
    assert "where the cart is on average" in shown
    told = CliRunner().invoke(app, ["show", str(run.path)]).stdout
    assert "drift = mean(cart_position): where the cart is on average" in told
    assert told.count("this program, retrained on 2 fresh seeds") == 2
    assert re.search(r"fitness +expected +drift +length", told)
    dumped = json.loads(CliRunner().invoke(app, ["show", str(run.path), "--json"]).stdout)
    assert dumped["metrics"][0]["reported"]["values"] == list(drift.reported.values)
    run_data.write_data(run_data.load_run_data(run), tmp_path / "data")
    with (tmp_path / "data" / "candidates.csv").open(encoding="utf-8") as file:
        assert all(float(row["metric.drift"]) == float(row["metric.drift"]) for row in csv.DictReader(file))


def test_no_prompt_file_of_a_candidate_tells_what_is_measured_beside_the_fitness(run: Run) -> None:
    told = [path.read_text(encoding="utf-8") for path in run.path.glob("candidates/*/reflection.md")]
    assert told
    assert not [text for text in told if "drift" in text]
