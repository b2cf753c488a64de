"""The Python calls: results, feedback, progress in a notebook, and mistakes in one line."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path

import pytest
from fakes.played_runs import PlayedExecutor, make_finished_run, make_run, write_program

import rewardsmith
from rewardsmith.api import calls, planning
from rewardsmith.contract.errors import ConfigError, RunError, UserError
from rewardsmith.contract.records import Result
from rewardsmith.report import notebook
from rewardsmith.search import setup
from rewardsmith.search.storage import Run


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> PlayedExecutor:
    """Searches of the Python calls run on an executor that trains nothing."""
    executor = PlayedExecutor()
    monkeypatch.setattr(setup, "open_run_executor", lambda *_: contextlib.nullcontext(executor))
    return executor


def test_a_result_is_the_record_with_methods(tmp_path: Path) -> None:
    run = make_finished_run(tmp_path / "run")
    result = rewardsmith.load_result(run.path)
    assert isinstance(result, Result)
    assert isinstance(result, rewardsmith.Result)
    assert result.path == run.path
    assert result.source == result.best.proposal.source
    assert repr(result).startswith(f"<Result of {run.path}: 'Rise' on Thing-v0, fitness ")
    assert {"export", "wrap", "policy", "show"} <= set(dir(result))


def test_a_result_shows_itself_in_a_notebook_with_all_text_escaped(tmp_path: Path) -> None:
    result = rewardsmith.load_result(make_finished_run(tmp_path / "run").path)
    page = replace(result, task="<script>alert(1)</script>")._repr_html_()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert f"{result.best.id} ★" in page
    assert "fitness = height[-1]" in page


def test_a_result_prints_what_the_command_prints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = rewardsmith.load_result(make_finished_run(tmp_path / "run").path)
    result.show()
    printed = capsys.readouterr().out
    assert f"The best program, {result.best.id}" in printed
    assert "fitness = height[-1]" in printed


def test_an_export_is_not_written_over_a_file(tmp_path: Path) -> None:
    result = rewardsmith.load_result(make_finished_run(tmp_path / "run").path)
    out = result.export(tmp_path / "reward.py")
    assert "class RewardWrapper" in out.read_text()
    with pytest.raises(RunError, match="exists; force=True overwrites it"):
        result.export(out)
    assert result.export(out, candidate="g0c00", force=True) == out
    with pytest.raises(RunError, match="has no candidate 'g9c99'; it has: g0c00"):
        result.export(tmp_path / "other.py", candidate="g9c99")
    assert not (tmp_path / "other.py").exists()


def test_feedback_is_recorded_and_the_next_generation_runs(tmp_path: Path, played: PlayedExecutor) -> None:
    programs = [[write_program(up=1.0), write_program(up=2.0)], [write_program(up=3.0), write_program(up=4.0)]]
    run = make_run(tmp_path / "run", programs, search={"generations": 1})
    first = rewardsmith.resume(run.path)
    generations = 1 + max(candidate.generation for candidate in first.candidates)
    weights = {"g0c00": {"up": 9.0}}
    better = rewardsmith.refine(run.path, "rise faster", prefer=[("g0c01", "g0c00")], pin=["up"], weigh=weights)
    assert isinstance(better, rewardsmith.Result)
    assert max(candidate.generation for candidate in better.candidates) == generations
    assert better.best.fitness == pytest.approx(9.0, abs=0.1)
    kinds = [event.key for event in Run.open(run.path).read_events() if event.key.startswith("user/feedback/")]
    assert len(kinds) == 5
    with pytest.raises(UserError, match="no program has a term 'speed'"):
        rewardsmith.refine(run.path, pin=["speed"])


def test_mistakes_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"env is missing: a task's name or a Gymnasium id"):
        rewardsmith.design("Hop")
    task = rewardsmith.Task.load("Hopper-v5")
    with pytest.raises(ConfigError, match="the task names its environment, 'Hopper-v5'; leave env out"):
        rewardsmith.design(task, "Hopper-v5")
    run = make_run(tmp_path / "run")
    with pytest.raises(RunError, match=r"has no result yet; rewardsmith\.resume"):
        rewardsmith.load_result(run.path)


def test_a_task_of_the_callers_is_searched_as_it_is() -> None:
    task = replace(rewardsmith.Task.load("Hopper-v5"), text="Stand", fitness="-abs(x_position[-1])")
    plan = planning.plan_search(None, task, variables={})
    assert (plan.task.text, plan.task.fitness, plan.task.env) == ("Stand", "-abs(x_position[-1])", task.env)
    assert planning.plan_search("Hop", task, "x_position[-1]", variables={}).task.fitness == "x_position[-1]"


def test_a_callback_of_the_callers_receives_the_events(tmp_path: Path, played: PlayedExecutor) -> None:
    class Candidates(rewardsmith.SearchCallback):
        ids: list[str] = []  # noqa: RUF012

        def on_candidate_end(self, candidate):
            self.ids.append(candidate.id)

    result = calls.resume(make_run(tmp_path / "run").path, callback=Candidates())
    assert sorted(Candidates.ids) == sorted(candidate.id for candidate in result.candidates)


def test_progress_in_a_notebook_is_drawn_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    display = pytest.importorskip("IPython.display")
    drawn: list[str] = []

    class Handle:
        def update(self, page):
            drawn.append(page.data)

    def show(page, display_id):
        drawn.append(page.data)
        return Handle()

    monkeypatch.setattr(display, "display", show)
    view = notebook.NotebookView()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(setup, "open_run_executor", lambda *_: contextlib.nullcontext(PlayedExecutor()))
        calls.resume(make_run(tmp_path / "run").path, callback=view)
    assert '<progress value="0.000"' in drawn[0]
    assert '<progress value="1.000"' in drawn[-1]
    assert "<td>g0c00</td>" in drawn[-1]
    assert "100% of the environment steps done" in drawn[-1]


def test_a_search_in_a_real_notebook_shows_its_progress_and_its_result(tmp_path: Path) -> None:
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    run = make_finished_run(tmp_path / "run")
    code = (
        "import rewardsmith\n"
        "from rewardsmith.report import notebook\n"
        "view = notebook.NotebookView()\n"
        f"result = rewardsmith.resume({str(run.path)!r}, callback=view)\n"
        "assert notebook.is_notebook()\n"
        "result.show()\n"
        "result"
    )
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    nbclient.NotebookClient(book, timeout=120, kernel_name="python3").execute()
    pages = [output["data"].get("text/html", "") for output in book.cells[0].outputs if "data" in output]
    assert "<progress" in pages[0]
    assert pages[1] == pages[2]
    assert "The best program" in pages[2]
