"""Estimates of the fitness of retrained programs, and the choice of the next training."""

import math
import random
from statistics import fmean

import pytest
from fakes.evolution_case import candidate

from rewardsmith.contract.records import Finalist
from rewardsmith.search.shrinkage import (
    WorthEstimate,
    allocate_trainings,
    collect_fitness,
    estimate_candidates,
    estimate_variances,
    find_ties,
    knowledge_gradient,
    measure_tie_width,
    shrink_fitness,
)


def draw_fitness(programs: int, seeds: int, between: float, within: float, seed: int = 0) -> dict[str, list[float]]:
    rng = random.Random(seed)
    qualities = [rng.gauss(10.0, math.sqrt(between)) for _ in range(programs)]
    return {
        f"p{number}": [rng.gauss(quality, math.sqrt(within)) for _ in range(seeds)]
        for number, quality in enumerate(qualities)
    }


@pytest.mark.parametrize(("between", "within"), [(1.0, 4.0), (4.0, 1.0)])
def test_variances_are_recovered_from_many_programs(between, within):
    variances = estimate_variances(draw_fitness(400, 4, between, within))
    assert variances.within == pytest.approx(within, rel=0.15)
    assert variances.between == pytest.approx(between, rel=0.3)
    assert variances.mean == pytest.approx(10.0, abs=0.3)


def test_an_estimate_lies_between_the_programs_mean_and_that_of_all_and_moves_with_every_training():
    fitness = {"a": [20.0], "b": [5.0], "c": [6.0], "d": [4.0]}
    once = shrink_fitness(fitness)["a"]
    thrice = shrink_fitness(fitness | {"a": [20.0, 20.5, 19.5]})["a"]
    assert 8.75 < once.mean < thrice.mean < 20.0
    assert once.deviation > thrice.deviation > 0.0
    assert (once.trainings, thrice.trainings) == (1, 3)


def test_with_one_training_each_the_order_stays():
    fitness = draw_fitness(12, 1, 1.0, 1.0)
    estimates = shrink_fitness(fitness)
    assert sorted(fitness, key=lambda name: fitness[name]) == sorted(estimates, key=lambda name: estimates[name].mean)


def test_a_lucky_training_is_worth_less_than_a_good_mean_of_several():
    fitness = {"lucky": [12.0], "good": [11.0, 11.2, 10.9, 11.1], **draw_fitness(8, 2, 0.1, 4.0)}
    estimates = shrink_fitness(fitness)
    assert estimates["good"].mean > estimates["lucky"].mean


def test_equal_programs_and_a_single_one_are_no_error():
    assert shrink_fitness({}) == {}
    assert shrink_fitness({"a": []}) == {}
    assert shrink_fitness({"a": [3.0]}) == {"a": WorthEstimate(3.0, 0.0, 1)}
    same = shrink_fitness({"a": [3.0], "b": [3.0]})
    assert [estimate.mean for estimate in same.values()] == [3.0, 3.0]
    assert find_ties("a", same) == ("b",)
    assert allocate_trainings({"a": [3.0], "b": [3.0]}, 2) == ()
    assert allocate_trainings({"a": [3.0]}, 2) == ()
    assert allocate_trainings({}, 2) == ()


def test_programs_that_cannot_be_told_apart_from_the_best_are_ties_best_first():
    estimates = {
        "near": WorthEstimate(4.0, 1.0, 1),
        "best": WorthEstimate(5.0, 1.0, 2),
        "nearer": WorthEstimate(4.5, 1.0, 1),
        "far": WorthEstimate(0.0, 1.0, 1),
    }
    assert find_ties("best", estimates) == ("nearer", "near")
    assert find_ties("missing", estimates) == ()


@pytest.mark.parametrize("seeds", [1, 2])
def test_the_width_of_a_tie_is_the_difference_at_which_it_ends(seeds):
    for seed in range(20):
        fitness = draw_fitness(6, seeds, between=4.0, within=1.0, seed=seed)
        means = {name: fmean(values) for name, values in fitness.items()}
        best = max(means, key=lambda name: means[name])
        width = measure_tie_width(estimate_variances(fitness), seeds)
        near = {name for name, mean in means.items() if name != best and means[best] - mean < width}
        assert set(find_ties(best, shrink_fitness(fitness))) == near


def test_the_next_training_goes_where_it_can_change_the_choice():
    estimates = {
        "first": WorthEstimate(5.0, 1.0, 1),
        "close": WorthEstimate(4.8, 1.0, 1),
        "sure": WorthEstimate(4.8, 0.1, 9),
        "hopeless": WorthEstimate(-5.0, 1.0, 1),
    }
    gains = knowledge_gradient(estimates, 1.0)
    assert gains["close"] == pytest.approx(gains["first"])
    assert 0.0 <= max(gains["sure"], gains["hopeless"]) < 0.01 * gains["close"]


def test_the_gain_of_a_training_is_that_of_a_simulation():
    estimates, within = {"a": WorthEstimate(1.0, 0.5, 1), "b": WorthEstimate(0.7, 0.8, 1)}, 1.5
    rng, change = random.Random(0), 0.8**2 / math.sqrt(0.8**2 + within)
    simulated = fmean(max(0.7 + change * rng.gauss(0.0, 1.0), 1.0) - 1.0 for _ in range(200_000))
    assert knowledge_gradient(estimates, within)["b"] == pytest.approx(simulated, rel=0.02)


def test_a_batch_spreads_over_the_programs_that_compete():
    fitness = {"a": [9.0], "b": [8.9], "c": [8.8], "d": [0.0], "e": [0.5], "f": [1.0]}
    assert set(allocate_trainings(fitness, 3)) == {"a", "b", "c"}


def test_no_training_is_spent_where_the_choice_is_certain():
    fitness = {"a": [100.0, 100.1, 99.9, 100.0], "b": [0.0, 0.1, -0.1, 0.0], "c": [0.1, 0.0, 0.1, -0.1]}
    assert allocate_trainings(fitness, 4) == ()


def test_candidates_are_estimated_from_all_their_trainings_and_failures_from_none():
    candidates = [
        candidate("g0c00", 2.0, seeds=(1.0, 3.0)),
        candidate("g0c01", 4.0),
        candidate("g0c02", None, "failed"),
        candidate("g0c03", float("nan")),
        candidate("g0c04", 9.0, "timeout"),
    ]
    fresh = [Finalist("g0c01", (3.0, 5.0), 1)]
    assert collect_fitness(candidates, fresh) == {"g0c00": (1.0, 3.0), "g0c01": (4.0, 3.0, 5.0)}
    estimates = estimate_candidates(candidates, fresh)
    assert {id: estimate.trainings for id, estimate in estimates.items()} == {"g0c00": 2, "g0c01": 3}


def test_at_equal_trainings_the_gradient_names_better_programs_than_one_seed_each():
    def search(number: int, programs: int) -> tuple[dict[str, float], dict[str, list[float]], random.Random]:
        rng = random.Random(number)
        qualities = {f"p{index}": rng.gauss(0.0, 0.6) for index in range(programs)}
        return qualities, {name: [rng.gauss(quality, 0.8)] for name, quality in qualities.items()}, rng

    one_seed, finalists = [], []
    for number in range(600):
        qualities, fitness, rng = search(number, 18)
        one_seed.append(qualities[max(fitness, key=lambda name: fitness[name][0])])
        qualities, fitness, rng = search(number, 12)
        for _ in range(3):
            for name in allocate_trainings(fitness, 2):
                fitness[name].append(rng.gauss(qualities[name], 0.8))
        estimates = shrink_fitness(fitness)
        finalists.append(qualities[max(estimates, key=lambda name: estimates[name].mean)])
    assert fmean(finalists) > fmean(one_seed) + 0.02
