"""The distance of programs by their rewards: differences that count, and programs that cannot be compared."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rewardsmith.contract.records import EnvSpec, Limits, Probe, Signal
from rewardsmith.search.steps.critic.behaviour_signature import BehaviourDistance, Equivalence
from rewardsmith.search.storage import Run
from rewardsmith.spec.config import resolve_config
from rewardsmith.spec.task_cards import Task

SIGNALS = (Signal("speed", (), "m/s", "forward speed", "qvel[0]"), Signal("pose", (2,), "rad", "joints", "qpos[1:3]"))
PROBE = Probe(SIGNALS, (2,), (-1.0, -1.0), (1.0, 1.0), None, (4,), 100, 200)
TASK = Task("runner", "Run", EnvSpec("Runner-v0", signals=SIGNALS), "A runner.", "Two numbers.", "sum(speed)")


def program(*terms: str, weights: str = "{}") -> str:
    named = ", ".join(f"'t{number}': {term}" for number, term in enumerate(terms))
    return f"WEIGHTS = {weights}\n\ndef reward(before, action, after):\n    return {{{named}}}\n"


RUN = program("after.speed", "-np.sum(action**2, axis=1)", weights="{'t1': 0.1}")
TWICE = program("2.0 * after.speed", "-np.sum(action**2, axis=1)", weights="{'t1': 0.2}")
OTHER = program("after.speed", "-np.sum(action**2, axis=1)", weights="{'t1': 0.5}")
BACKWARDS = program("-after.speed")


def write_transitions(path: Path, ends: bool) -> Path:
    """Write four random episodes of 50 steps, which end by the environment's rule or at the time limit."""
    rng = np.random.default_rng(0)
    n = 200
    speed, pose = rng.normal(size=n + 1), rng.normal(size=(n + 1, 2))
    arrays = {"before/speed": speed[:-1], "after/speed": speed[1:], "start/speed": speed[:-1]}
    arrays |= {"before/pose": pose[:-1], "after/pose": pose[1:], "start/pose": pose[:-1]}
    terminated = np.zeros(n)
    terminated[49::50] = ends
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, action=rng.uniform(-1, 1, (n, 2)), step=np.arange(n) % 50, terminated=terminated, **arrays)
    return path


def open_distance(tmp_path: Path, ends: bool = True, **differences: bool) -> BehaviourDistance:
    """Compare programs on random transitions; `differences` are those of `Equivalence`."""
    path = write_transitions(tmp_path / "transitions.npz", ends)
    return BehaviourDistance(PROBE, path, Limits(), Equivalence(gamma=0.99, **differences))


@pytest.mark.parametrize(("normalize", "expected"), [(True, 0.0), (False, 0.25)])
def test_a_search_compares_programs_as_its_trainings_see_them(tmp_path: Path, normalize: bool, expected: float) -> None:
    run = Run.create(tmp_path / "run", TASK, resolve_config({"training": {"normalize_reward": normalize}}))
    write_transitions(run.transitions, ends=True)
    assert BehaviourDistance.for_run(run, PROBE)(RUN, TWICE) == pytest.approx(expected, abs=1e-9)


def test_a_positive_factor_makes_no_difference(tmp_path: Path) -> None:
    assert open_distance(tmp_path)(RUN, TWICE) == pytest.approx(0.0, abs=1e-9)


def test_a_factor_counts_where_the_training_keeps_the_scale_of_rewards(tmp_path: Path) -> None:
    assert open_distance(tmp_path, ignore_scale=False)(RUN, TWICE) == pytest.approx(0.25)


def test_other_weights_and_the_opposite_are_told_apart(tmp_path: Path) -> None:
    distance = open_distance(tmp_path)
    assert distance(RUN, OTHER) > 0.01
    assert distance(program("after.speed"), BACKWARDS) == pytest.approx(1.0)


@pytest.mark.parametrize(("ends", "same"), [(False, True), (True, False)])
def test_a_constant_makes_no_difference_only_where_no_episode_ends(tmp_path: Path, ends: bool, same: bool) -> None:
    far = open_distance(tmp_path, ends)(program("after.speed"), program("after.speed + 1.0"))
    assert (far < 1e-9) == same


def test_a_difference_beyond_what_random_actions_reach_is_seen(tmp_path: Path) -> None:
    low, high = (program(f"np.minimum(after.speed, {bound})") for bound in (4.0, 8.0))
    assert open_distance(tmp_path)(low, high) > 0.01


@pytest.mark.parametrize("ends", [True, False])
def test_a_bonus_at_the_end_is_a_difference_even_where_random_actions_end_no_episode(
    tmp_path: Path, ends: bool
) -> None:
    bonus = "def reward(after, terminated):\n    return {'speed': after.speed, 'end': 5.0 * terminated}\n"
    distance = open_distance(tmp_path, ends)
    assert distance(program("after.speed"), bonus) > 0.01
    assert distance(bonus, bonus) == 0.0


def test_potential_shaping_is_a_difference_unless_it_is_asked_not_to_be(tmp_path: Path) -> None:
    shaped = program("after.speed", "0.99 * after.pose[:, 0]**2 - before.pose[:, 0]**2")
    plain = program("after.speed")
    assert open_distance(tmp_path / "kept")(plain, shaped) > 0.1
    assert open_distance(tmp_path / "ignored", ends=False, ignore_shaping=True)(plain, shaped) < 1e-6


def test_a_reward_for_being_in_a_state_is_no_shaping(tmp_path: Path) -> None:
    far = open_distance(tmp_path, ends=False, ignore_shaping=True)(
        program("after.speed"), program("np.abs(after.speed)")
    )
    assert far > 0.1


@pytest.mark.parametrize(
    "blank",
    [
        program("np.ones(len(after.speed))"),
        program("np.sqrt(after.speed)"),
        program("1.0 / (np.abs(after.speed) < 4.0)"),
        "def reward(after):\n    return {'t': after.speed",
    ],
    ids=["constant", "not finite", "not finite when stretched", "no program"],
)
def test_a_program_without_a_signature_cannot_be_compared(tmp_path: Path, blank: str) -> None:
    distance = open_distance(tmp_path)
    assert distance.compute_signature(blank) is None
    assert distance(blank, RUN) is None


def test_a_program_with_memory_has_a_signature(tmp_path: Path) -> None:
    source = (
        "MEMORY = {'best': 0.0}\n\ndef reward(after, memory):\n    memory.best = np.maximum(memory.best, after.speed)\n"
    )
    source += "    return {'best': memory.best + after.speed}\n"
    assert open_distance(tmp_path).compute_signature(source) is not None
