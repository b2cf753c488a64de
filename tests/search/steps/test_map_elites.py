"""The archive of behaviours and its strategy: cells, elites, scores, and what the slots of a generation aim at."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fakes.evolution_case import brief, candidate, settings

from rewardsmith.contract.errors import ConfigError
from rewardsmith.contract.records import BehaviourDescriptor, Candidate, Evaluation, Training
from rewardsmith.search.steps import evolution
from rewardsmith.search.steps.evolution import BehaviourArchive, map_elites
from rewardsmith.spec.config import resolve_config

X = BehaviourDescriptor("x", "mean(x)", 0.0, 4.0, 4)
Y = BehaviourDescriptor("y", "mean(y)", -1.0, 1.0, 2)


def behaving(id: str, *policies: tuple[float, float, float | None]) -> Candidate:
    """Return a candidate with a policy for each (fitness, x, y)."""
    evaluations = tuple(Evaluation("ok", (), fitness, 0.0, metrics={"x": x, "y": y}) for fitness, x, y in policies)
    trainings = tuple(Training("ok", seed, 1, (), 0.0, 0.0, 0.0) for seed in range(len(policies)))
    return replace(candidate(id, policies[0][0]), trainings=trainings, evaluations=evaluations)


def config(population: int = 4, seed: int = 0):
    return settings(population, 4, {"strategy": "map-elites", "seed": seed})


# ---------------------------------------------------------------- the archive


def test_a_cell_keeps_the_fittest_policy_and_of_equal_ones_the_first():
    history = [
        behaving("g0c00", (1.0, 0.5, 0.5)),
        behaving("g0c01", (2.0, 0.9, 0.1)),
        behaving("g0c02", (2.0, 0.1, 0.9)),
        behaving("g1c00", (-5.0, 3.5, -0.5)),
    ]
    archive = BehaviourArchive.build((X, Y), history)
    assert {cell: elite.candidate for cell, elite in archive.elites.items()} == {(0, 1): "g0c01", (3, 0): "g1c00"}


def test_each_training_of_a_program_is_a_policy_of_its_own():
    archive = BehaviourArchive.build((X, Y), [behaving("g0c00", (1.0, 0.5, 0.5), (3.0, 2.5, 0.5))])
    assert {cell: (elite.seed, elite.fitness) for cell, elite in archive.elites.items()} == {
        (0, 1): (0, 1.0),
        (2, 1): (1, 3.0),
    }


def test_what_is_beyond_a_range_counts_in_the_cell_at_its_end():
    archive = BehaviourArchive.build((X, Y), [])
    assert [archive.find_cell(one) for one in ((-9.0, 9.0), (4.0, 1.0), (2.0, 0.0))] == [(0, 1), (3, 1), (2, 1)]
    assert archive.find_bounds((3, 0)) == {"x": (3.0, 4.0), "y": (-1.0, 0.0)}


def test_failures_and_policies_without_a_behaviour_take_no_part():
    failed = replace(behaving("g0c00", (1.0, 0.5, 0.5)), status="failed")
    unmeasured = behaving("g0c01", (1.0, 0.5, None))
    infinite = behaving("g0c02", (1.0, float("inf"), 0.5))
    assert BehaviourArchive.build((X, Y), [failed, unmeasured, infinite]).elites == {}


def test_coverage_and_the_score_count_filled_cells_and_nothing_below_the_floor():
    history = [behaving("g0c00", (3.0, 0.5, 0.5)), behaving("g0c01", (1.5, 1.5, 0.5)), behaving("g0c02", (-9, 2.5, 0))]
    archive = BehaviourArchive.build((X, Y), history)
    assert (archive.size, archive.coverage) == (8, 3 / 8)
    assert archive.compute_qd_score(1.0) == 2.0 + 0.5


def test_the_neighbours_of_a_corner_are_inside_the_grid():
    archive = BehaviourArchive.build((X, Y), [behaving("g0c00", (1.0, 0.5, -0.5)), behaving("g0c01", (1.0, 1.5, 0.5))])
    assert archive.list_empty_neighbours((0, 0)) == [(0, 1), (1, 0)]
    assert BehaviourArchive.build((X,), []).list_empty_neighbours((3,)) == [(2,), (3,)]


# ---------------------------------------------------------------- the strategy


def test_every_filled_cell_is_a_parent_once_before_one_is_again_however_unfit():
    history = [behaving(f"g0c0{slot}", (100.0 - 99.0 * slot, slot + 0.5, 0.5)) for slot in range(3)]
    plan = evolution.plan_generation(config(6), history, [], {"x"} | {one.id for one in history}, descriptors=(X, Y))
    parents = [slot.parents[0] for slot in plan.slots]
    assert sorted(parents[:3]) == sorted(parents[3:]) == ["g0c00", "g0c01", "g0c02"]
    assert {slot.mode for slot in plan.slots} == {"refine"}
    assert plan.notes == ("the archive has policies in 3 of 8 cells (38%)",)


def test_slots_aim_at_different_empty_cells_next_to_their_parents():
    history = [behaving("g0c00", (1.0, 1.5, 0.5))]
    plan = map_elites.plan_generation(config(7), history, 1, (X, Y))
    archive = BehaviourArchive.build((X, Y), history)
    targets = [slot.aim.target for slot in plan.slots]
    near = [archive.find_bounds(cell) for cell in archive.list_empty_neighbours((1, 1))]
    assert len(near) == 5
    assert sorted(targets[:5], key=str) == sorted(near, key=str)
    assert targets[5:] == [{}, {}]
    assert all(slot.aim.reached == {"x": 1.5, "y": 0.5} for slot in plan.slots)


def test_an_empty_archive_begins_from_nothing():
    plan = map_elites.plan_generation(config(), [candidate("g0c00", None, "failed")], 1, (X, Y))
    assert [slot.mode for slot in plan.slots] == ["new"] * 4
    assert all(slot.aim is None for slot in plan.slots)


def test_the_draw_is_the_same_for_a_resumed_search_and_another_for_another_seed():
    history = [behaving(f"g0c0{slot}", (1.0, slot + 0.5, 0.5)) for slot in range(4)]
    plans = [map_elites.plan_generation(config(4, seed), history, 1, (X, Y)) for seed in (0, 0, 1)]
    assert plans[0] == plans[1] != plans[2]


def test_the_other_strategies_plan_as_before_whatever_the_descriptors():
    history = [behaving("g0c00", (1.0, 0.5, 0.5)), behaving("g0c01", (2.0, 1.5, 0.5))]
    signals = {one.id for one in history}
    plans = [
        evolution.plan_generation(settings(2, 4), history, [], signals, descriptors=given) for given in ((), (X, Y))
    ]
    assert plans[0] == plans[1]
    assert all(slot.aim is None for slot in plans[0].slots)


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        ({"evolution": {"novelty": 0.5}}, r"evolution.novelty belongs to .*; leave it out with 'map-elites'"),
        ({"search": {"rungs": [0.5]}}, r"search.rungs belongs to .*; leave it out with 'map-elites'"),
        ({"feedback": {"rank": "people"}}, r"by their fitness, and feedback.rank is 'people'"),
    ],
)
def test_settings_that_contradict_the_archive_are_refused_in_one_line(layer, words):
    with pytest.raises(ConfigError, match=words) as refused:
        resolve_config({"search": {"strategy": "map-elites"}}, layer)
    assert "\n" not in str(refused.value)


def test_a_slot_has_one_parent_which_its_brief_shows():
    history = [behaving("g0c00", (1.0, 0.5, 0.5))]
    slot = map_elites.plan_generation(config(1), history, 1, (X, Y)).slots[0]
    assert [one.id for one in brief(slot, history, config(1), 1).parents] == ["g0c00"]
