from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes.labelling_case import ROOM
from fakes.paths import TESTS

from rewardsmith.api.demonstrations import record_actor
from rewardsmith.api.weight_fit import fit_program, fit_weights
from rewardsmith.contract.errors import RewardFailed, RunFailed, TaskError
from rewardsmith.contract.records import EnvSpec, Evaluation, Signal
from rewardsmith.contract.reward_program import parse_program
from rewardsmith.executors.local import LocalExecutor
from rewardsmith.sandbox.recorded import EpisodeFile
from rewardsmith.spec.config import resolve_config
from rewardsmith.spec.task_cards import Task

PLACE, KEYS = Signal("place", (), "1", "", "obs[0]"), Signal("keys", (), "1", "", "info[keys]")
TASK = Task("room", "Find the key.", EnvSpec(ROOM, signals=(PLACE, KEYS)), "", "", "any(keys == 1)")
CONFIG = resolve_config({"search": {"env_steps": 512}, "training": {"n_envs": 4, "n_steps": 64, "net_arch": [16]}})
PROGRAM = """
WEIGHTS = {"left": 1.0, "key": -1.0}  # by guess

def reward(before, after):
    return {"left": before.place - after.place, "key": after.keys, "same": 0.0 * after.place}
"""


@pytest.fixture(autouse=True)
def _find_fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(TESTS))


def test_terms_that_demonstrations_have_more_of_get_positive_weights() -> None:
    rng = np.random.default_rng(0)
    noise = {name: rng.normal(size=200) for name in ("up", "down", "idle")}
    shown = {"up": noise["up"][:50] + 2.0, "down": noise["down"][:50] - 1.0, "idle": noise["idle"][:50]}
    others = {name: values[50:] for name, values in noise.items()}
    weights = fit_weights(shown, others, {"up": 1.0, "down": 1.0, "idle": 1.0})
    assert weights["up"] > 0.5 and weights["down"] < -0.3 and abs(weights["idle"]) < 0.15


def test_the_weights_do_not_depend_on_the_units_of_a_term() -> None:
    shown = {"a": np.array([2.0, 3.0]), "b": np.array([1.0, -1.0])}
    others = {"a": np.array([0.0, 1.0, 2.0]), "b": np.array([0.5, -2.0, 1.0])}
    weights = fit_weights(shown, others, {"a": 1.0, "b": 1.0})
    scaled = fit_weights(
        {"a": 10 * shown["a"], "b": shown["b"]}, {"a": 10 * others["a"], "b": others["b"]}, {"a": 0.1, "b": 1.0}
    )
    assert scaled["a"] * 10 == pytest.approx(weights["a"]) and scaled["b"] == pytest.approx(weights["b"])


def test_a_term_that_is_always_the_same_keeps_its_weight() -> None:
    same = {"up": np.array([1.0, 2.0]), "alive": np.ones(2)}
    assert fit_weights(same, {"up": np.zeros(2), "alive": np.ones(2)}, {"up": 1.0, "alive": 3.0})["alive"] == 3.0


def test_a_program_gets_the_weights_of_what_a_person_showed(tmp_path: Path) -> None:
    demo, said = tmp_path / "demo.npz", list[str]()
    recording = record_actor(TASK, "fakes.labelling_case:go_right", 3, demo, least_fitness=1.0)
    assert [episode.fitness for episode in recording.kept] == [1.0] * 3 and not recording.left_out
    assert set(EpisodeFile(demo).read_rollout(2, terminated=False).signals) == {"place", "keys"}

    fit = fit_program(parse_program(PROGRAM), TASK, CONFIG, [demo], 1, said.append)
    weights = {term.name: term.after for term in fit.terms}
    assert weights["left"] < 0.0 < weights["key"] and weights["same"] == 1.0
    fitted = parse_program(fit.source)
    assert "# by guess" in fit.source and dict(fitted.weights) == pytest.approx(weights)
    assert (fit.demonstrations, fit.others, len(fit.fitness), len(said)) == (3, 40, 2, 2)


def test_a_fitness_without_a_value_is_none_and_not_zero(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    demo = tmp_path / "demo.npz"
    record_actor(TASK, "fakes.labelling_case:go_right", 2, demo)
    run = LocalExecutor.run

    def run_without_fitness(*job: Any) -> Any:
        result = run(*job)
        return replace(result, fitness=None) if isinstance(result, Evaluation) else result

    monkeypatch.setattr(LocalExecutor, "run", run_without_fitness)
    fit = fit_program(parse_program(PROGRAM), TASK, CONFIG, [demo], 0, print)
    assert fit.fitness == (None,)


def test_what_cannot_be_fitted_gives_one_line(tmp_path: Path) -> None:
    demo = tmp_path / "demo.npz"
    with pytest.raises(RunFailed, match=r"none of 2 episodes has a fitness of 2 or more, the best has 1; nothing was"):
        record_actor(TASK, "fakes.labelling_case:go_right", 2, demo, least_fitness=2.0)
    record_actor(TASK, "fakes.labelling_case:go_right", 2, demo)
    with pytest.raises(TaskError, match=r"names the signal 'speed', which .* has not: it has keys, place; record it"):
        fit_program(parse_program("def reward(after):\n    return {'a': after.speed}"), TASK, CONFIG, [demo], 0, print)
    broken = parse_program("def reward(after):\n    return {'a': after.place[:, 0]}")
    with pytest.raises(RewardFailed):
        fit_program(broken, TASK, CONFIG, [demo], 0, print)


@pytest.mark.parametrize(
    ("actor", "said"),
    [
        ("fakes.labelling_case:fail", "cannot be acted in by --act .*: ArithmeticError: the device is not plugged in"),
        ("fakes.labelling_case:act_twice", r"returned \[1.0, 1.0\]; an action is one number k, a choice from 0 to 1"),
        ("fakes.labelling_case:nobody", "AttributeError: module .* has no attribute 'nobody'"),
        ("just a name", "names nothing to import"),
    ],
)
def test_a_function_that_cannot_act_is_named_in_one_line(tmp_path: Path, actor: str, said: str) -> None:
    with pytest.raises(TaskError, match=said) as raised:
        record_actor(TASK, actor, 1, tmp_path / "demo.npz")
    assert "\n" not in str(raised.value)
