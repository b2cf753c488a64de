"""The benchmark of what a training keeps: its pairs of programs, its intervals and its tables."""

from __future__ import annotations

import sys

import pytest
from fakes.paths import CHECKOUT

sys.path.insert(0, str(CHECKOUT / "benchmarks"))
import learning_kept


def test_a_child_of_the_ledgers_was_shown_its_parent() -> None:
    for task in learning_kept.LEDGER_TASKS:
        pairs = learning_kept.find_ledger_pairs(task)
        assert len(pairs) >= 4
        assert all(parent < child and sources[parent] != sources[child] for parent, child, sources in pairs)


def test_units_go_seed_by_seed_and_a_stage_is_a_parent() -> None:
    units = [unit for unit, _, _ in learning_kept.list_units(["hopper", "walker2d"], 2)]
    assert [(unit.task, unit.seed) for unit in units] == [(t, s) for s in (0, 1) for t in ("hopper", "walker2d")]
    assert units[0].pair != units[2].pair, "another seed, another pair of programs"
    ((unit, parent, child),) = learning_kept.list_units(["hopper_back_flip_land"], 1)
    assert unit.pair == "stage"
    assert "stand" in child
    assert "stand" not in parent


def test_the_interval_narrows_with_the_units_and_covers_the_mean() -> None:
    few = learning_kept.bootstrap_interval([[1.0, 2.0, 3.0]])
    many = learning_kept.bootstrap_interval([[1.0, 2.0, 3.0] * 20])
    assert few[0] < many[0] < 2.0 < many[1] < few[1]
    again = [learning_kept.bootstrap_interval([[1.0, 2.0]], seed=1) for _ in range(2)]
    assert again[0] == again[1]


def test_curves_compare_the_best_return_with_the_last(capsys: pytest.CaptureFixture[str]) -> None:
    falls = {"task": "a", "curve": [[1, 5.0, 10.0], [2, 2.0, 4.0]]}
    rises = {"task": "a", "curve": [[1, 1.0, 1.0], [2, 3.0, 2.0], [3, None, None]]}
    learning_kept.print_curve_table([falls, rises])
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("| a |"))
    assert line.startswith("| a | 2 | 4 | 2.5 | +1.5 [")
    assert line.endswith("| 1, 1, 0 |")
