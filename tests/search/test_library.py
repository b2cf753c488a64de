"""The reward library: plain files, found again by words and signals, and what a search takes from it."""

from __future__ import annotations

from pathlib import Path

import pytest

from rewardsmith.contract import records
from rewardsmith.contract.errors import ConfigError, ProgramError, RunError
from rewardsmith.contract.package_data import folder
from rewardsmith.contract.records import Candidate, Example, Proposal, Result
from rewardsmith.search import library, setup
from rewardsmith.search.callbacks import Silent
from rewardsmith.search.library import Entry
from rewardsmith.search.storage import Run
from rewardsmith.spec.config import resolve
from rewardsmith.spec.task_cards import load_task

SOURCE = "def reward(after):\n    return {'up': after.height}\n"
ENTRY = Entry("rise", "Rise as high as you can", "Thing-v0", SOURCE, "height[-1]", 1.5)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(library.VARIABLE, str(tmp_path / "library"))
    return tmp_path / "library"


def test_a_program_that_was_added_is_found_as_it_was() -> None:
    library.add(ENTRY)
    assert next(entry for entry in library.entries() if entry.name == "rise") == ENTRY


def test_a_file_of_the_library_is_a_reward_file_too(tmp_path: Path) -> None:
    from rewardsmith.contract.reward_program import load_reward

    assert load_reward(library.add(ENTRY)).signals == ("height",)


def test_what_ships_with_the_package_is_listed_and_stays() -> None:
    shipped = [entry for entry in library.entries() if entry.shipped]
    assert len(shipped) >= 3
    assert all(entry.task and entry.signals for entry in shipped)
    with pytest.raises(ConfigError, match="ships with rewardsmith"):
        library.remove(shipped[0].name)


@pytest.mark.parametrize("path", sorted(folder("prompts").glob("library/*.py")), ids=lambda path: path.stem)
def test_a_shipped_program_is_for_a_task_with_a_card_and_reads_its_signals(path: Path) -> None:
    entry = library.of_file(path, task=None, env_id=None, name=None)
    task = load_task(None, entry.env_id)
    assert entry.signals <= {signal.name for signal in task.env.signals}
    assert (entry.task, entry.fitness) == (task.text, task.fitness)


def test_a_name_is_taken_once() -> None:
    library.add(ENTRY)
    with pytest.raises(ConfigError, match="--force"):
        library.add(ENTRY)
    library.add(Entry("rise", "Sink", "Thing-v0", SOURCE), force=True)
    assert next(entry.task for entry in library.entries() if entry.name == "rise") == "Sink"


@pytest.mark.parametrize("name", ["../x", "", "A b", ".hidden", "x/y"])
def test_a_name_cannot_lead_out_of_the_library(name: str) -> None:
    with pytest.raises(ConfigError, match="cannot name"):
        library.add(Entry(name, "Rise", "Thing-v0", SOURCE))
    with pytest.raises(ConfigError, match="cannot name"):
        library.remove(name)


def test_a_removed_program_is_gone() -> None:
    library.add(ENTRY)
    library.remove("rise")
    assert all(entry.name != "rise" for entry in library.entries())
    with pytest.raises(ConfigError, match="not in the library"):
        library.remove("rise")


def test_what_is_no_program_is_not_added(home: Path) -> None:
    with pytest.raises(ProgramError):
        library.add(Entry("rise", "Rise", "Thing-v0", "print('hello')"))
    assert not home.exists()


def test_a_reward_file_needs_a_task_and_an_environment(tmp_path: Path) -> None:
    file = tmp_path / "Good One.py"
    file.write_text(SOURCE)
    with pytest.raises(ConfigError, match="--task"):
        library.of_file(file, task=None, env_id="Thing-v0", name=None)
    entry = library.of_file(file, task="Rise", env_id="Thing-v0", name=None)
    assert (entry.name, entry.source) == ("good-one", SOURCE)


def test_a_damaged_file_is_named(home: Path) -> None:
    home.mkdir()
    (home / "broken.py").write_text('# /// reward\n# task = "x"\n# env_id = "y"\n# ///\nno program\n')
    with pytest.raises(ConfigError, match=r"broken\.py"):
        library.entries()


def test_the_best_program_of_a_run_is_taken_with_its_figure(tmp_path: Path) -> None:
    task = load_task("Hop high", "Hopper-v5")
    run = Run.create(tmp_path / "run", task, resolve())
    with pytest.raises(ConfigError, match="no result yet"):
        library.of_run(run.path, name=None)
    best = Candidate("g0c00", 0, 0, Proposal(SOURCE, "test"), "ok", fitness=2.0)
    result = Result(
        str(run.path), "Hop high", "Hopper-v5", task.fitness, best, (best,), None, records.Baselines(), None, 0,
        records.Spent(),
    )  # fmt: skip
    run.finish(result)
    entry = library.of_run(run.path, name=None)
    assert (entry.task, entry.env_id, entry.source, entry.value) == ("Hop high", "Hopper-v5", SOURCE, 2.0)
    with pytest.raises(RunError):
        library.of_run(tmp_path / "nowhere", name=None)


WALK = Entry("walk", "Walk forward without falling", "Walker2d-v5", SOURCE)
SWING = Entry("swing", "Swing the pendulum up", "Pendulum-v1", SOURCE)
HOLD = Entry("hold", "Hold the pole upright", "InvertedPendulum-v5", SOURCE.replace("height", "angle"))


@pytest.mark.parametrize(
    ("text", "nearest"),
    [
        ("Walking forwards quickly", "walk"),
        ("keep a pole upright", "hold"),
        ("pendulum swinging", "swing"),
        ("Walker2d", "walk"),
    ],
)
def test_a_task_is_found_by_its_words(text: str, nearest: str) -> None:
    assert library.nearest([WALK, SWING, HOLD], text)[0][0].name == nearest


def test_signals_decide_where_words_do_not() -> None:
    found = library.nearest([WALK, SWING, HOLD], "something else entirely", signals=["angle"])
    assert found[0][0].name == "hold"


def test_equally_alike_programs_come_by_name_whatever_their_order() -> None:
    orders = [library.nearest(order, "unrelated") for order in ([WALK, SWING, HOLD], [HOLD, SWING, WALK])]
    assert [[entry.name for entry, _ in order] for order in orders] == [["hold", "swing", "walk"]] * 2


def test_a_search_keeps_to_the_examples_that_it_began_with(tmp_path: Path) -> None:
    library.add(ENTRY)
    config = resolve({"designer": {"examples": 1}, "search": {"designer": "llm"}})
    run = Run.create(tmp_path / "run", load_task("Rise as high as you can", "Hopper-v5"), config)
    first = setup.examples(run, Silent())
    assert first == (Example(ENTRY.task, ENTRY.env_id, ENTRY.source),)
    library.remove("rise")
    assert setup.examples(run, Silent()) == first


def test_examples_of_the_same_environment_can_be_left_out(tmp_path: Path) -> None:
    library.add(Entry("hop", "Hop", "Hopper-v5", SOURCE))
    task = load_task("Hop", "Hopper-v5")
    for same in (True, False):
        config = resolve({"designer": {"examples": 1, "examples_same_env": same}, "search": {"designer": "llm"}})
        (example,) = setup.examples(Run.create(tmp_path / str(same), task, config), Silent())
        assert (example.env_id == "Hopper-v5") == same
