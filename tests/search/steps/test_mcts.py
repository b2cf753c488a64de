"""The search tree over refinements: the choice of nodes, the candidates that a slot sees, and failures."""

from __future__ import annotations

from collections import Counter

from fakes.evolution_case import candidate, evolve, program, settings

from rewardsmith.contract.records import GenerationPlan, Proposal, SlotAssignment
from rewardsmith.search.steps.evolution import mcts


def config(population: int = 2, generations: int = 6, **evolution: object):
    return settings(population, generations, {"strategy": "mcts"}, **evolution)


def refine(brief, slot) -> Proposal:
    weights = (1.0, 1.0 + brief.generation, 1.0 + slot)
    return Proposal(program(weights), "test", tuple(parent.id for parent in brief.parents))


def depth(one, known) -> int:
    return 1 + depth(known[one.proposal.parents[0]], known) if one.proposal.parents else 0


def roots(history) -> Counter[str]:
    """Count the candidates below each first program."""
    above: dict[str, str] = {}
    for one in history:
        above[one.id] = above[one.proposal.parents[0]] if one.proposal.parents else one.id
    return Counter(above.values())


def test_it_spends_population_times_generations_candidates_and_goes_deep():
    history, plans = evolve(config(), refine, lambda one: float(one.generation))
    assert len(history) == 12
    assert all(len(plan.slots) == 2 for plan in plans)
    assert max(depth(one, {other.id: other for other in history}) for one in history) >= 2


def test_the_branch_that_pays_is_visited_more():
    fitness: dict[str, float] = {}

    def worth(one) -> float:
        first = one.proposal.parents[0] if one.proposal.parents else None
        fitness[one.id] = fitness[first] + 1.0 if first else 100.0 * one.slot
        return fitness[one.id]

    history, _ = evolve(config(population=2, generations=12), refine, worth)
    visits = roots(history)
    assert visits["g0c01"] > 2 * visits["g0c00"]


def test_more_exploration_spreads_the_visits():
    def worth(one) -> float:
        return 100.0 if "g0c01" in (one.id, *one.proposal.parents) else 1.0

    spread = []
    for exploration in (0.0, 5.0):
        history, _ = evolve(config(population=2, generations=10, exploration=exploration), refine, worth)
        spread.append(min(roots(history).values()) / len(history))
    assert spread[0] < spread[1]


def test_the_slots_of_one_generation_go_to_different_nodes():
    history = [candidate("g0c00", 1.0), candidate("g0c01", 1.01)]
    found = mcts.plan_generation(config(), history, [GenerationPlan((SlotAssignment("new"),) * 2)], lambda a, b: 0.0)
    assert {slot.parents for slot in found.slots} == {("g0c00",), ("g0c01",)}


def test_a_slot_hears_of_its_path_and_of_what_was_made_from_it_and_of_nothing_else():
    history = [candidate("g0c00", 2.0), candidate("g0c01", 0.0)]
    history += [candidate("g1c00", 3.0), candidate("g1c01", None, "failed")]
    plans = [
        GenerationPlan((SlotAssignment("new"),) * 2),
        GenerationPlan((SlotAssignment("refine", ("g0c00",)),) * 2),
    ]
    root = mcts.build_tree(history, plans, 1.0)
    deep = next(node for child in root.children for node in child.children if node.is_open)
    deep.add_child(None, 0.0, is_open=False)
    assert mcts.assign_slot(deep) == SlotAssignment("refine", ("g1c00",), ("g0c00", "g1c00"))
    assert mcts.assign_slot(deep.parent) == SlotAssignment("refine", ("g0c00",), ("g0c00", "g1c00", "g1c01"))


def test_a_failure_counts_as_a_visit_and_is_never_refined():
    history, _ = evolve(config(), refine, lambda one: None if one.slot else 1.0)
    refined = {parent for one in history for parent in one.proposal.parents}
    assert all(id.endswith("c00") for id in refined)
    plans = [GenerationPlan((SlotAssignment("new"),) * 2)]
    root = mcts.build_tree(history[:2], plans, 1.0)
    assert (root.visits, [child.is_open for child in root.children]) == (2, [True, False])


def test_a_failure_earns_less_than_the_worst_fitness():
    worth = mcts.rank_worths(
        [candidate("g0c00", -1e9), candidate("g0c01", 1.0), candidate("g0c02", None, "failed")], 1.0
    )
    assert worth == {"g0c01": 1.0, "g0c00": 0.5}


def test_a_candidate_that_the_machine_failed_is_no_visit():
    plans = [GenerationPlan((SlotAssignment("new"),) * 2)]
    root = mcts.build_tree([candidate("g0c00", 1.0), candidate("g0c01", None, "infrastructure")], plans, 1.0)
    assert root.visits == 1


def test_a_search_in_which_all_fail_begins_at_the_root_again():
    _, plans = evolve(config(generations=3), refine, lambda one: None)
    assert {slot.mode for plan in plans for slot in plan.slots} == {"new"}
