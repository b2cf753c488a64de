"""The plans of the generational strategy: selection, islands, restarts, crossover, novelty."""

from __future__ import annotations

import pytest
from fakes.evolution_case import candidate, evolve, program, settings

from rewardsmith.contract.records import GenerationPlan, Proposal
from rewardsmith.search.steps import evolution
from rewardsmith.search.steps.evolution.diversity import choose_diverse, text_distance

READABLE = {f"g{generation}c0{slot}" for generation in range(9) for slot in range(9)} | {"x", "y", "z"}


def plan(config, history, generation, unlike=lambda first, second: None) -> GenerationPlan:
    return evolution.plan_generation(config, history, [GenerationPlan(())] * generation, READABLE, unlike)


def modes(found: GenerationPlan) -> list[str]:
    return [slot.mode for slot in found.slots]


def test_the_first_generation_is_new_in_every_slot():
    assert modes(plan(settings(population=2), [], 0)) == ["new", "new"]


def test_by_default_every_slot_refines_the_same_best_parents_and_hears_of_everybody():
    history = [candidate(f"g0c0{slot}", float(slot)) for slot in range(4)]
    found = plan(settings(), history, 1)
    assert {(slot.mode, slot.parents, slot.visible_candidates) for slot in found.slots} == {
        ("refine", ("g0c03", "g0c02", "g0c01"), None)
    }


def test_of_two_candidates_the_one_with_the_better_lower_bound_wins():
    lucky = candidate("g0c00", 10.0, seeds=(0.0, 20.0))
    steady = candidate("g0c01", 8.0, seeds=(7.9, 8.1))
    assert evolution.find_incumbent([lucky, steady]).id == "g0c01"
    assert evolution.find_incumbent([lucky, steady], settings(caution=0.0).evolution).id == "g0c00"


def test_greedy_last_forgets_a_better_program_of_an_earlier_generation():
    history = [candidate("g0c00", 9.0), candidate("g1c00", 1.0), candidate("g1c01", 2.0)]
    assert plan(settings(selection="greedy-last"), history, 2).slots[0].parents == ("g1c01",)
    assert evolution.find_incumbent(history).id == "g0c00"


def test_greedy_last_goes_back_to_the_generation_that_has_a_success():
    history = [candidate("g0c00", 9.0), candidate("g1c00", None, "failed")]
    assert plan(settings(selection="greedy-last"), history, 2).slots[0].parents == ("g0c00",)


def test_crossing_slots_get_a_pair_with_another_mate_each():
    history = [candidate(f"g0c0{slot}", float(slot)) for slot in range(4)]
    found = plan(settings(crossover=2), history, 1)
    assert modes(found) == ["refine", "refine", "cross", "cross"]
    assert [slot.parents for slot in found.slots[2:]] == [("g0c03", "g0c02"), ("g0c03", "g0c01")]


def test_a_search_with_one_program_crosses_nothing():
    assert modes(plan(settings(population=2, crossover=2), [candidate("g0c00", 1.0)], 1)) == ["refine", "refine"]


def test_novelty_prefers_the_parent_that_pays_for_something_else():
    history = [
        candidate("g0c00", 4.0, source=program((1.0, 1.0, 1.0), "x")),
        candidate("g0c01", 3.0, source=program((1.0, 2.0, 1.0), "x")),
        candidate("g0c02", 2.0, source=program((1.0, 1.0, 1.0), "y")),
    ]
    assert plan(settings(parents=2), history, 2).slots[0].parents == ("g0c00", "g0c01")
    assert plan(settings(parents=2, novelty=2.0), history, 2).slots[0].parents == ("g0c00", "g0c02")


def test_novelty_goes_by_what_programs_pay_where_that_is_known():
    history = [candidate(f"g0c0{slot}", 3.0 - slot, source=program((1.0, 1.0 + slot))) for slot in range(3)]
    far = lambda first, second: 1.0 if "3.0" in first + second else 0.0  # noqa: E731
    assert plan(settings(parents=2, novelty=2.0), history, 2, far).slots[0].parents == ("g0c00", "g0c02")


def test_the_distance_is_zero_for_other_figures_and_grows_with_other_signals():
    one, weighed = (
        candidate("g0c00", 1.0, source=program((1.0, 1.0))),
        candidate("g0c01", 1.0, source=program((3.0, 0.2))),
    )
    other = candidate(
        "g0c02", 1.0, source="def reward(before, after):\n    return {'a': np.tanh(before.z - after.z)}\n"
    )
    assert text_distance(one, weighed) == 0.0
    assert text_distance(one, other) == text_distance(other, one) == 1.0
    assert choose_diverse([], 3, 1.0) == []


def test_a_candidate_whose_signals_are_gone_is_no_parent():
    history = [candidate("g0c00", 9.0, source=program(signal="gone")), candidate("g0c01", 1.0)]
    assert plan(settings(), history, 1).slots[0].parents == ("g0c01",)
    assert modes(plan(settings(), history[:1], 1)) == ["new"] * 4


def test_a_candidate_that_is_no_program_to_this_version_is_no_parent():
    history = [candidate("g0c00", 9.0, source="def other():\n    pass\n"), candidate("g0c01", 1.0)]
    assert plan(settings(), history, 1).slots[0].parents == ("g0c01",)


# ---------------------------------------------------------------- islands


def island(id: str, islands: int) -> int:
    return int(id.split("c")[1]) % islands


def lines(history, islands):
    """Return each candidate's ancestors' islands, its own included."""
    found: dict[str, set[int]] = {}
    for one in history:
        found[one.id] = {island(one.id, islands)}.union(*(found[parent] for parent in one.proposal.parents))
    return found


def refine(brief, slot) -> Proposal:
    """Read one more signal for each generation."""
    return Proposal(program((1.0, 1.0 + slot, 1.0 + brief.generation)), "test", tuple(p.id for p in brief.parents))


def test_islands_stay_apart_until_the_migration_and_mix_after_it():
    config = settings(population=4, generations=6, islands=2, migration=3)
    worth = lambda one: one.generation + (10.0 if one.slot % 2 else 0.0)  # noqa: E731
    history, plans = evolve(config, refine, worth)
    origins = lines(history, 2)
    before = [one for one in history if one.generation < 3]
    assert all(origins[one.id] == {one.slot % 2} for one in before)
    migrant = max((one for one in before if one.slot % 2), key=lambda one: one.fitness)
    assert all(slot.parents[0] == migrant.id for slot in plans[3].slots[0::2])
    assert all(origins[one.id] == {0, 1} for one in history if one.generation == 3 and one.slot % 2 == 0)


def test_an_island_is_told_of_nobody_elses_programs():
    _, plans = evolve(settings(population=4, generations=3, islands=2, migration=5), refine, lambda one: 1.0)
    for plan_ in plans[1:]:
        for slot, assignment in enumerate(plan_.slots):
            assert assignment.visible_candidates
            assert all(island(id, 2) == slot % 2 for id in assignment.visible_candidates)


# ---------------------------------------------------------------- restarts


def test_a_search_that_stands_still_begins_anew_and_says_so():
    history = [candidate(f"g{generation}c00", 5.0 - generation) for generation in range(3)]
    config = settings(population=2, restart_after=2)
    assert modes(plan(config, history[:2], 2)) == ["refine", "refine"]
    found = plan(config, history, 3)
    assert modes(found) == ["new", "new"]
    assert found.notes == ("the search restarts: 2 generations without improvement",)


def test_after_a_restart_the_old_programs_are_no_parents_and_the_best_is_still_known():
    history = [candidate(f"g{generation}c00", 5.0 - generation) for generation in range(3)]
    history.append(candidate("g3c00", 0.5))
    found = plan(settings(population=2, restart_after=2), history, 4)
    assert found.slots[0].parents == ("g3c00",)
    assert evolution.find_incumbent(history).id == "g0c00"


def test_one_island_may_begin_anew_while_the_other_goes_on():
    history = []
    for generation in range(2):
        history += [candidate(f"g{generation}c00", -generation), candidate(f"g{generation}c01", float(generation))]
    found = plan(settings(population=2, islands=2, migration=9, restart_after=1), history, 2)
    assert modes(found) == ["new", "refine"]
    assert found.notes == ("island 0 restarts: 1 generation without improvement",)


# ---------------------------------------------------------------- members of an ensemble


def test_variants_of_one_program_join_an_ensemble_only_where_others_lack():
    history = [
        candidate("g0c00", 4.0, source=program((1.0, 1.0))),
        candidate("g0c01", 3.0, source=program((1.0, 2.0))),
        candidate("g0c02", 2.0, source=program((1.0, 1.0), "y")),
    ]
    assert [one.id for one in evolution.choose_ensemble_members(history, 2)] == ["g0c00", "g0c02"]
    assert [one.id for one in evolution.choose_ensemble_members(history, 3)] == ["g0c00", "g0c01", "g0c02"]


# ---------------------------------------------------------------- contradictions


@pytest.mark.parametrize(
    ("search", "evolution_", "words"),
    [
        ({"population": 2}, {"islands": 3}, r"evolution.islands = 3 needs .* it is 2"),
        ({"population": 2}, {"crossover": 3}, "3 slots of a generation"),
        ({"strategy": "mcts", "rungs": [0.5]}, {}, "search.rungs belongs to search.strategy = 'generations'"),
        ({"strategy": "mcts"}, {"islands": 2, "crossover": 1}, "evolution.islands, evolution.crossover belongs"),
        ({"ensemble": 1}, {}, "an ensemble has at least 2 programs"),
        ({"ensemble": 5, "population": 2, "generations": 2}, {}, "search.ensemble = 5 needs as many candidates"),
        ({"ensemble": 2, "final_seeds": 0}, {}, "search.final_seeds must not be 0"),
    ],
)
def test_settings_that_contradict_each_other_are_refused_in_one_line(search, evolution_, words):
    from rewardsmith.contract.errors import ConfigError
    from rewardsmith.spec.config import resolve_config

    with pytest.raises(ConfigError, match=words) as refused:
        resolve_config({"search": search, "evolution": evolution_})
    assert "\n" not in str(refused.value)
