"""The reward library: plain files, found by words and signals, and used as examples by a search."""

from __future__ import annotations

from pathlib import Path

import pytest

from rewardsmith.contract import records
from rewardsmith.contract.errors import ConfigError, ProgramError, RunError
from rewardsmith.contract.package_data import find_data_folder
from rewardsmith.contract.records import Candidate, Example, Proposal, Result
from rewardsmith.search import library, setup
from rewardsmith.search.callbacks import NullCallback
from rewardsmith.search.library import LibraryEntry
from rewardsmith.search.storage import Run
from rewardsmith.spec.config import resolve_config
from rewardsmith.spec.task_cards import load_task

SOURCE = "def reward(after):\n    return {'up': after.height}\n"
ENTRY = LibraryEntry("rise", "Rise as high as you can", "Thing-v0", SOURCE, "height[-1]", 1.5)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(library.VARIABLE, str(tmp_path / "library"))
    return tmp_path / "library"


def test_a_program_that_was_added_is_found_as_it_was() -> None:
    library.add_entry(ENTRY)
    assert next(entry for entry in library.load_entries() if entry.name == "rise") == ENTRY


def test_a_file_of_the_library_is_a_reward_file_too(tmp_path: Path) -> None:
    from rewardsmith.contract.reward_files import load_reward

    assert load_reward(library.add_entry(ENTRY)).signals == ("height",)


def test_what_ships_with_the_package_is_listed_and_stays() -> None:
    shipped = [entry for entry in library.load_entries() if entry.shipped]
    assert len(shipped) >= 3
    assert all(entry.task and entry.signals for entry in shipped)
    with pytest.raises(ConfigError, match="ships with rewardsmith"):
        library.remove_entry(shipped[0].name)


@pytest.mark.parametrize("path", sorted(find_data_folder("prompts").glob("library/*.py")), ids=lambda path: path.stem)
def test_a_shipped_program_is_for_a_task_with_a_card_and_reads_its_signals(path: Path) -> None:
    entry = library.entry_from_file(path, task=None, env_id=None, name=None)
    task = load_task(None, entry.env_id)
    assert entry.signals <= {signal.name for signal in task.env.signals}
    assert (entry.task, entry.fitness) == (task.text, task.fitness)


def test_a_name_is_taken_once() -> None:
    library.add_entry(ENTRY)
    with pytest.raises(ConfigError, match="--force"):
        library.add_entry(ENTRY)
    library.add_entry(LibraryEntry("rise", "Sink", "Thing-v0", SOURCE), force=True)
    assert next(entry.task for entry in library.load_entries() if entry.name == "rise") == "Sink"


@pytest.mark.parametrize("name", ["../x", "", "A b", ".hidden", "x/y"])
def test_a_name_cannot_lead_out_of_the_library(name: str) -> None:
    with pytest.raises(ConfigError, match="cannot name"):
        library.add_entry(LibraryEntry(name, "Rise", "Thing-v0", SOURCE))
    with pytest.raises(ConfigError, match="cannot name"):
        library.remove_entry(name)


def test_a_removed_program_is_gone() -> None:
    library.add_entry(ENTRY)
    library.remove_entry("rise")
    assert all(entry.name != "rise" for entry in library.load_entries())
    with pytest.raises(ConfigError, match="not in the library"):
        library.remove_entry("rise")


def test_what_is_no_program_is_not_added(home: Path) -> None:
    with pytest.raises(ProgramError):
        library.add_entry(LibraryEntry("rise", "Rise", "Thing-v0", "print('hello')"))
    assert not home.exists()


def test_a_reward_file_needs_a_task_and_an_environment(tmp_path: Path) -> None:
    file = tmp_path / "Good One.py"
    file.write_text(SOURCE)
    with pytest.raises(ConfigError, match="--task"):
        library.entry_from_file(file, task=None, env_id="Thing-v0", name=None)
    entry = library.entry_from_file(file, task="Rise", env_id="Thing-v0", name=None)
    assert (entry.name, entry.source) == ("good-one", SOURCE)


def test_a_damaged_file_is_named(home: Path) -> None:
    home.mkdir()
    (home / "broken.py").write_text('# /// reward\n# task = "x"\n# env_id = "y"\n# ///\nno program\n')
    with pytest.raises(ConfigError, match=r"broken\.py"):
        library.load_entries()


def test_the_best_program_of_a_run_is_taken_with_its_figure(tmp_path: Path) -> None:
    task = load_task("Hop high", "Hopper-v5")
    run = Run.create(tmp_path / "run", task, resolve_config())
    with pytest.raises(ConfigError, match="no result yet"):
        library.entry_from_run(run.path, name=None)
    best = Candidate("g0c00", 0, 0, Proposal(SOURCE, "test"), "ok", fitness=2.0)
    result = Result(
        str(run.path), "Hop high", "Hopper-v5", task.fitness, best, (best,), None, records.Baselines(), None, 0,
        records.ModelUsage(),
    )  # fmt: skip
    run.save_result(result)
    entry = library.entry_from_run(run.path, name=None)
    assert (entry.task, entry.env_id, entry.source, entry.value) == ("Hop high", "Hopper-v5", SOURCE, 2.0)
    with pytest.raises(RunError):
        library.entry_from_run(tmp_path / "nowhere", name=None)


WALK = LibraryEntry("walk", "Walk forward without falling", "Walker2d-v5", SOURCE)
SWING = LibraryEntry("swing", "Swing the pendulum up", "Pendulum-v1", SOURCE)
HOLD = LibraryEntry("hold", "Hold the pole upright", "InvertedPendulum-v5", SOURCE.replace("height", "angle"))


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
    assert library.rank_by_similarity([WALK, SWING, HOLD], text)[0][0].name == nearest


def test_signals_decide_where_words_do_not() -> None:
    found = library.rank_by_similarity([WALK, SWING, HOLD], "something else entirely", signals=["angle"])
    assert found[0][0].name == "hold"


def test_equally_alike_programs_come_by_name_whatever_their_order() -> None:
    orders = [library.rank_by_similarity(order, "unrelated") for order in ([WALK, SWING, HOLD], [HOLD, SWING, WALK])]
    assert [[entry.name for entry, _ in order] for order in orders] == [["hold", "swing", "walk"]] * 2


def test_a_search_keeps_to_the_examples_that_it_began_with(tmp_path: Path) -> None:
    library.add_entry(ENTRY)
    config = resolve_config({"designer": {"examples": 1}, "search": {"designer": "llm"}})
    run = Run.create(tmp_path / "run", load_task("Rise as high as you can", "Hopper-v5"), config)
    first = setup.select_examples(run, NullCallback())
    assert first == (Example(ENTRY.task, ENTRY.env_id, ENTRY.source),)
    library.remove_entry("rise")
    assert setup.select_examples(run, NullCallback()) == first


def test_examples_of_the_same_environment_can_be_left_out(tmp_path: Path) -> None:
    library.add_entry(LibraryEntry("hop", "Hop", "Hopper-v5", SOURCE))
    task = load_task("Hop", "Hopper-v5")
    for same in (True, False):
        config = resolve_config({"designer": {"examples": 1, "examples_same_env": same}, "search": {"designer": "llm"}})
        (example,) = setup.select_examples(Run.create(tmp_path / str(same), task, config), NullCallback())
        assert (example.env_id == "Hopper-v5") == same
