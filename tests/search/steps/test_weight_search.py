"""Programs with other weights: what is drawn, that it leads uphill, and that a resumed search draws the same."""

from __future__ import annotations

import math

import pytest
from fakes.evolution_case import brief, candidate, evolve, program, settings

from rewardsmith.contract.records import Assignment, Finding, Proposal
from rewardsmith.contract.reward_program import parse
from rewardsmith.search.steps.evolution import Reweighing
from rewardsmith.search.steps.evolution.weight_search import adjustable

TARGET = {"a": 3.0, "b": 0.3, "c": 1.0}


def worth(one) -> float:
    """A bowl over the logarithms of the weights, with its top 0 at the target."""
    weights = parse(one.proposal.source).weights
    return -sum(math.log(weights[name] / goal) ** 2 for name, goal in TARGET.items())


class Repeating:
    """A designer that hands in its first program again and again."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def propose(self, brief, slot):
        self.asked.append(brief.mode)
        return Proposal(program(), "test", tuple(parent.id for parent in brief.parents))

    def repair(self, brief, proposal, findings, round):
        return Proposal("repaired", "test")


def weighed(slot: int = 0, weights=(1.0, -0.5, 0.02), seed: int = 0, method: str = "cma") -> Proposal:
    config = settings(weight_slots=1, weight_method=method, search={"seed": seed})
    parent = candidate("g0c00", 1.0, source=program(weights))
    return Reweighing(Repeating(), config.evolution).propose(
        brief(Assignment("weights", ("g0c00",)), [parent], config, 1), slot
    )


@pytest.mark.parametrize("method", ["cma", "log-normal"])
def test_changing_weights_climbs_to_the_best_ones_without_asking_the_designer(method):
    config = settings(population=4, generations=12, weight_slots=4, weight_method=method)
    designer = Repeating()
    history, _ = evolve(config, Reweighing(designer, config.evolution).propose, worth)
    best = max(one.fitness for one in history)
    assert designer.asked == ["new"] * 4
    assert best > 0.1 * worth(history[0])


def test_cma_learns_from_the_variants_that_were_tried():
    config = settings(population=4, generations=2, weight_slots=4)
    author = Reweighing(Repeating(), config.evolution)
    uphill, _ = evolve(config, author.propose, worth)
    downhill, _ = evolve(config, author.propose, lambda one: -worth(one))
    assert [one.proposal.source for one in uphill] == [one.proposal.source for one in downhill]
    third = settings(population=4, generations=3, weight_slots=4)
    slot = Assignment("weights", ("g0c00",))
    drawn = [author.propose(brief(slot, history, third, 2), 0).source for history in (uphill, downhill)]
    assert drawn[0] != drawn[1]


@pytest.mark.parametrize("method", ["cma", "log-normal"])
def test_the_same_history_gives_the_same_weights_and_each_slot_and_seed_others(method):
    assert weighed(method=method) == weighed(method=method)
    assert len({weighed(slot, seed=seed, method=method).source for slot in (0, 1) for seed in (0, 1)}) == 4


def test_weights_keep_their_signs_and_the_rest_of_the_text_its_form():
    found = parse(weighed().source).weights
    assert [math.copysign(1.0, found[name]) for name in "abc"] == [1.0, -1.0, 1.0]
    assert weighed().source.split("\n", 1)[1] == program().split("\n", 1)[1]


def test_a_proposal_names_its_parent_and_what_moved():
    proposal = weighed(weights=(1.0, 1.0))
    assert (proposal.author, proposal.parents) == ("weights:g0c00", ("g0c00",))
    assert proposal.rationale.startswith("From g0c00, weights alone: a 1 to ")


@pytest.mark.parametrize(("code", "least", "most"), [("prefers-random", 0.0, 0.3), ("duplicate", 4.0, 20.0)])
def test_a_refused_program_is_drawn_again_nearer_to_its_parent_and_a_duplicate_farther(code, least, most):
    config = settings(weight_slots=4)
    parent = candidate("g0c00", 1.0, source=program())
    told = brief(Assignment("weights", ("g0c00",)), [parent], config, 1)
    author = Reweighing(Repeating(), config.evolution)
    size = lambda proposal: sum(abs(math.log(value)) for value in parse(proposal.source).weights.values())  # noqa: E731
    first = [author.propose(told, slot) for slot in range(20)]
    again = [author.repair(told, proposal, [Finding(code, "why")], 3) for proposal in first]
    assert all(proposal.author == "weights:g0c00" for proposal in again)
    assert least < sum(map(size, again)) / sum(map(size, first)) < most


def test_a_slot_without_weights_to_change_goes_to_the_designer():
    config, designer = settings(weight_slots=1), Repeating()
    parent = candidate("g0c00", 1.0, source=program((1.0,)))
    told = brief(Assignment("weights", ("g0c00",)), [parent], config, 1)
    author = Reweighing(designer, config.evolution)
    assert author.propose(told, 0).author == "test"
    assert author.repair(told, Proposal("", "test"), (), 1).source == "repaired"


def test_a_term_that_is_switched_off_stays_off():
    parent = candidate("g0c00", 1.0, source=program((1.0, 0.0, 2.0)))
    assert adjustable(parent) == ("a", "c")
