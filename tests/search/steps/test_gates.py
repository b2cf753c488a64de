"""The gates before training: what pays the same, what ranks the wrong way round, and what is not known."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rewardsmith.contract.records import Brief, Candidate, EnvSpec, Probe, Proposal, Signal, Training, Verdict
from rewardsmith.search.steps.critic.behaviour_signature import Bank
from rewardsmith.search.steps.critic.gates import Gates
from rewardsmith.search.storage import Run
from rewardsmith.spec.config import resolve
from rewardsmith.spec.task_cards import Task

SIGNALS = (Signal("speed", (), "m/s", "forward speed", "qvel[0]"), Signal("pose", (2,), "rad", "joints", "qpos[1:3]"))
PROBE = Probe(SIGNALS, (2,), (-1.0, -1.0), (1.0, 1.0), None, (4,), 100, 200)
TASK = Task("runner", "Run", EnvSpec("Runner-v0", signals=SIGNALS), "A runner.", "Two numbers.", "sum(speed)")
BRIEF = Brief("Run", "Runner-v0", "A runner.", SIGNALS, "Two numbers.", generation=1, population=3, seed=0)
FINE = Verdict(True)


def program(*terms: str, weights: str = "{}") -> str:
    named = ", ".join(f"'t{number}': {term}" for number, term in enumerate(terms))
    return f"WEIGHTS = {weights}\n\ndef reward(before, action, after):\n    return {{{named}}}\n"


RUN = program("after.speed", "-np.sum(action**2, axis=1)", weights="{'t1': 0.1}")
TWICE = program("2.0 * after.speed", "-np.sum(action**2, axis=1)", weights="{'t1': 0.2}")
OTHER = program("after.speed", "-np.sum(action**2, axis=1)", weights="{'t1': 0.5}")
BACKWARDS = program("-after.speed")


def record(path: Path, ends: bool) -> None:
    """Write four random episodes of 50 steps; every step earns the fitness its speed, about 0."""
    rng = np.random.default_rng(0)
    n = 200
    speed, pose = rng.normal(size=n + 1), rng.normal(size=(n + 1, 2))
    arrays = {"before/speed": speed[:-1], "after/speed": speed[1:], "start/speed": speed[:-1]}
    arrays |= {"before/pose": pose[:-1], "after/pose": pose[1:], "start/pose": pose[:-1]}
    terminated = np.zeros(n)
    terminated[49::50] = ends
    path.parent.mkdir(parents=True)
    np.savez(path, action=rng.uniform(-1, 1, (n, 2)), step=np.arange(n) % 50, terminated=terminated, **arrays)


def a_run(tmp_path: Path, ends: bool = True, **gates: object) -> Run:
    run = Run.create(tmp_path / "run", TASK, resolve({"gates": {"duplicates": True} | gates}))
    record(run.path / "probe" / "transitions.npz", ends)
    return run


def bank(tmp_path: Path, ends: bool = True, training: dict | None = None, **gates: object) -> Bank:
    run = a_run(tmp_path, ends, **gates)
    config = resolve({"gates": gates, "training": training or {}})
    return Bank(PROBE, run.path / "probe" / "transitions.npz", config)


# ---------------------------------------------------------------- signatures


def test_a_positive_factor_makes_no_difference(tmp_path: Path) -> None:
    assert bank(tmp_path).distance(RUN, TWICE) == pytest.approx(0.0, abs=1e-9)


def test_a_factor_counts_where_the_training_keeps_the_scale_of_rewards(tmp_path: Path) -> None:
    assert bank(tmp_path, training={"normalize_reward": False}).distance(RUN, TWICE) == pytest.approx(0.25)


def test_other_weights_and_the_opposite_are_told_apart(tmp_path: Path) -> None:
    there = bank(tmp_path)
    assert there.distance(RUN, OTHER) > 0.01
    assert there.distance(program("after.speed"), BACKWARDS) == pytest.approx(1.0)


@pytest.mark.parametrize(("ends", "same"), [(False, True), (True, False)])
def test_a_constant_makes_no_difference_only_where_no_episode_ends(tmp_path: Path, ends: bool, same: bool) -> None:
    far = bank(tmp_path, ends).distance(program("after.speed"), program("after.speed + 1.0"))
    assert (far < 1e-9) == same


def test_a_difference_beyond_what_random_actions_reach_is_seen(tmp_path: Path) -> None:
    low, high = (program(f"np.minimum(after.speed, {bound})") for bound in (4.0, 8.0))
    assert bank(tmp_path).distance(low, high) > 0.01


def test_potential_shaping_is_a_difference_unless_it_is_asked_not_to_be(tmp_path: Path) -> None:
    shaped = program("after.speed", "0.99 * after.pose[:, 0]**2 - before.pose[:, 0]**2")
    plain = program("after.speed")
    assert bank(tmp_path / "affine").distance(plain, shaped) > 0.1
    assert bank(tmp_path / "shaping", ends=False, same="shaping").distance(plain, shaped) < 1e-6


def test_a_reward_for_being_in_a_state_is_no_shaping(tmp_path: Path) -> None:
    far = bank(tmp_path, ends=False, same="shaping").distance(program("after.speed"), program("np.abs(after.speed)"))
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
def test_a_program_without_a_signature_is_no_duplicate_of_anything(tmp_path: Path, blank: str) -> None:
    there = bank(tmp_path)
    assert there.signature(blank) is None
    assert there.distance(blank, RUN) is None


def test_a_program_with_memory_has_a_signature(tmp_path: Path) -> None:
    source = (
        "MEMORY = {'best': 0.0}\n\ndef reward(after, memory):\n    memory.best = np.maximum(memory.best, after.speed)\n"
    )
    assert bank(tmp_path).signature(source + "    return {'best': memory.best + after.speed}\n") is not None


# ---------------------------------------------------------------- duplicates


def judged(id: str, source: str, status: str = "ok", fitness: float | None = 12.345) -> Candidate:
    verdict = Verdict(True)
    return Candidate(id, int(id[1]), int(id[3:]), Proposal(source, "test"), status, verdict, fitness=fitness)


def test_a_duplicate_of_an_earlier_program_is_sent_back_with_its_twin(tmp_path: Path) -> None:
    gates = Gates(a_run(tmp_path), PROBE)
    gates.learn(judged("g0c01", RUN))
    verdict = gates.judge(BRIEF, 0, TWICE, FINE)
    assert (verdict.accepted, verdict.gate.name, verdict.gate.twin) == (False, "duplicate", "g0c01")
    assert "pays the same as g0c01, whose fitness is 12.3" in verdict.findings[-1].message
    assert verdict.gate.env_steps == 200_000
    assert gates.judge(BRIEF, 0, OTHER, FINE) is FINE


@pytest.mark.parametrize(("status", "refused"), [("failed", True), ("invalid", False), ("infrastructure", False)])
def test_only_what_has_been_trained_is_a_twin(tmp_path: Path, status: str, refused: bool) -> None:
    gates = Gates(a_run(tmp_path), PROBE)
    gates.learn(judged("g0c01", RUN, status, None))
    assert gates.judge(BRIEF, 0, RUN, FINE).accepted != refused


def test_of_two_equal_proposals_of_a_generation_the_lower_slot_is_trained(tmp_path: Path) -> None:
    gates = Gates(a_run(tmp_path), PROBE)
    verdicts: dict[int, Verdict] = {}

    def slot(number: int, source: str) -> None:
        gates.tell(1, number, source)
        verdicts[number] = gates.judge(BRIEF, number, source, FINE)

    upper = threading.Thread(target=slot, args=(2, TWICE))
    upper.start()  # the quicker one waits for those below it
    slot(0, RUN)
    gates.tell(1, 1, None)
    upper.join(timeout=20)
    assert verdicts[0].accepted
    assert verdicts[2].gate.twin == "g1c00"


def test_a_duplicate_waits_for_what_comes_of_a_lower_slot(tmp_path: Path) -> None:
    gates, found = Gates(a_run(tmp_path), PROBE), []
    duplicate = judged("g1c01", TWICE, "duplicate", None)
    waiting = threading.Thread(target=lambda: found.append(gates.inherited(duplicate, "g1c00")))
    waiting.start()
    waiting.join(timeout=0.2)
    assert found == []
    gates.learn(judged("g1c00", RUN, fitness=5.0))
    waiting.join(timeout=20)
    assert found == [5.0]


def test_a_duplicate_takes_over_nothing_of_a_program_that_was_mended_into_another(tmp_path: Path) -> None:
    gates = Gates(a_run(tmp_path), PROBE)
    gates.tell(1, 0, RUN)
    gates.learn(judged("g1c00", BACKWARDS, fitness=5.0))
    assert gates.inherited(judged("g1c01", TWICE, "duplicate", None), "g1c00") is None


def test_nothing_is_waited_for_of_a_slot_that_has_left(tmp_path: Path) -> None:
    gates = Gates(a_run(tmp_path), PROBE)
    gates.leave("g1c00")
    assert gates.inherited(judged("g1c01", TWICE, "duplicate", None), "g1c00") is None
    assert gates.inherited(judged("g1c01", TWICE, "duplicate", None), "g1c07") is None


def test_a_lower_slots_misspelt_signal_is_no_matter(tmp_path: Path) -> None:
    gates = Gates(a_run(tmp_path), PROBE)
    gates.tell(1, 0, program("after.sped"))
    assert gates.judge(BRIEF, 1, RUN, FINE) is FINE


def test_a_gate_that_is_off_lets_everything_through(tmp_path: Path) -> None:
    gates = Gates(a_run(tmp_path, duplicates=False), PROBE)
    gates.learn(judged("g0c01", RUN))
    assert gates.judge(BRIEF, 2, RUN, FINE) is FINE


# ---------------------------------------------------------------- the order screen


def with_best(run: Run, speeds: list[float], signals: tuple[str, ...] = ("speed", "pose")) -> tuple[Gates, Brief]:
    """Record a best candidate's episodes of 80 steps, each at one speed."""
    folder = run.folder("candidates", "g0c00", "eval-s0")
    arrays: dict[str, np.ndarray] = {}
    for index, speed in enumerate(speeds):
        arrays[f"{index}/action"] = np.zeros((80, 2))
        values = {"speed": np.full(80, speed), "pose": np.zeros((80, 2))}
        arrays |= {f"{index}/{name}": values[name] for name in signals}
        arrays |= {f"{index}/start/{name}": values[name][0] for name in signals}
    np.savez(folder / "episodes.npz", **arrays)
    gates = Gates(run, PROBE)
    training = Training("ok", 0, 100, (), 0.0, 0.0, 0.0)
    gates.learn(replace(judged("g0c00", RUN), trainings=(training,)))
    return gates, replace(BRIEF, incumbent="g0c00")


def test_a_program_that_ranks_random_actions_above_successes_is_sent_back(tmp_path: Path) -> None:
    gates, brief = with_best(a_run(tmp_path, duplicates=False, order=True), [2.0, 3.0, 4.0])
    verdict = gates.judge(brief, 0, BACKWARDS, FINE)
    assert (verdict.accepted, verdict.gate.name) == (False, "order")
    assert "the successful episodes of g0c00 only" in verdict.findings[-1].message
    assert gates.judge(brief, 0, RUN, FINE) is FINE


@pytest.mark.parametrize(
    ("speeds", "signals"),
    [([2.0, 3.0], ("speed", "pose")), ([-1.0] * 4, ("speed", "pose")), ([2.0, 3.0, 4.0], ("speed",))],
    ids=["too few successes", "no better than random", "signals that were not recorded"],
)
def test_the_order_screen_says_nothing_where_it_knows_nothing(
    tmp_path: Path, speeds: list[float], signals: tuple[str, ...]
) -> None:
    gates, brief = with_best(a_run(tmp_path, duplicates=False, order=True), speeds, signals)
    source = program("-after.speed + 0.0 * after.pose[:, 0]")
    assert gates.judge(brief, 0, source, FINE) is FINE


def test_without_an_incumbent_there_is_no_order_to_keep(tmp_path: Path) -> None:
    gates = Gates(a_run(tmp_path, duplicates=False, order=True), PROBE)
    assert gates.judge(BRIEF, 0, BACKWARDS, FINE) is FINE
