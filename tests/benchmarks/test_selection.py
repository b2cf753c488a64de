"""The simulator of selection: it plays with the functions of the product, and reads its tables as they are written."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from fakes.paths import CHECKOUT

sys.path.insert(0, str(CHECKOUT / "benchmarks"))
import selection

PROGRAMS = selection.draw_model(0.5, 60, 12, 1)


@pytest.mark.parametrize("rule", selection.list_rules((1 / 3,)), ids=lambda rule: f"{rule.name}, {rule.share:.0%}")
def test_every_rule_keeps_its_budget_and_names_a_program_that_it_designed(rule: selection.Rule) -> None:
    for budget in (6, 12, 18):
        rng = np.random.default_rng(budget)
        order = list(PROGRAMS)[:budget]
        search = selection.SimulatedSearch(order, {name: list(PROGRAMS[name].selection) for name in order}, rng)
        named = rule.run(search, budget)
        assert named in search.fitness
        assert sum(map(len, search.fitness.values())) <= budget


def test_all_rules_meet_the_same_programs_and_unseen_seeds_decide() -> None:
    one_seed = selection.list_rules(())[0]
    first, again = (selection.play_searches(PROGRAMS, one_seed, 12, 40, 0) for _ in range(2))
    assert (first.worth == again.worth).all()
    perfect = selection.draw_model(1.0, 60, 12, 1)
    outcomes = selection.play_searches(perfect, one_seed, 12, 40, 0)
    assert outcomes.hits.all()
    assert outcomes.worth == pytest.approx(outcomes.mean)


def test_the_product_names_better_programs_than_one_seed_each_at_equal_trainings() -> None:
    programs = selection.draw_model(0.5, 200, 20, 0)
    rules = {rule.name: rule for rule in selection.list_rules((1 / 3,))}
    product_rule = next(rule for name, rule in rules.items() if name.endswith("(the product)"))
    one_seed_rule = rules["one seed each"]
    one_seed, finalists = (
        selection.play_searches(programs, rule, 18, 400, 0).worth for rule in (one_seed_rule, product_rule)
    )
    gains = finalists - one_seed
    assert gains.mean() > 1.96 * gains.std() / len(gains) ** 0.5


def test_a_difference_that_hangs_on_one_program_has_a_wide_interval() -> None:
    one_seed, two_seeds = selection.list_rules(())[:2]
    records = [selection.ProgramRecord((value,) * 6, (value,) * 6) for value in (9.0, *np.linspace(0.0, 0.1, 29))]
    programs = {f"p{number}": record for number, record in enumerate(records)}
    drawn = selection.draw_resamples(programs, 40)
    worth = {rule: selection.play_resamples(drawn, rule, 12, 20) for rule in (one_seed, two_seeds)}
    low, high = selection.find_interval(worth[two_seeds] - worth[one_seed])
    assert high - low > 1.0
    assert selection.find_interval(worth[one_seed] - worth[one_seed]) == (0.0, 0.0)


def test_the_improvement_that_a_generation_promises_falls_with_the_incumbent() -> None:
    variances = selection.Variances(0.0, 1.0, 1.0)
    gains = [selection.expected_improvement(variances, incumbent, 4) for incumbent in (-1.0, 0.0, 1.0, 3.0, 9.0)]
    assert gains == sorted(gains, reverse=True)
    assert gains[-1] == 0.0
    rng = np.random.default_rng(0)
    drawn = np.maximum(rng.normal(0.0, 0.5**0.5, (200_000, 4)).max(axis=1) - 1.0, 0.0).mean()
    assert selection.expected_improvement(variances, 1.0, 4) == pytest.approx(drawn, rel=0.03)


def test_a_table_is_read_without_its_torn_last_line_and_goes_on_behind_it(tmp_path: Path) -> None:
    table = tmp_path / "table.jsonl"
    rows = [
        {"task": "t", "preset": "p", "program": program, "seed": seed, "selection": 1.0 * program, "report": 2.0}
        for program in range(4)
        for seed in range(3)
    ]
    rows.append({"task": "t", "preset": "p", "program": 9, "seed": 0, "status": "failed"})
    table.write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"task": "t", "pre')
    assert len(selection.read_rows(table)) == 13
    programs = selection.load_programs(table, 3)["t"]
    assert sorted(programs) == ["p-0", "p-1", "p-2", "p-3"]
    assert programs["p-2"].selection == (2.0, 2.0, 2.0)
    assert selection.load_programs(table, 4) == {}
    selection.drop_torn_line(table)
    assert table.read_text().splitlines()[-1] == json.dumps(rows[-1])
    assert table.read_text().endswith("\n")


def test_every_ledger_has_its_programs() -> None:
    counts = {len(selection.read_programs(task, preset)) for task in selection.TASKS for preset in selection.PRESETS}
    assert min(counts) >= 10
