"""A reached target is stated with the values that it was measured over."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fakes.evolution_case import candidate, settings

from rewardsmith.contract.records import Candidate, Episode, Evaluation, JudgeScore
from rewardsmith.search.stopping import stop_reason


def with_episodes(*fitness: float, judge: JudgeScore | None = None) -> Candidate:
    """Return a candidate of one training seed with these episodes."""
    mean = sum(fitness) / len(fitness)
    episodes = tuple(Episode(seed, value, 10, False) for seed, value in enumerate(fitness))
    return replace(candidate("g0c00", mean), evaluations=(Evaluation("ok", episodes, mean, 0.0, judge=judge),))


def find_reason(best: Candidate, target: float) -> str | None:
    return stop_reason(settings(search={"target_fitness": target}), [best], 0.0)


def test_several_seeds_are_measured_over_training_seeds() -> None:
    best = candidate("g0c00", 4.0, seeds=(3.9, 4.0, 4.1))
    said = "the lower end of g0c00's 95 % interval over its 3 training seeds is 3.752"
    assert find_reason(best, 3.7) == f"the target fitness 3.7 is reached: {said}"
    assert find_reason(best, 3.8) is None


def test_one_seed_is_measured_over_the_episodes_of_its_policy() -> None:
    best = with_episodes(3.9, 4.0, 4.1)
    said = "the lower end of g0c00's 95 % interval over its 3 episodes is 3.752"
    assert find_reason(best, 3.7) == f"the target fitness 3.7 is reached: {said}"
    assert find_reason(best, 3.8) is None


def test_a_judge_that_only_reflects_leaves_the_episodes_to_the_fitness() -> None:
    best = with_episodes(3.9, 4.0, 4.1, judge=JudgeScore("judge:m", ()))
    assert "over its 3 episodes" in (find_reason(best, 3.7) or "")
    assert find_reason(best, 3.8) is None


@pytest.mark.parametrize("judge", [None, JudgeScore("judge:m", (), gives_fitness=True)])
def test_a_single_score_has_no_interval_and_stands_for_itself(judge: JudgeScore | None) -> None:
    best = with_episodes(4.0) if judge is None else with_episodes(3.0, 5.0, judge=judge)
    assert find_reason(best, 4.0) == "the target fitness 4 is reached: the one score of g0c00 is 4"
    assert find_reason(best, 4.5) is None
