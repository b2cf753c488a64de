"""The options of a search's strategy."""

from __future__ import annotations

import json
import subprocess
import sys

DRY = ["design", "Swing up", "--env", "Pendulum-v1", "--dry-run"]


def rewardsmith(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "rewardsmith", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)


def test_a_tree_and_an_ensemble_are_options_and_the_plan_counts_the_ensembles_trainings():
    answer = rewardsmith(*DRY, "--search", "mcts", "--ensemble", "3", "--json")
    planned = json.loads(answer.stdout)
    assert planned["config"]["search"]["strategy"] == "mcts"
    assert planned["trainings"] == 4 * 3 + 5 * (1 + 1 + 1)


def test_an_option_that_contradicts_another_is_refused_in_one_line():
    answer = rewardsmith(*DRY, "--search", "mcts", "--set", "evolution.islands=2")
    assert answer.returncode == 2
    (line,) = answer.stderr.strip().splitlines()
    assert "evolution.islands belongs to search.strategy = 'generations'" in line
