"""The benchmark of warm starts: its pairs of programs and its intervals."""

from __future__ import annotations

import sys

from fakes.paths import CHECKOUT

sys.path.insert(0, str(CHECKOUT / "benchmarks"))
import warm_start


def test_a_child_of_the_ledgers_was_shown_its_parent() -> None:
    for task in warm_start.LEDGER_TASKS:
        pairs = warm_start.find_ledger_pairs(task)
        assert len(pairs) >= 4
        assert all(parent < child and sources[parent] != sources[child] for parent, child, sources in pairs)


def test_units_go_seed_by_seed_and_a_stage_is_a_parent() -> None:
    units = [unit for unit, _, _ in warm_start.list_units(["hopper", "walker2d"], 2)]
    assert [(unit.task, unit.seed) for unit in units] == [(t, s) for s in (0, 1) for t in ("hopper", "walker2d")]
    assert units[0].pair != units[2].pair, "another seed, another pair of programs"
    ((unit, parent, child),) = warm_start.list_units(["hopper_back_flip_land"], 1)
    assert unit.pair == "stage"
    assert "stand" in child
    assert "stand" not in parent


def test_the_interval_narrows_with_the_units_and_covers_the_mean() -> None:
    few = warm_start.bootstrap_interval([[1.0, 2.0, 3.0]])
    many = warm_start.bootstrap_interval([[1.0, 2.0, 3.0] * 20])
    assert few[0] < many[0] < 2.0 < many[1] < few[1]
    again = [warm_start.bootstrap_interval([[1.0, 2.0]], seed=1) for _ in range(2)]
    assert again[0] == again[1]
