"""Maps of what terms pay over two signals: layout, means of cells, and a finished run's report."""

from __future__ import annotations

from dataclasses import replace
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from fakes.small_search import SMALL_SEARCH
from typer.testing import CliRunner

import rewardsmith
from rewardsmith.cli.main import app
from rewardsmith.contract.errors import ConfigError
from rewardsmith.contract.records import CurvePoint, Training
from rewardsmith.report import html, run_data, term_maps
from rewardsmith.report.charts.heat_map import FAINTEST, GridAxis, layout_heat_map
from rewardsmith.report.run_data import LimitCourse
from rewardsmith.report.term_maps import CELLS, TOTAL, ScoredStates, TermMaps
from rewardsmith.search.storage import Run

X, Y = GridAxis("x", 0.0, 2.0), GridAxis("y", -1.0, 1.0)
SETTINGS = SMALL_SEARCH | {"evaluation.episodes": 2, "evaluation.final_episodes": 3}


# ---------------------------------------------------------------- one map


def test_cells_lie_in_the_grid_and_are_coloured_by_sign_and_size() -> None:
    drawn = layout_heat_map([[1.0, None], [-2.0, 0.0]], X, Y, 2.0)
    plus, minus, zero = drawn.cells
    assert (plus.sign, minus.sign, zero.sign) == ("plus", "minus", "plus")
    assert minus.opacity == 1.0
    assert zero.opacity == FAINTEST
    assert FAINTEST < plus.opacity < 1.0
    # The first row is the lowest of y, the first column the lowest of x
    assert (plus.x, minus.x) == (drawn.left, drawn.left)
    assert plus.y + drawn.cell_height == pytest.approx(drawn.bottom)
    assert minus.y == pytest.approx(drawn.top)
    assert zero.x + drawn.cell_width == pytest.approx(drawn.right)


def test_ticks_stand_at_their_values() -> None:
    drawn = layout_heat_map([[1.0]], X, Y, 1.0)
    places = {tick.text: tick.at for tick in drawn.x_ticks}
    assert places["0"] == drawn.left
    assert places["1"] == pytest.approx((drawn.left + drawn.right) / 2, abs=0.1)
    heights = [tick.at for tick in drawn.y_ticks]
    assert heights == sorted(heights, reverse=True)


def test_a_map_of_zeros_alone_is_faint() -> None:
    (cell,) = layout_heat_map([[0.0]], X, Y, 0.0).cells
    assert cell.opacity == FAINTEST


# ---------------------------------------------------------------- means of cells


def test_a_cell_is_the_mean_of_its_transitions_and_an_empty_one_has_none() -> None:
    signals = {"x": np.array([0.01, 0.02, 1.99, 5.0, np.nan]), "y": np.array([-0.99, -0.98, 0.99, 0.0, 0.0])}
    states = ScoredStates(signals, {TOTAL: np.array([1.0, 3.0, -4.0, 100.0, 100.0])})
    grid = term_maps._average_cells(states, TOTAL, X, Y)
    assert grid[0][0] == 2.0
    assert grid[CELLS - 1][CELLS - 1] == -4.0
    assert sum(value is not None for line in grid for value in line) == 2


def test_the_two_signals_that_tell_most_are_the_axes() -> None:
    from rewardsmith.contract.reward_program import parse_program

    rng = np.random.default_rng(0)
    names = ("a", "b", "c", "flat")
    signals = {name: rng.uniform(-1.0, 1.0, 4_000) for name in names} | {"flat": np.zeros(4_000)}
    states = ScoredStates(signals, {TOTAL: signals["a"] * signals["c"] + 0.1 * signals["b"]})
    reads = ", ".join(f"'{name}': after.{name}" for name in names)
    program = parse_program(f"def reward(after):\n    return {{{reads}}}\n")
    chosen = term_maps._choose_axes([states], program, ())
    assert chosen is not None
    assert {axis.name for axis in chosen} == {"a", "c"}
    named = term_maps._choose_axes([states], program, ("b", "a"))
    assert named is not None
    assert [axis.name for axis in named] == ["b", "a"]
    with pytest.raises(
        ConfigError, match="--map: 'flat' was not recorded in this run, or never changes; there are a, b"
    ):
        term_maps._choose_axes([states], program, ("a", "flat"))


def test_a_program_of_one_signal_is_drawn_over_another_that_was_recorded() -> None:
    from rewardsmith.contract.reward_program import parse_program

    rng = np.random.default_rng(0)
    signals = {name: rng.uniform(-1.0, 1.0, 500) for name in ("a", "b")}
    states = ScoredStates(signals, {TOTAL: signals["b"]})
    chosen = term_maps._choose_axes([states], parse_program("def reward(after):\n    return {'b': after.b}\n"), ())
    assert chosen is not None
    assert {axis.name for axis in chosen} == {"a", "b"}


# ---------------------------------------------------------------- a finished run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Return a finished small search."""
    out = tmp_path_factory.mktemp("maps") / "run"
    rewardsmith.design("Balance the pole.", "inverted_pendulum", out=out, settings=SETTINGS)
    return Run.open(out)


def test_a_finished_run_has_a_map_of_each_term_before_and_after_training(run: Run) -> None:
    result = run.read_result()
    assert result is not None
    maps = term_maps.draw_term_maps(run, result.best)
    assert isinstance(maps, TermMaps)
    scoring = result.best.verdict.trial_scoring if result.best.verdict else None
    assert scoring is not None
    assert {row[0] for row in maps.rows} == {TOTAL, *(term.name for term in scoring.terms)}
    assert all(before.cells and after is not None and after.cells for _, _, before, after in maps.rows)
    probe = run.read_probe()
    assert probe is not None
    assert maps.transitions[0] == probe.transitions
    # Three recorded episodes of one reported policy
    assert 0 < maps.transitions[1] <= 3_000
    text = unescape((run.path / "report.html").read_text(encoding="utf-8"))
    assert f"Reward over <code>{maps.x_name}</code> and <code>{maps.y_name}</code>" in text


def test_the_user_names_the_signals(run: Run, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    names = "pole_angle,cart_position"
    done = CliRunner().invoke(app, ["report", str(run.path), "--out", str(page), "--map", names])
    assert done.exit_code == 0, done.output
    assert "Reward over <code>pole_angle</code> and <code>cart_position</code>" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("pole_angle", "name two different signals"),
        ("a,a", "name two different signals"),
        ("a,pole_angle", "'a' was not"),
    ],
)
def test_names_that_cannot_be_drawn_are_one_line(run: Run, names: str, message: str) -> None:
    done = CliRunner().invoke(app, ["report", str(run.path), "--map", names])
    assert isinstance(done.exception, ConfigError)
    assert message in str(done.exception)


def test_a_run_whose_recordings_are_gone_has_a_report_that_says_so(run: Run, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(run.path, copy)
    Run.open(copy).transitions.unlink()
    page = html.write_report(Run.open(copy))
    assert "Not drawn: there are no recorded transitions." in page.read_text(encoding="utf-8")


# ---------------------------------------------------------------- limits of terms


def test_the_report_shows_the_course_of_a_limit(run: Run, tmp_path: Path) -> None:
    data = run_data.load_run_data(run)
    assert "Limits of terms" not in html.render_report(run, data, tmp_path)
    points = [
        CurvePoint(steps, 1, 1.0, 9.0, None, {"effort": 0.19}, multipliers={"effort <= 0.2": 0.001 * steps})
        for steps in (1_000, 2_000)
    ]
    courses = run_data._follow_limits([Training("ok", 0, 2_000, tuple(points), 1.0, 1.0, 0.1)])
    assert courses == (LimitCourse("effort <= 0.2", 0.19, ((1_000.0, 1.0), (2_000.0, 2.0))),)
    page = html.render_report(run, replace(data, limits=courses), tmp_path)
    assert "Limits of terms" in page
    assert "<code>effort &lt;= 0.2</code></td>" in page
