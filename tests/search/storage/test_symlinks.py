"""No symbolic link in a run directory is followed out of it, whether to read, to serve or to write."""

from pathlib import Path

import pytest

from rewardsmith.contract.errors import RunError
from rewardsmith.contract.records import EnvSpec
from rewardsmith.report import video
from rewardsmith.search.storage import Run
from rewardsmith.spec.config import resolve_config
from rewardsmith.spec.task_cards import Task

TASK = Task("thing", "Rise", EnvSpec("Thing-v0"), "A thing.", "One number.", "length")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return Run.create(tmp_path / "run", TASK, resolve_config({"search": {"designer": "symbolic"}})).path


@pytest.mark.parametrize(
    "where",
    [
        *("journal.jsonl", "llm.jsonl", "candidates", "candidates/g0c00/videos", "candidates/g0c00/videos/e0-1.mp4"),
        *(".config.toml.part", "final/g0c00/train-s0/worker.log", "probe/transitions.npz", "report.html"),
    ],
)
@pytest.mark.parametrize("there", [True, False], ids=["there", "dangling"])
def test_a_run_with_a_link_that_leads_out_of_it_is_refused(run: Path, tmp_path: Path, where: str, there: bool) -> None:
    target = tmp_path / "outside"
    if there:
        target.write_text("kept\n")
    (run / where).parent.mkdir(parents=True, exist_ok=True)
    (run / where).symlink_to(target)
    with pytest.raises(RunError, match=f"{where} is a symbolic link that leads out of the run"):
        Run.open(run)
    assert target.exists() == there
    assert not there or target.read_text() == "kept\n"


def test_a_link_that_stays_in_the_run_is_no_matter(run: Path) -> None:
    (run / "wandb" / "run-1").mkdir(parents=True)
    (run / "wandb" / "latest-run").symlink_to("run-1")
    assert Run.open(run).task == TASK


def test_a_link_that_leads_in_a_circle_is_refused(run: Path) -> None:
    (run / "round").symlink_to("round")
    with pytest.raises(RunError, match="round is a symbolic link"):
        Run.open(run)


def test_a_run_that_is_itself_reached_by_a_link_opens(run: Path, tmp_path: Path) -> None:
    (tmp_path / "alias").symlink_to(run)
    assert Run.open(tmp_path / "alias").task == TASK
    assert video.list_filmable_candidates(Run.open(tmp_path / "alias")) == ()
