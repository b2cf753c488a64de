"""Which candidates become parents, and which one is the incumbent."""

from __future__ import annotations

import math

import pytest

from rewardsmith.contract.records import Candidate, Proposal, Status
from rewardsmith.search.steps.evolution import (
    EvolutionSettings,
    choose_parents,
    find_incumbent,
    keep_distinct_programs,
)


def candidate(id: str, fitness: float | None, status: Status = "ok", source: str | None = None) -> Candidate:
    generation, slot = (int(part) for part in id.removeprefix("g").split("c"))
    return Candidate(id, generation, slot, Proposal(source or id, "symbolic"), status, fitness=fitness)


def ids(candidates) -> list[str]:
    return [chosen.id for chosen in candidates]


def test_the_incumbent_is_kept_unless_strictly_beaten():
    first, equal, better = candidate("g0c00", 1.0), candidate("g1c00", 1.0), candidate("g1c01", 1.5)
    assert find_incumbent([first, equal]) is first
    assert find_incumbent([equal, first]) is first
    assert find_incumbent([first, equal, better]) is better


@pytest.mark.parametrize("status", ["invalid", "failed", "timeout", "pruned", "infrastructure"])
def test_a_failure_never_outranks_a_negative_fitness(status: Status):
    honest, failure = candidate("g0c00", -50.0), candidate("g0c01", None, status)
    assert find_incumbent([failure, honest]) is honest
    assert ids(choose_parents([failure, honest], 1)) == ["g0c00"]


def test_a_figure_of_something_that_did_not_end_ok_does_not_count():
    assert find_incumbent([candidate("g0c00", 9.0, "timeout")]) is None


@pytest.mark.parametrize("fitness", [math.nan, math.inf, None])
def test_a_fitness_that_is_no_finite_number_does_not_count(fitness: float | None):
    assert find_incumbent([candidate("g0c00", fitness), candidate("g0c01", -1.0)]).id == "g0c01"


def test_there_are_no_parents_before_the_first_generation():
    assert choose_parents([], 0) == ()


def test_the_best_of_the_last_generation_takes_part_though_others_beat_it():
    history = [candidate(f"g0c0{slot}", 10.0 - slot) for slot in range(4)] + [candidate("g1c00", 1.0)]
    assert ids(choose_parents(history, 2)) == ["g0c00", "g0c01", "g1c00"]


def test_earlier_generations_serve_where_the_last_one_failed():
    history = [candidate("g0c00", 3.0), candidate("g0c01", 4.0), candidate("g1c00", None, "invalid")]
    assert ids(choose_parents(history, 2)) == ["g0c01", "g0c00"]


def test_a_search_without_any_success_has_no_parents():
    assert choose_parents([candidate("g0c00", None, "invalid"), candidate("g1c00", None, "failed")], 2) == ()


def test_one_program_is_one_parent():
    history = [candidate("g0c00", 1.0, source="a"), candidate("g1c00", 2.0, source="a"), candidate("g0c01", 0.5)]
    assert ids(choose_parents(history, 2)) == ["g1c00", "g0c01"]


def test_parents_come_from_earlier_generations_only():
    assert ids(choose_parents([candidate("g0c00", 1.0), candidate("g1c00", 5.0)], 1)) == ["g0c00"]


def test_a_search_may_take_fewer_parents():
    history = [candidate(f"g0c0{slot}", float(slot)) for slot in range(3)]
    assert ids(choose_parents(history, 1, EvolutionSettings(parents=1))) == ["g0c02"]


def test_of_equal_programs_the_first_stays_at_its_place():
    ranked = [
        candidate("g0c00", 3.0, source="a"),
        candidate("g0c01", 2.0, source="b"),
        candidate("g0c02", 1.0, source="a"),
    ]
    assert ids(keep_distinct_programs(ranked)) == ["g0c00", "g0c01"]
