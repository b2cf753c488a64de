"""The tutorial: its notebook runs from the first cell to the last, and its page shows the same files."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from fakes.paths import CHECKOUT

DOCS = CHECKOUT / "docs"
FILES = ("boat.py", "boat.toml")


def test_the_page_and_the_notebook_show_the_same_files() -> None:
    nbformat = pytest.importorskip("nbformat")
    notebook = nbformat.read(DOCS / "tutorial.ipynb", as_version=4)
    page = (DOCS / "tutorial.md").read_text(encoding="utf-8")
    for name in FILES:
        (source,) = [cell.source for cell in notebook.cells if cell.source.startswith(f"%%writefile {name}\n")]
        assert source.partition("\n")[2].strip() in page, name
    assert all(not cell.get("outputs") for cell in notebook.cells), "the notebook is kept without its outputs"


@pytest.mark.slow
def test_the_notebook_runs_and_ends_with_a_reward_that_beats_the_environments(tmp_path: Path) -> None:
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    shutil.copy(DOCS / "tutorial.ipynb", tmp_path)
    notebook = nbformat.read(tmp_path / "tutorial.ipynb", as_version=4)
    nbclient.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()

    printed = "".join(
        output.text for cell in notebook.cells for output in cell.get("outputs", ()) if output.output_type == "stream"
    )
    assert "def reward" in printed
    means = [float(part.partition(",")[0]) for part in printed.split("Interval(mean=")[1:]]
    program, baseline = means
    assert program > baseline
    assert "'distance_down'" in printed
