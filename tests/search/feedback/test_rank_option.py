"""The value of --fitness that lets comparisons rank, and its settings."""

import pytest

from rewardsmith.api import planning
from rewardsmith.contract.errors import ConfigError, FitnessError
from rewardsmith.spec.config import resolve_config


@pytest.mark.parametrize(
    ("fitness", "rank", "blend", "metric"),
    [
        ("people", "people", 0.0, "x_position[-1] - start.x_position"),
        ("people + 0.5*mean(x_velocity)", "people", 0.5, "mean(x_velocity)"),
        ("people+mean(x_velocity)", "people", 1.0, "mean(x_velocity)"),
        ("mean(x_velocity)", "metric", 0.0, "mean(x_velocity)"),
    ],
)
def test_people_and_a_metric_beside_them_are_understood(fitness, rank, blend, metric):
    plan = planning.plan_search(
        "Flip", "Hopper-v5", fitness, overrides={"search": {"designer": "symbolic"}}, variables={}
    )
    settings = plan.config.feedback
    assert (settings.rank, settings.blend, plan.task.fitness) == (rank, blend, metric)


def test_an_environment_without_a_card_needs_no_metric_where_people_rank():
    plan = planning.plan_search("Wave", "Blackjack-v1", "people", variables={})
    assert plan.task.fitness == "length"


def test_a_judge_asks_a_model_and_its_calls_are_planned():
    overrides = {"search": {"designer": "symbolic", "generations": 2}, "llm": {"model": "m"}}
    plan = planning.plan_search("Flip", "Hopper-v5", "judge", overrides=overrides, variables={})
    assert plan.config.roles == ("judge",)
    assert plan.calls == 2 * 6 * 2


@pytest.mark.parametrize("fitness", ["people*2", "people+", "people+-1*length", "judge length"])
def test_what_is_neither_is_refused_with_the_form(fitness):
    with pytest.raises(FitnessError, match=r"people\+WEIGHT\*EXPRESSION"):
        planning.plan_search("Flip", "Hopper-v5", fitness, variables={})


@pytest.mark.parametrize(
    ("layer", "why"),
    [
        ({"feedback": {"blend": 0.5}}, "it needs feedback.rank"),
        ({"feedback": {"rank": "people"}, "search": {"rungs": [0.5]}}, "search.rungs end trainings by the metric"),
        ({"feedback": {"rank": "nobody"}}, "feedback.rank"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(layer, why):
    with pytest.raises(ConfigError, match=why):
        resolve_config(layer)
