"""The script of the evidence: what it plans, which answers arms share, and its tables."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from fakes.paths import CHECKOUT

from rewardsmith.api.sweep import Cell
from rewardsmith.llm import Message
from rewardsmith.llm.ledger import LedgerEntry, read_ledger
from rewardsmith.llm.messages import ModelAnswer, Request

sys.path.insert(0, str(CHECKOUT / "benchmarks"))
import evidence
import evidence_page
import evidence_tables

TASK = "half_cheetah_target_speed"


@pytest.fixture
def cells(monkeypatch: pytest.MonkeyPatch) -> dict[str, Cell]:
    """Return the cells of one of the tasks with all arms, by arm."""
    monkeypatch.chdir(CHECKOUT)
    monkeypatch.setenv("OPENAI_BASE_URL", evidence.NO_ENDPOINT)
    found = evidence.load_cells(CHECKOUT / "benchmarks" / "evidence.toml", None).cells
    return {cell.preset: cell for cell in found if cell.task.name == TASK}


def build_row(task: str, arm: str, fitness: list[float], **values: Any) -> dict[str, Any]:
    row = {"task": task, "kind": evidence_tables.KINDS[task], "arm": arm, "seed": 0, "status": "ok", "cause": None}
    row |= {"fitness": fitness, "final_seeds": 5, "random": 0.0, "environment_reward": [1.0, 3.0]}
    return row | {"env_steps": 100, "train_s": 1.0, "programs": 18, "trained": 18, "best": "g0c01"} | values


# ---------------------------------------------------------------- the plan


def test_every_search_has_the_same_number_of_programs_steps_and_final_seeds(cells: dict[str, Cell]) -> None:
    assert set(cells) == {"smith", "eureka", "best_of_n", "best_of_six", "no_reflection", "reviewed"}
    searches = [cell.config.search for arm, cell in cells.items() if arm != "best_of_six"]
    assert {search.population * search.generations for search in searches} == {18}
    assert len({(search.env_steps, search.final_seeds, search.trainings) for search in searches}) == 1
    assert {cell.config.evaluation.final_episodes for cell in cells.values()} == {20}


def test_arms_that_ask_the_same_first_are_counted_once_and_the_baseline_too(cells: dict[str, Cell]) -> None:
    order = [cells[arm] for arm in ("smith", "best_of_n", "best_of_six", "eureka", "no_reflection", "reviewed")]
    costs = {cost.cell.preset: (cost.trainings, cost.answers) for cost in evidence.count_costs(order)}
    assert costs["smith"] == (18 + 5 + 5, 18)
    assert costs["best_of_n"] == (12 + 5, 12)
    assert costs["best_of_six"] == (5, 0)
    assert costs["eureka"] == (18 + 5, 18)
    assert costs["no_reflection"] == (12 + 5, 12)
    assert costs["reviewed"] == (12 + 5, 12 + 18 + 12)
    backwards = evidence.count_costs([cells["best_of_n"], cells["smith"]])
    assert [cost.answers for cost in backwards] == [18, 12]


@pytest.mark.usefixtures("cells")
def test_no_arm_always_comes_first_and_arms_of_a_task_are_far_apart() -> None:
    found = evidence.load_cells(CHECKOUT / "benchmarks" / "evidence.toml", None).cells
    tasks = {cell.task.name for cell in found}
    first = found[: len(tasks)]
    assert {cell.task.name for cell in first} == tasks
    assert len(Counter(cell.preset for cell in first)) >= 3
    assert len({cell.id for cell in found}) == len(found) == 4 * len(tasks) + 2 * 4


# ---------------------------------------------------------------- answers


def build_entry(text: str, sample: int = 0) -> LedgerEntry:
    request = Request("m", (Message("system", "18 programs"), Message("user", text)), 1.0, 100)
    answer = ModelAnswer("IDEA: run", "stop", 10, 5)
    return LedgerEntry(request.key("designer", sample), "designer", sample, request, answer, None, 0.0, "")


def write_ledger(path: Path, *entries: LedgerEntry) -> None:
    from rewardsmith.contract import records

    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(records.dump(entry)) + "\n" for entry in entries))


def test_a_first_prompt_is_the_same_whatever_the_size_of_the_search_and_later_ones_stay() -> None:
    first = "Tried: nothing. {} programs are written independently of each other, all are trained."
    small, large = (build_entry(first.format(size), 3) for size in (6, 18))
    assert small.key != large.key
    assert evidence.adapt_entry(small, 18).key == large.key
    assert evidence.adapt_entry(large, 6) == small
    later = build_entry("Build on g0c01. The 6 programs differ.")
    assert evidence.adapt_entry(later, 18) == later


def test_an_arm_gets_the_answers_of_the_others_and_replays_its_own_where_they_are_recorded(
    cells: dict[str, Cell], tmp_path: Path
) -> None:
    first = "6 programs are written independently of each other."
    write_ledger(tmp_path / "store" / "cells" / cells["smith"].id / "llm.jsonl", build_entry(first))
    write_ledger(tmp_path / "ledgers" / TASK / "eureka.jsonl", build_entry("The first of Eureka's."))
    pool = evidence.AnswerPool(tmp_path / "store", tmp_path / "ledgers", list(cells.values()))

    prepared = pool._prepare(cells["best_of_n"])
    assert prepared.id == cells["best_of_n"].id
    assert prepared.config.llm.replay is None
    entries = {entry.key: entry for entry in read_ledger(Path(str(prepared.config.llm.cache)))}
    assert build_entry(first.replace("6", "18")).key in entries
    assert len(entries) == 2

    replayed = pool._prepare(cells["eureka"]).config.llm
    assert (replayed.replay, replayed.replay_by, replayed.cache) == (
        str(tmp_path / "ledgers" / TASK / "eureka.jsonl"),
        "position",
        None,
    )


# ---------------------------------------------------------------- tables


def test_a_training_without_a_fitness_counts_as_random_actions() -> None:
    assert evidence_tables.list_fitness(build_row("hopper", "smith", [4.0, 5.0])) == [4.0, 5.0, 0.0, 0.0, 0.0]
    assert evidence_tables.list_fitness(build_row("hopper", "smith", [], status="failed")) == [0.0] * 5


def test_only_tasks_that_the_environments_reward_pays_for_and_teaches_are_normalised() -> None:
    fitness = [4.0] * 5
    assert evidence_tables.normalize_row(build_row("hopper", "smith", fitness)) == [2.0] * 5
    assert evidence_tables.normalize_row(build_row("ant_wave_leg", "smith", fitness)) is None
    unlearned = build_row("door_unlock", "smith", fitness, environment_reward=[0.0, 0.0])
    assert evidence_tables.normalize_row(unlearned) is None


def test_a_difference_needs_tasks_that_agree() -> None:
    tasks = [f"t{number}" for number in range(12)]
    better = {task: [2.0, 3.0] for task in tasks}
    worse = {task: [0.0, 1.0] for task in tasks}
    mixed = {task: [9.0, 9.0] if number % 2 else [0.0, 1.0] for number, task in enumerate(tasks)}
    values, over_seeds, over_tasks = evidence_tables.compare_arms(better, worse) or pytest.fail("no common task")
    assert values == [1.0] * 12
    assert (over_seeds.value, over_tasks.value) == (1.0, 1.0)
    assert evidence_tables.is_separated(over_tasks)
    _, over_seeds, over_tasks = evidence_tables.compare_arms(better, mixed) or pytest.fail("no common task")
    assert over_seeds.low == over_seeds.high == 0.5, "the seeds of each task agree"
    assert over_tasks.low < 0.5 < over_tasks.high
    assert not evidence_tables.is_separated(over_tasks)
    assert evidence_tables.compare_arms(better, {"other": [1.0]}) is None


def test_the_tables_leave_no_search_out() -> None:
    rows = [
        build_row("hopper", "smith", [4.0] * 5, answers=18, tokens=900),
        build_row("hopper", "best_of_n", [1.0] * 5),
        build_row("ant_wave_leg", "smith", [0.5] * 5),
        build_row("ant_wave_leg", "best_of_n", [], status="failed", random=None, environment_reward=[], best=""),
    ]
    lines = evidence_tables.render_tables(rows).splitlines()
    assert "| hopper | locomotion | 4 [4, 4] | 1 [1, 1] | 2 [-10.7, 14.7] | 0 |" in lines
    assert any(line.startswith("| ant_wave_leg | behaviour | 0.5 [0.5, 0.5] | 0 [0, 0]") for line in lines)
    assert "| smith | 1 | 1 of 1 | +100 % | 2.00 [2.00, 2.00] | 1 |" in lines
    assert "| best_of_n | 1 | 0 of 1 | -50 % | 0.50 [0.50, 0.50] | 1 |" in lines
    pair = next(line for line in lines if line.startswith("| smith | best_of_n |"))
    assert pair == "| smith | best_of_n | 2 | 1.00 | [1.00, 1.00] | [1.00, 1.00] | 2, 0, 0 | a difference |"
    assert any(line.startswith("| best_of_n | 2 | 1 | 36 of 36 | 1 of 2 |") for line in lines)


# ---------------------------------------------------------------- the page


def test_the_page_keeps_what_people_wrote_and_shows_each_tasks_best_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "evidence.md"
    page.write_text(f"# Evidence\n\nWords.\n\n{evidence_page.MARK}\n\nold tables\n")
    monkeypatch.setattr(evidence_page, "PAGE", page)
    monkeypatch.setattr(evidence_page, "FILMS", tmp_path / "evidence")
    (tmp_path / "evidence").mkdir()
    (tmp_path / "evidence" / "hopper.webp").write_bytes(b"")
    rows = [
        build_row("hopper", "smith", [4.0] * 5, program="def reward(after):\n\n    return {}\n"),
        build_row("hopper", "best_of_n", [5.0] * 5, program="ONE = 1\n", best="g0c07"),
    ]

    evidence_page.write_page(rows)
    text = page.read_text()
    assert text.startswith(f"# Evidence\n\nWords.\n\n{evidence_page.MARK}\n\n## Tables\n")
    assert "old tables" not in text
    assert "| hopper | locomotion | 4 [4, 4] | 5 [5, 5] |" in text
    assert "found by best_of_n, program g0c07" in text
    assert "(evidence/hopper.webp)" in text
    assert "    ```python\n    ONE = 1\n    ```\n" in text
    assert "def reward" not in text, "smith's program is not the best one"


def test_later_generations_are_compared_with_the_first_where_there_are_any() -> None:
    rows = [
        build_row("hopper", "smith", [4.0] * 5, generations=[[1.0, 2.0], [3.0], [0.0, 1.5]], best="g1c00"),
        build_row("hopper", "best_of_n", [4.0] * 5, generations=[[1.0, 2.0]]),
    ]
    table = evidence_tables.render_generations(rows, ["smith", "best_of_n"]).splitlines()
    assert table[-1] == "| smith | 1 | 1.00 [–] | 0.25 [–] | 0, 1, 0 |"


def test_a_lead_is_what_fresh_seeds_leave_of_it() -> None:
    searched = {"generations": [[1.0, 2.0], [3.0, 6.0]]}
    assert evidence_tables.compute_kept_lead(build_row("hopper", "smith", [6.0] * 5, **searched)) == 1.0
    assert evidence_tables.compute_kept_lead(build_row("hopper", "smith", [3.0] * 5, **searched)) == 0.0
    assert evidence_tables.compute_kept_lead(build_row("hopper", "smith", [6.0] * 5, generations=[[2.0, 2.0]])) is None
    rows = [build_row("hopper", "smith", [4.5] * 5, **searched), build_row("swimmer", "smith", [1.5] * 5, **searched)]
    assert "| smith | 2 | 0.00 | 1 of 2 |" in evidence_tables.render_kept_leads(rows, ["smith"])


def test_the_spread_over_seeds_counts_each_named_program_once() -> None:
    drawn = {"generations": [[0.0, 2.0, 4.0]]}
    rows = [build_row("hopper", "best_of_n", [1.0, 3.0], **drawn), build_row("hopper", "smith", [1.0, 3.0], **drawn)]
    rows += [build_row("swimmer", "smith", [1.0, 3.0], **drawn)]
    table = evidence_tables.render_spreads(rows)
    assert "| hopper | 2 | 1.41 | 0.50 |" in table
    assert "swimmer" not in table
