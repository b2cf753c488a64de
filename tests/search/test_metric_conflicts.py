"""A fitness that falls apart from a metric of the card is remarked on to the user."""

from __future__ import annotations

from fakes.designer_case import candidate

from rewardsmith.contract.records import Candidate, Evaluation, Metric
from rewardsmith.search.metric_conflicts import describe_conflicts

INSIDE = Metric("inside", "mean(near)", "share of steps in the ring", better="higher")


def programs(*values: float | None) -> list[Candidate]:
    made = []
    for slot, value in enumerate(values):
        metrics = {"inside": value}
        one = candidate(f"g0c0{slot}", fitness=10.0 - slot)
        made.append(Candidate(**{**vars(one), "evaluations": (Evaluation("ok", (), 1.0, 0.1, None, metrics),)}))
    return made


def test_the_best_program_with_one_of_the_worst_values_is_named() -> None:
    history = programs(0.1, 0.8, 0.9, 0.7)
    (notice,) = describe_conflicts((INSIDE,), history[0], history)
    assert notice.startswith("g0c00, the best by its fitness, has inside 0.1, worse than half of the programs")


def test_a_best_program_that_is_good_by_the_metric_too_raises_nothing() -> None:
    history = programs(0.8, 0.1, 0.9, 0.7)
    assert list(describe_conflicts((INSIDE,), history[0], history)) == []


def test_without_a_direction_or_with_few_values_nothing_is_said() -> None:
    history = programs(0.1, 0.8, 0.9, 0.7)
    assert list(describe_conflicts((Metric("inside", "mean(near)"),), history[0], history)) == []
    few = programs(0.1, 0.8, None, None)
    assert list(describe_conflicts((INSIDE,), few[0], few)) == []


def test_where_lower_is_better_the_order_is_turned() -> None:
    history = programs(0.9, 0.1, 0.2, 0.3)
    lower = Metric("inside", "mean(near)", better="lower")
    assert len(list(describe_conflicts((lower,), history[0], history))) == 1
